"""NATS over WebSocket: core NATS, which passes messages on and keeps none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar, Final

from benchmarks.compare.peer import BINARY, KeepAlive, Opening, Peer, PeerError, Running
from benchmarks.compare.peers._install import go_program, says
from benchmarks.compare.process import process
from gifting.ledger.embedded.ports import free_port

PROGRAM: Final = "nats-server"
CONNECT: Final = b'CONNECT {"verbose":false,"pedantic":false}\r\n'
PING, PONG = b"PING\r\n", b"PONG\r\n"
CONFIG: Final = """\
listen: "127.0.0.1:-1"
ping_interval: "24h"
websocket {{
    listen: "127.0.0.1:{port}"
    no_tls: true
    compression: false
}}
"""
"""The port that is no WebSocket's is any free one. A ping that shares a message with events would not be seen, so pings
are rare; the one right after the start may go unanswered."""


class _Nats(Peer):
    family = "NATS"
    install = "go install github.com/nats-io/nats-server/v2@latest"
    opcode = BINARY
    keep_alive = KeepAlive(PING, PONG, BINARY)
    procs: ClassVar[int | None] = None
    """GOMAXPROCS; None for as many as there are cores."""

    @classmethod
    def version(cls) -> str | None:
        found = go_program(PROGRAM)
        return says([found, "--version"], r"v(\d\S+)") if found else None

    def viewer(self, room: str, number: int) -> Opening:
        # the reply to a PING comes after what was sent before it has been done
        return Opening("/", messages=(CONNECT + b"SUB %b 1\r\n" % room.encode() + PING,), opcode=BINARY, ready=PONG)

    def publisher(self, room: str, number: int) -> Opening:
        return Opening("/", messages=(CONNECT + PING,), opcode=BINARY, ready=PONG)

    def publish(self, room: str, body: str) -> bytes:
        return b"PUB %b %d\r\n%b\r\n" % (room.encode(), len(body), body.encode())

    @asynccontextmanager
    async def run(self, directory: Path, rooms: Sequence[str]) -> AsyncIterator[Running]:
        program = go_program(PROGRAM)
        if program is None:
            raise PeerError(f"NATS is not installed: {self.install}")
        port, config = free_port(), directory / "nats.conf"
        config.write_text(CONFIG.format(port=port))
        env = {"GOMAXPROCS": str(self.procs)} if self.procs else {}
        async with process([program, "-c", config], directory, "nats", port, env) as pid:
            yield Running(port, (pid,))


class Nats(_Nats):
    name = "NATS"
    about = "core NATS over WebSocket without TLS or compression, verbose off; what waits for a viewer shares a frame"


class NatsOneCore(_Nats):
    name = "NATS, one core"
    about = "as NATS, with GOMAXPROCS=1, which costs the least CPU per delivery"
    procs = 1
