"""A running peer with viewers and publishers around it, and windows of time measured on them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.compare.marker import body
from benchmarks.compare.meter import Meter, Reading
from benchmarks.compare.peer import Peer, PeerError, Running
from gifting.bench.driver import Counters, Driver
from gifting.bench.spec import Connection, encode
from gifting.load.socket import masked

HERE: Final = "127.0.0.1"
OPEN_AT_ONCE: Final = 200
ENTER_WITHIN_S: Final = 60.0
POLL_S: Final = 0.02


@dataclass(frozen=True)
class Moment:
    """Everything that is counted, at one moment."""

    peer: Reading
    viewers: Counters


class Load:
    """A peer that runs and the processes that load it. Rooms have ``publishers`` each, numbered through."""

    def __init__(self, program: Path, peer: Peer, running: Running, rooms: Sequence[str], directory: Path) -> None:
        self.peer = peer
        self.running = running
        self.rooms = rooms
        self.meter = Meter(running)
        self.viewers: Driver
        self.publishers: Driver
        self._publishers_each = 0
        self._program = program
        self._directory = directory
        self._board = directory / "board"

    async def open_publishers(self, stack: AsyncExitStack, each: int) -> None:
        """``each`` publishers for every room. Raises PeerError."""
        self._publishers_each = each
        connections = [
            publisher(self.peer, room, index * each + within, within)
            for index, room in enumerate(self.rooms)
            for within in range(each)
        ]
        spec = self._spec("publishers", connections, OPEN_AT_ONCE)
        run = Driver.run(self._program, "publish", spec, str(self._board))
        self.publishers = await stack.enter_async_context(run)
        await self.publishers.all_ready(ENTER_WITHIN_S)

    async def open_viewers(self, stack: AsyncExitStack, each: int, sample: int = 1) -> None:
        """``each`` viewers for every room; of their latencies one in ``sample`` is recorded. Raises PeerError."""
        spec = self._spec("viewers", self._viewers(each), OPEN_AT_ONCE)
        arguments = (spec, str(self._board), str(sample), str(int(self.peer.replays)))
        self.viewers = await stack.enter_async_context(Driver.run(self._program, "viewers", *arguments))
        await self.viewers.all_ready(ENTER_WITHIN_S)

    def prepare_return(self, each: int, at_once: int, positions: Sequence[str]) -> str:
        """The command that brings the viewers back; made ahead, so that it costs no time when it is given."""
        return f"return {self._spec('returning', self._viewers(each, positions), at_once)}"

    async def moment(self) -> Moment:
        """Now. Raises PeerError."""
        return Moment(self.meter.read(), await self.viewers.read())

    async def window(self, rate: float, warmup: float, seconds: float) -> tuple[Moment, Moment]:
        """Publish at ``rate`` events/s in all; the moments before and after the measured seconds. Raises PeerError."""
        self.publishers.tell(f"go {rate} {warmup + seconds + 1}")
        await asyncio.sleep(warmup)
        before = await self.moment()
        await asyncio.sleep(seconds)
        after = await self.moment()
        self.publishers.tell("stop")
        return before, after

    async def drained(self, within: float) -> Counters:
        """The viewers' counters once they have everything, or after ``within`` seconds. Raises PeerError."""
        end = asyncio.get_running_loop().time() + within
        while True:
            publishers, viewers = await asyncio.gather(self.publishers.read(), self.viewers.read())
            settled = not publishers.going and not publishers.queued and not viewers.missing
            if settled or asyncio.get_running_loop().time() > end:
                return viewers
            await asyncio.sleep(POLL_S)

    def _viewers(self, each: int, positions: Sequence[str] = ()) -> list[Connection]:
        publishers, found = self._publishers_each, []
        for index, room in enumerate(self.rooms):
            for number in range(index * each, (index + 1) * each):
                opening = (
                    self.peer.returning(room, number, positions[index]) if positions else self.peer.viewer(room, number)
                )
                found.append(Connection(opening, index * publishers, publishers))
        return found

    def _spec(self, name: str, connections: Sequence[Connection], at_once: int) -> str:
        path = self._directory / name
        path.write_bytes(
            encode((HERE, self.running.port), connections, at_once=at_once, keep_alive=self.peer.keep_alive)
        )
        return str(path)


def publisher(peer: Peer, room: str, number: int, within: int) -> Connection:
    """Publisher ``number`` of all, the ``within``-th of its room, with its message as a template.

    Raises:
        PeerError: the peer's message does not have the body in it as it is.
    """
    text = body(number, 0, 0)
    template = masked(peer.opcode, peer.publish(room, text))
    offset = template.find(text.encode())
    if offset < 0:
        raise PeerError(f"{peer.name} does not put a message's body into its bytes as it is.")
    return Connection(peer.publisher(room, within), number, 1, template, offset)


@asynccontextmanager
async def loaded(program: Path, peer: Peer, rooms: int, publishers: int) -> AsyncIterator[tuple[Load, AsyncExitStack]]:
    """The peer with ``rooms`` rooms and their publishers, while the context lasts.

    Raises:
        PeerError: it did not start, or refused them.
    """
    names = [f"room-{number}" for number in range(rooms)]
    with tempfile.TemporaryDirectory(prefix="compare-", ignore_cleanup_errors=True) as folder:
        own, theirs = Path(folder) / "load", Path(folder) / "peer"
        own.mkdir()
        theirs.mkdir()
        async with peer.run(theirs, names) as running, AsyncExitStack() as stack:
            load = Load(program, peer, running, names, own)
            await load.open_publishers(stack, publishers)
            yield load, stack
