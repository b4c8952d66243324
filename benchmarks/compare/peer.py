"""What a peer is: a server that fans events out to viewers, and how to speak to it.

The load knows nothing of a peer's protocol. It opens WebSockets as :class:`Opening` says, sends bytes that the peer's
file made, and finds events in what comes back by their marker (:mod:`benchmarks.compare.marker`), however they are
framed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from gifting.bench.spec import KeepAlive, Opening
from gifting.wire.codec import BINARY, TEXT

__all__ = ["BINARY", "TEXT", "KeepAlive", "Opening", "Peer", "PeerError", "Running"]


@dataclass(frozen=True)
class Running:
    """A peer that accepts connections on 127.0.0.1.

    Args:
        port: where.
        servers: pids of the processes whose CPU and memory count as the server's, children included.
        redis: pids of the Redis behind it, counted apart; empty if there is none.
    """

    port: int
    servers: Sequence[int]
    redis: Sequence[int] = ()


class Peer(ABC):
    """One server in one configuration. An instance is one run: it is started once and stopped once."""

    name: ClassVar[str]
    """What it is called in the table, configuration included: ``Centrifugo, batched``."""
    family: ClassVar[str]
    """What is to be installed: the same for all configurations of one server."""
    install: ClassVar[str]
    """The command that installs it."""
    about: ClassVar[str]
    """Its configuration in one sentence: versions aside, what was set and why that is its best or its usual one."""
    replays: ClassVar[bool] = False
    """Whether a viewer that comes back is given what it missed."""
    opcode: ClassVar[int] = TEXT
    """Of what publishers send."""
    keep_alive: ClassVar[KeepAlive | None] = None

    @classmethod
    @abstractmethod
    def version(cls) -> str | None:
        """The installed version; None if it is not installed. Blocks for up to a second or two."""

    @abstractmethod
    def run(self, directory: Path, rooms: Sequence[str]) -> AbstractAsyncContextManager[Running]:
        """The server, with these rooms open, while the context lasts. ``directory`` is empty and its own.

        Raises:
            PeerError: it did not start; with its last words.
        """

    @abstractmethod
    def viewer(self, room: str, number: int) -> Opening:
        """How viewer ``number`` enters a room."""

    @abstractmethod
    def publisher(self, room: str, number: int) -> Opening:
        """How publisher ``number`` of a room connects."""

    @abstractmethod
    def publish(self, room: str, body: str) -> bytes:
        """The message with which a publisher sends ``body`` (ASCII without quotes or backslashes) to a room."""

    async def position(self, running: Running, room: str) -> str:
        """Where a room stands now, for :meth:`returning`. Raises PeerError where the peer does not replay."""
        raise PeerError(f"{self.name} does not replay.")

    def returning(self, room: str, number: int, position: str) -> Opening:
        """How a viewer comes back that has everything up to ``position``; without replay as it came."""
        return self.viewer(room, number)


class PeerError(RuntimeError):
    """A peer could not be started or spoken to."""
