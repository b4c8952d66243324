"""The load in C, `benchmarks/native`: it opens what it is told, and counts right however the stream is cut."""

from __future__ import annotations

import asyncio
import re
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.compare import figures
from benchmarks.compare.load import HERE
from benchmarks.compare.marker import BODY, SIZE, body
from benchmarks.compare.peer import BINARY, TEXT, KeepAlive, Opening
from gifting.bench.driver import Counters, Driver
from gifting.bench.spec import Connection, Replies, encode
from gifting.load.fleet import LoadError
from gifting.load.socket import masked

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")

WITHIN_S = 20


async def until(driver: Driver, holds: Callable[[Counters], bool]) -> Counters:
    """The counters once they are as wanted."""
    async with asyncio.timeout(WITHIN_S):
        while not holds(seen := await driver.read()):
            await asyncio.sleep(0.005)
    return seen


# A server that says exactly what it is told to, and keeps what it hears.


Script = Callable[["Puppet", asyncio.StreamWriter], Awaitable[None]]


class Puppet:
    """Answers every upgrade, then plays ``script`` on the connection; ``heard`` are the messages it got."""

    def __init__(self, script: Script, status: str = "101 OK") -> None:
        self.script, self.status = script, status
        self.heard: list[tuple[int, bytes]] = []
        self.requests: list[bytes] = []
        self.some = asyncio.Condition()
        self.port = 0

    async def __aenter__(self) -> Puppet:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(f"HTTP/1.1 {self.status}\r\nServer: puppet\r\n\r\n".encode())
            await self.script(self, writer)
            while True:
                await self._hear(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(2)
        size = head[1] & 127
        if size == 126:
            size = int.from_bytes(await reader.readexactly(2), "big")
        assert await reader.readexactly(4) == bytes(4)
        payload = await reader.readexactly(size)
        async with self.some:
            self.heard.append((head[0] & 15, payload))
            self.some.notify_all()

    async def hears(self, count: int) -> list[tuple[int, bytes]]:
        async with asyncio.timeout(WITHIN_S), self.some:
            await self.some.wait_for(lambda: len(self.heard) >= count)
            return self.heard


def unmasked(opcode: int, payload: bytes, *, last: bool = True) -> bytes:
    """A server's frame."""
    size = len(payload)
    head = bytes([0x80 * last | opcode])
    return head + (bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")) + payload


def says(*parts: bytes, step: int = 0) -> Script:
    """A script: send the parts, ``step`` bytes at a time."""

    async def script(puppet: Puppet, writer: asyncio.StreamWriter) -> None:
        data = b"".join(parts)
        for start in range(0, len(data), step or len(data) or 1):
            writer.write(data[start : start + (step or len(data))])
            await writer.drain()
            await asyncio.sleep(0)

    return script


def event(*numbers: int, publisher: int = 0, due: int = 1) -> bytes:
    return unmasked(TEXT, b"".join(b"# {" + body(publisher, number, due).encode() + b"}" for number in numbers))


@asynccontextmanager
async def viewers(
    program: Path, folder: Path, port: int, opening: Opening, *, count: int = 1, keep_alive: KeepAlive | None = None
) -> AsyncIterator[Driver]:
    spec = folder / "spec"
    spec.write_bytes(encode((HERE, port), [Connection(opening)] * count, at_once=2, keep_alive=keep_alive))
    async with Driver.run(program, "viewers", str(spec), str(folder / "board"), "1", "1") as driver:
        yield driver


def test_a_marker_stands_at_the_start_of_a_body_of_the_size_that_was_asked() -> None:
    text = body(7, 42, 123456789)
    assert len(text) == BODY
    assert re.fullmatch(r"#0007:0000000042@0000000000123456789\.x+", text)
    assert len(text.rstrip("x")) == SIZE
    assert body(0, 1, 0, 37) == body(0, 1, 0)[:37]


@pytest.mark.parametrize("step", [0, 1, 7, 50])
async def test_events_are_found_however_the_stream_is_cut(program: Path, tmp_path: Path, step: int) -> None:
    whole = body(0, 3, 1).encode()
    stream = [
        unmasked(TEXT, b"#0000: no marker #"),
        event(1),
        event(2),
        unmasked(BINARY, whole[:20], last=False),  # a message in two frames, a ping between them
        unmasked(0x9, b"are you there"),
        unmasked(0x0, whole[20:]),
        event(*range(4, 100)),
        unmasked(TEXT, b""),
    ]
    async with (
        Puppet(says(*stream, step=step)) as puppet,
        viewers(program, tmp_path, puppet.port, Opening("/x")) as driver,
    ):
        seen = await until(driver, lambda seen: seen.events == 99)
        assert (seen.lost, seen.repeated, seen.disordered, seen.stray, seen.gone) == (0, 0, 0, 0, 0)
        assert sum(count for _, count in seen.latency) == 99
        assert await puppet.hears(1) == [(0xA, b"are you there")]


@pytest.mark.parametrize(
    ("stream", "lost", "repeated", "disordered", "stray"),
    [
        ([event(1), event(4)], 2, 0, 0, 0),
        ([event(2)], 1, 0, 0, 0),
        ([event(1, 2, 2)], 0, 1, 0, 0),
        ([event(1, 2, 1)], 0, 1, 0, 0),
        ([event(1, 3), event(2)], 0, 0, 1, 0),
        ([event(1, 900, 2, 2, 899)], 896, 1, 2, 0),
        ([event(1, 2000, 2)], 1998, 1, 0, 0),  # too late to be known again
        ([event(1), event(1, publisher=5)], 0, 0, 0, 1),
    ],
)
async def test_what_is_wrong_with_the_numbers_is_reported(
    program: Path, tmp_path: Path, stream: list[bytes], lost: int, repeated: int, disordered: int, stray: int
) -> None:
    end = unmasked(0x9, b"end")
    async with (
        Puppet(says(*stream, end)) as puppet,
        viewers(program, tmp_path, puppet.port, Opening("/x"), count=2) as driver,
    ):
        await puppet.hears(2)
        seen = await driver.read()
        found = (seen.lost, seen.repeated, seen.disordered, seen.stray)
        assert found == (2 * lost, 2 * repeated, 2 * disordered, 2 * stray)
        assert bool(figures.complaint(figures.faults(seen, seen) | {"lost": seen.lost})) is bool(lost)


async def test_a_connection_is_opened_as_its_peer_says(program: Path, tmp_path: Path) -> None:
    script = says(unmasked(TEXT, b"ping?"), unmasked(TEXT, b'not {"joi'), unmasked(TEXT, b'ned":1}'), step=3)
    opening = Opening("/room?a=1", [("X-Token", "t")], [b"one", b"two" * 100], BINARY, b'"joined":')
    alive = KeepAlive(b"ping?", b"pong!", TEXT)
    async with (
        Puppet(script) as puppet,
        viewers(program, tmp_path, puppet.port, opening, keep_alive=alive) as driver,
    ):
        assert await puppet.hears(3) == [(BINARY, b"one"), (BINARY, b"two" * 100), (TEXT, b"pong!")]
        await driver.all_ready(WITHIN_S)
        assert puppet.requests[0].startswith(b"GET /room?a=1 HTTP/1.1\r\n")
        assert b"\r\nX-Token: t\r\n" in puppet.requests[0]
        assert b"xtensions" not in puppet.requests[0]


async def test_a_viewer_that_is_refused_says_why(program: Path, tmp_path: Path) -> None:
    async with (
        Puppet(says(), status="403 Forbidden") as puppet,
        viewers(program, tmp_path, puppet.port, Opening("/x")) as driver,
    ):
        with pytest.raises(LoadError, match=r"answered with HTTP/1\.1 403 Forbidden"):
            await driver.all_ready(WITHIN_S)


async def test_a_viewer_that_never_gets_in_is_not_waited_for_for_ever(program: Path, tmp_path: Path) -> None:
    async with (
        Puppet(says(event(1))) as puppet,
        viewers(program, tmp_path, puppet.port, Opening("/x", ready=b"joined")) as driver,
    ):
        with pytest.raises(LoadError, match="Only 0 of 1"):
            await driver.all_ready(0.2)


async def test_a_server_that_hangs_up_is_counted(program: Path, tmp_path: Path) -> None:
    async def script(puppet: Puppet, writer: asyncio.StreamWriter) -> None:
        writer.write(unmasked(0x8, (4001).to_bytes(2, "big")))
        await writer.drain()
        writer.close()

    async with Puppet(script) as puppet, viewers(program, tmp_path, puppet.port, Opening("/x")) as driver:
        seen = await until(driver, lambda seen: seen.gone == 1)
        assert "hung up" in seen.failure


async def test_viewers_drop_come_back_and_are_live_when_they_have_everything(program: Path, tmp_path: Path) -> None:
    async def script(puppet: Puppet, writer: asyncio.StreamWriter) -> None:
        first = len(puppet.requests) <= 3
        writer.write(event(1, 2) if first else event(3) if b"back" in puppet.requests[-1] else b"")

    async with Puppet(script) as puppet, viewers(program, tmp_path, puppet.port, Opening("/x"), count=3) as driver:
        (tmp_path / "board").write_bytes((2).to_bytes(8, "little") + bytes(8 * 1023))
        await until(driver, lambda seen: seen.events == 6 and seen.missing == 0)
        driver.tell("drop")
        await until(driver, lambda seen: seen.ready == 0)
        with (tmp_path / "board").open("r+b") as board:
            board.write((3).to_bytes(8, "little"))
        spec = tmp_path / "returning"
        spec.write_bytes(encode((HERE, puppet.port), [Connection(Opening("/back"))] * 3, at_once=1))
        driver.tell(f"return {spec}")
        seen = await until(driver, lambda seen: seen.live == 3)
        assert 0 < seen.live_s < WITHIN_S
        assert (seen.events, seen.lossy, seen.lost, seen.repeated, seen.missing) == (9, 0, 0, 0, 0)


async def test_events_are_published_when_they_are_due_in_turn_and_numbered(program: Path, tmp_path: Path) -> None:
    spec = tmp_path / "spec"
    template = masked(TEXT, b'{"text":"' + body(0, 0, 0).encode() + b'"}')
    async with Puppet(says()) as puppet:
        connections = [
            Connection(Opening("/x"), number, 1, template.replace(b"#0000", b"#%04d" % number), template.find(b"#"))
            for number in range(2)
        ]
        spec.write_bytes(encode((HERE, puppet.port), connections, at_once=2))
        async with Driver.run(program, "publish", str(spec), str(tmp_path / "board")) as driver:
            await driver.all_ready(WITHIN_S)
            driver.tell("go 200 0.1")
            heard = [payload.decode() for _, payload in await puppet.hears(20)]
            seen = await until(driver, lambda seen: not seen.going)
            assert seen.sent == 20
            assert len(puppet.heard) == 20
    found = sorted(re.findall(r"#(\d{4}):(\d{10})@(\d{19})\.x{163}\"}", "\n".join(heard)), key=lambda one: int(one[2]))
    assert [(int(who), int(number)) for who, number, _ in found] == [(n % 2, n // 2 + 1) for n in range(20)]
    dues = [int(due) for _, _, due in found]
    assert {later - sooner for sooner, later in pairwise(dues)} == {5_000_000}


async def test_each_gift_has_a_key_of_its_own_and_waits_for_its_reply(program: Path, tmp_path: Path) -> None:
    class Shop(Puppet):
        async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.reader, self.writer = reader, writer
            await super()._serve(reader, writer)

        async def hears_here(self, count: int) -> None:
            while len(self.heard) < count:
                await self._hear(self.reader, self.writer)

    async def reply(puppet: Puppet, writer: asyncio.StreamWriter) -> None:
        for count in range(4, 41, 4):
            assert isinstance(puppet, Shop)
            await puppet.hears_here(count)
            assert len(puppet.heard) == count  # four in flight, never more
            answers = [unmasked(TEXT, b'{"ok":%s}' % (b"false" if n == 0 else b"true")) for n in range(4)]
            writer.write(answers[0][:5])
            await writer.drain()
            writer.write(answers[0][5:] + b"".join(answers[1:]))

    template = masked(TEXT, b'{"key":"' + b"0" * 36 + b'"}')
    spec = tmp_path / "spec"
    async with Shop(reply) as puppet:
        connection = Connection(Opening("/x"), template=template, offset=template.find(b"0" * 36))
        spec.write_bytes(encode((HERE, puppet.port), [connection], at_once=1, replies=Replies(b'"ok":', b"t")))
        async with Driver.run(program, "gifts", str(spec), "4") as driver:
            await driver.all_ready(WITHIN_S)
            driver.tell("go 1 30")
            seen = await until(driver, lambda seen: seen.accepted + seen.refused == 40)
            assert (seen.accepted, seen.refused, seen.waiting) == (30, 10, 4)
            driver.tell("stop")
            assert not (await driver.read()).going
            keys = [payload[8:44].decode() for _, payload in puppet.heard]
    assert len(set(keys)) == len(keys) >= 40
    assert all(uuid.UUID(key).version == 7 and uuid.UUID(key).variant == uuid.RFC_4122 for key in keys)
