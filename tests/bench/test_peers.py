"""Each peer of the comparison that is installed: it carries every event once and in order, replays, and ends."""

from __future__ import annotations

import asyncio
import importlib
import re
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
import websockets

from benchmarks.compare.marker import body
from benchmarks.compare.peer import TEXT, Opening, Peer, PeerError, Running
from benchmarks.compare.process import group, process
from gifting.ledger.embedded.ports import free_port
from tests.support.paths import ROOT

FAMILIES = ("centrifugo", "centrifuge", "nchan", "socketio_node", "socketio_python", "channels", "nats")
MARKER = re.compile(rb"#(\d{4}):(\d{10})@\d{19}\.")
WITHIN = 60.0
"""Longest wait for anything, seconds."""
ROOM = "room-1"
EACH, MISSED = 100, 50
CROWD = 200
"""Viewers who come in at once."""


def peers() -> list[type[Peer]]:
    found = []
    for family in FAMILIES:
        module = importlib.import_module(f"benchmarks.compare.peers.{family}")
        kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Peer)]
        found += [kind for kind in kinds if kind.__module__ == module.__name__ and not kind.__name__.startswith("_")]
    return found


class Client:
    """One connection, opened as its Opening says; what it received."""

    def __init__(self, peer: Peer, opening: Opening) -> None:
        self.peer = peer
        self.opening = opening
        self.seen: list[tuple[int, int]] = []
        self.received = b""
        self._news = asyncio.Condition()
        self._connection: websockets.ClientConnection

    @asynccontextmanager
    async def connected(self, port: int) -> AsyncIterator[Client]:
        async with websockets.connect(
            f"ws://127.0.0.1:{port}{self.opening.path}",
            additional_headers=list(self.opening.headers),
            compression=None,
            open_timeout=WITHIN,
            ping_interval=None,
            max_size=None,
            max_queue=None,
        ) as self._connection:
            reading = asyncio.create_task(self._read())
            for message in self.opening.messages:
                await self.send(message, self.opening.opcode)
            await self.until(lambda: self.opening.ready in self.received)
            yield self
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    async def send(self, message: bytes, opcode: int) -> None:
        await self._connection.send(message.decode() if opcode == TEXT else message)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN), self._news:
            await self._news.wait_for(holds)

    async def _read(self) -> None:
        with suppress(websockets.ConnectionClosed):
            async for message in self._connection:
                data = message.encode() if isinstance(message, str) else message
                await self._received(data)

    async def _received(self, data: bytes) -> None:
        keep = self.peer.keep_alive
        if keep and data == keep.ping:
            await self.send(keep.pong, keep.opcode)
        async with self._news:
            self.received += data
            self.seen += [(int(found[1]), int(found[2])) for found in MARKER.finditer(data)]
            self._news.notify_all()


async def publish(peer: Peer, publishers: list[Client], first: int, count: int) -> list[tuple[int, int]]:
    """Events from ``first`` on by each publisher in turn, without waiting for anything; what was sent."""
    sent = []
    for number in range(first, first + count):
        for index, publisher in enumerate(publishers):
            await publisher.send(peer.publish(ROOM, body(index, number, time.monotonic_ns())), peer.opcode)
            sent.append((index, number))
    return sent


def by_publisher(seen: list[tuple[int, int]]) -> dict[int, list[int]]:
    numbers = defaultdict(list)
    for publisher, number in seen:
        numbers[publisher].append(number)
    return dict(numbers)


async def gets(client: Client, sent: list[tuple[int, int]]) -> None:
    """It gets these, each once and in each publisher's order, and nothing else."""
    with suppress(TimeoutError):
        await client.until(lambda: len(client.seen) >= len(sent))
    assert by_publisher(client.seen) == by_publisher(sent), client.received[-500:]


async def lets_in(peer: Peer, running: Running, viewers: int) -> None:
    """All at once, and out again."""

    async def come_and_go(number: int) -> None:
        async with Client(peer, peer.viewer(ROOM, number)).connected(running.port):
            pass

    await asyncio.gather(*map(come_and_go, range(viewers)))


async def carries(peer: Peer, running: Running) -> None:
    async with AsyncExitStack() as stack:

        async def client(opening: Opening) -> Client:
            return await stack.enter_async_context(Client(peer, opening).connected(running.port))

        viewers = [await client(peer.viewer(ROOM, number)) for number in (1, 2)]
        publishers = [await client(peer.publisher(ROOM, number)) for number in range(2)]
        async with Client(peer, peer.viewer(ROOM, 0)).connected(running.port) as leaving:
            sent = await publish(peer, publishers, 1, EACH)
            for viewer in (leaving, *viewers):
                await gets(viewer, sent)
        position = await peer.position(running, ROOM) if peer.replays else ""
        missed = await publish(peer, publishers, EACH + 1, MISSED // 2)
        await gets(viewers[0], sent + missed)
        back = await client(peer.returning(ROOM, 0, position) if peer.replays else peer.viewer(ROOM, 0))
        live = await publish(peer, publishers, EACH + MISSED, 1)
        await gets(back, missed + live if peer.replays else live)
        await gets(viewers[1], sent + missed + live)


@pytest.mark.parametrize("kind", peers(), ids=lambda kind: kind.name)
async def test_a_peer_carries_every_event_once_and_in_order(kind: type[Peer], tmp_path: Path) -> None:
    if kind.version() is None:
        pytest.skip(kind.install)
    for number in range(2):
        directory = tmp_path / str(number)
        directory.mkdir()
        peer = kind()
        async with peer.run(directory, [ROOM]) as running:
            pids = {*running.servers, *running.redis}
            assert all(pid in group(pid) for pid in pids)
            await lets_in(peer, running, CROWD)
            await carries(peer, running)
        assert not any(group(pid) for pid in pids)


def test_peers_have_names_of_their_own() -> None:
    names = [kind.name for kind in peers()]
    assert len(names) == len(set(names))
    assert all(kind.about and kind.install and kind.family for kind in peers())


async def test_a_process_that_ends_says_why(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match="no such luck"):
        async with process(["sh", "-c", "echo no such luck; exit 3"], tmp_path, "it", free_port()):
            pass


async def test_a_program_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match="can't be run"):
        async with process([tmp_path / "nothing"], tmp_path, "it", free_port()):
            pass


async def test_processes_end_with_the_context_that_failed(tmp_path: Path) -> None:
    port, pid = free_port(), 0
    server = "import socket,sys,time;s=socket.create_server(('127.0.0.1',int(sys.argv[1])));time.sleep(60)"
    with pytest.raises(RuntimeError, match="on purpose"):
        async with process(["sh", "-c", f'python3 -c "{server}" {port}; true'], tmp_path, "it", port) as pid:
            raise RuntimeError("on purpose")
    assert pid and not group(pid)


async def test_processes_end_with_us_if_we_are_killed(tmp_path: Path) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("apt-get install util-linux")
    port = free_port()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    code = f"""
import asyncio, os, pathlib, signal, sys
from benchmarks.compare.process import process
async def main():
    async with process({command}, pathlib.Path({str(tmp_path)!r}), "it", {port}) as pid:
        print(pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    killed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(killed.communicate(), WITHIN)
    async with asyncio.timeout(WITHIN):
        while group(int(out)):
            await asyncio.sleep(0)
