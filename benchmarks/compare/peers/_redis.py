"""The Redis behind a peer: private, in memory only, on a unix socket, and on a port for peers that need one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.compare.peer import PeerError
from benchmarks.compare.process import process
from gifting.errors import NoRedis
from gifting.ledger.embedded.binary import find_binary
from gifting.ledger.embedded.ports import free_port

SOCKET_MAX: Final = 100
"""Longest path of a unix socket, bytes; systems allow 104 to 108."""


class Redis(NamedTuple):
    """A redis-server that answers on ``socket``, and on ``port`` of 127.0.0.1 unless that is 0."""

    socket: Path
    port: int
    pid: int


@asynccontextmanager
async def private_redis(directory: Path, *, tcp: bool = False) -> AsyncIterator[Redis]:
    """A redis-server while the context lasts. It writes nothing to disk: the peers only pass events through it.

    Raises:
        PeerError: there is none, or it did not start.
    """
    socket = directory / "redis.sock"
    if len(bytes(socket)) > SOCKET_MAX:
        raise PeerError(f"too long for a unix socket: {socket}")
    try:
        binary = find_binary()
    except NoRedis as error:
        raise PeerError(str(error)) from error
    port = free_port() if tcp else 0
    settings = {
        "port": str(port),
        "bind": "127.0.0.1",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(directory),
        "appendonly": "no",
        "save": "",
        # a subscriber that is behind is not to be cut off: 0 takes the limit away
        "client-output-buffer-limit": "pubsub 0 0 0",
    }
    flags = [part for name, value in settings.items() for part in (f"--{name}", value)]
    async with process([binary, *flags], directory, "redis", socket) as pid:
        yield Redis(socket, port, pid)
