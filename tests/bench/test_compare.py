"""`python -m benchmarks.compare`: the load counts right, every workload runs, and nothing is left out of the table."""

from __future__ import annotations

import asyncio
import copy
import os
import re
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
import typer
from redis.asyncio import Redis
from typer.testing import CliRunner

from benchmarks.compare import __main__ as command
from benchmarks.compare import figures, load, registry, results, run
from benchmarks.compare.claims import claims
from benchmarks.compare.load import HERE
from benchmarks.compare.marker import BODY, SIZE, body
from benchmarks.compare.options import Options
from benchmarks.compare.peer import BINARY, TEXT, KeepAlive, Opening, Peer, PeerError, Running
from benchmarks.compare.peers.gifting import Gifting, GiftingJson
from benchmarks.compare.peers.naive import Naive
from benchmarks.compare.results import FAILED, PeerInfo, Results, Sample
from benchmarks.compare.table import BEGIN, END, insert, render
from benchmarks.compare.workloads import WORKLOADS, fanout, latency, storm
from gifting.bench.driver import Counters, Driver
from gifting.bench.native import compile_drive
from gifting.bench.spec import Connection, Replies, encode
from gifting.config import load as settings
from gifting.ledger.embedded import running_url
from gifting.ledger.keys import Keys
from gifting.load.fleet import LoadError
from gifting.load.socket import masked

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")

WITHIN_S = 20
TINY = Options(
    rounds=1, seconds=0.5, warmup=0.1, viewers=10, rates=(50, 500), rooms=3, room_viewers=2, rooms_rate=60, idle=30,
    senders=4, in_flight=2, storm=10, few_viewers=4, few_rate=50,
)  # fmt: skip


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_drive(tmp_path_factory.mktemp("drive"))


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


# Real peers.


@pytest.mark.parametrize("peer", [Gifting, Naive])
async def test_every_workload_runs(program: Path, peer: type[Peer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storm, "AWAY_S", 0.5)
    # A machine that is busy with something else is no failure here; a lost event is.
    monkeypatch.setattr(fanout, "LATE_MOST", 1)
    monkeypatch.setattr(fanout, "DELIVERED_LEAST", 0)
    monkeypatch.setattr(fanout, "DRAIN_WITHIN_S", WITHIN_S)
    monkeypatch.setattr(storm, "DRAIN_WITHIN_S", WITHIN_S)
    monkeypatch.setattr(latency, "HEADROOM", 100)
    for workload in WORKLOADS:
        cell = run.Cell(1, workload, peer)
        samples = await run.run_cell(program, cell, TINY)
        assert [sample.problem for sample in samples] == [""] * len(samples), samples
        assert len(samples) == (2 if workload.name == "fanout" else 1)
        for sample in samples:
            assert sample.figures.get("deliveries_per_s", 1) > 0
            assert sample.figures.get("gifts_per_s", 1) > 0
            if workload.name == "storm":
                assert sample.figures["live"] == TINY.storm
                assert sample.figures["lossy"] == (0 if peer.replays else TINY.storm)
            if workload.name in ("fanout", "rooms", "latency"):
                assert figures.complaint(sample.figures) == ""
                assert 0 < sample.figures["p50_ms"] <= sample.figures["p99_ms"]


async def test_our_own_run_fails_if_the_books_do_not_hold(tmp_path: Path) -> None:
    peer = Gifting()
    key = Keys(settings(environ={}).key_prefix, settings(environ={}).partitions).base("sender-0") + ":coins"
    with pytest.raises(PeerError, match="gifting audit ended with 1"):
        async with peer.run(tmp_path, ["r"]) as running:
            await peer.grant(running, [0, 1], 100)
            assert await peer.coins(running, [0, 1]) == 200
            url = running_url(tmp_path / "data")
            assert url is not None
            async with Redis.from_url(url) as redis:
                await redis.hincrby(key, "sender-0", 1)


async def test_a_viewer_finds_nothing_lost_where_nothing_is(program: Path) -> None:
    async with load.loaded(program, GiftingJson(), 2, 2) as (loaded, stack):
        assert isinstance(stack, AsyncExitStack)
        await loaded.open_viewers(stack, 3)
        before, after = await loaded.window(200, 0.1, 0.5)
        end = await loaded.drained(WITHIN_S)
        assert after.viewers.events > before.viewers.events
        assert after.peer.server_cpu >= before.peer.server_cpu > 0
        assert after.peer.redis_rss > 0
        assert end.published > 0
        assert end.events == 3 * end.published  # each event in one room of three
        assert figures.complaint(figures.faults(before.viewers, end)) == ""


# Peers that are not there, or fail.


class Absent(Peer):
    name, family, install = "Absent, tuned", "Absent", "apt-get install absent"
    about = "Never installed."

    @classmethod
    def version(cls) -> str | None:
        return None

    def run(self, directory: Path, rooms: Sequence[str]) -> Any:
        raise PeerError("it is not there")

    def viewer(self, room: str, number: int) -> Opening:
        return Opening("/")

    def publisher(self, room: str, number: int) -> Opening:
        return Opening("/")

    def publish(self, room: str, body: str) -> bytes:
        return body.encode()


class Broken(Absent):
    name, family, install = "Broken", "Broken", "nothing"

    @classmethod
    def version(cls) -> str | None:
        return "1.0"


class Odd(Broken):
    """Says it has started, and has not."""

    name = "Odd"

    @asynccontextmanager
    async def run(self, directory: Path, rooms: Sequence[str]) -> AsyncIterator[Running]:
        yield Running(1, [])


async def test_a_peer_that_fails_is_in_the_results_with_its_reason(program: Path) -> None:
    workload = WORKLOADS[0]
    (sample,) = await run.run_cell(program, run.Cell(1, workload, Broken), TINY)
    assert (sample.case, sample.problem) == (FAILED, "PeerError: it is not there")
    (sample,) = await run.run_cell(program, run.Cell(1, workload, Odd), TINY)
    assert "Connection refused" in sample.problem


async def test_a_peer_that_takes_too_long_is_given_up(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PATIENCE", 0)
    monkeypatch.setattr(run, "GRACE_S", 0.01)
    (sample,) = await run.run_cell(program, run.Cell(1, WORKLOADS[0], Naive), TINY)
    assert "given up" in sample.problem


def test_the_peers_are_found_and_chosen_by_words_of_their_names() -> None:
    peers = registry.all_peers()
    assert peers[0] is Gifting
    assert all(one.family == "gifting" for one in peers[: peers.index(Naive)])
    assert registry.chosen(peers, ["JSON", "naive"])[0] is GiftingJson
    assert registry.chosen(peers, ["gifting"]) == [Gifting], "a whole name means that one"
    assert registry.chosen(peers, []) == peers
    with pytest.raises(ValueError, match="nobody"):
        registry.chosen(peers, ["nobody"])


def test_within_a_round_the_peers_take_turns() -> None:
    cells = run.plan([Gifting, Broken], WORKLOADS, replace(TINY, rounds=2))
    assert [(cell.round, cell.workload.name, cell.peer.name) for cell in cells[:3]] == [
        (1, "fanout", "gifting"), (1, "fanout", "Broken"), (1, "rooms", "gifting"),
    ]  # fmt: skip
    assert len(cells) == 2 * (6 + 5)  # Broken takes no gifts
    assert cells[11].round == 2
    assert run.estimate(cells, TINY) > 0


@pytest.fixture
def peers_are(monkeypatch: pytest.MonkeyPatch) -> Callable[..., typer.Typer]:
    def use(*peers: type[Peer]) -> typer.Typer:
        monkeypatch.setattr(command, "all_peers", lambda: list(peers))
        app = typer.Typer()
        app.command()(command.main)
        return app

    return use


def test_a_peer_that_is_not_installed_is_listed_with_what_installs_it(peers_are: Callable[..., typer.Typer]) -> None:
    done = CliRunner().invoke(peers_are(Gifting, Absent), ["--list"])
    assert done.exit_code == 0
    assert re.search(r"Absent, tuned +not installed: apt-get install absent", done.output)


@pytest.mark.parametrize("wrong", [["--peer", "nobody"], ["--workload", "nothing"], ["--rounds", "0"]])
def test_the_command_line_refuses_what_is_not_there(peers_are: Callable[..., typer.Typer], wrong: list[str]) -> None:
    assert CliRunner().invoke(peers_are(Gifting), wrong).exit_code == 2


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_command_writes_the_results_and_tells_that_a_peer_failed(
    peers_are: Callable[..., typer.Typer], tmp_path: Path
) -> None:
    arguments = ["--quick", "--workload", "latency", "--seconds", "0.5", "--out", str(tmp_path)]
    done = CliRunner().invoke(peers_are(Naive, Broken, Absent), arguments)
    assert done.exit_code == 1, done.output
    assert "it is not there" in done.output
    (file,) = tmp_path.glob("*.json")
    found = results.read(file)
    assert {peer.name for peer in found.peers} == {"naive stack", "Broken", "Absent, tuned"}
    document = tmp_path / "README.md"
    document.write_text(f"{BEGIN}{END}")
    assert CliRunner().invoke(peers_are(), ["--render", str(file), "--into", str(document)]).exit_code == 0
    assert "| naive stack |" in document.read_text()
    again = CliRunner().invoke(peers_are(), ["--render", str(file)])
    assert "| naive stack |" in again.output
    assert "- Absent: `apt-get install absent`" in again.output


async def test_an_interrupted_comparison_leaves_nothing_running(tmp_path: Path) -> None:
    arguments = ["--peer", "naive", "--workload", "fanout", "--out", str(tmp_path / "out")]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.compare", *arguments),
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=asyncio.subprocess.DEVNULL,
    )
    family: list[psutil.Process] = []
    async with asyncio.timeout(WITHIN_S):
        while len(family) < 4:  # a server, its Redis, publishers, viewers
            await asyncio.sleep(0.02)
            family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        assert await process.wait() == 130
        while any(one.is_running() for one in family):
            await asyncio.sleep(0.02)
    assert names(tmp_path) <= {"out"}


# The table.


def peer_info(name: str, **fields: Any) -> PeerInfo:
    given = {"family": name, "version": "1", "install": "", "about": f"All of {name}.", "replays": True, **fields}
    return PeerInfo(name=name, **given)


def sample(workload: str, peer: str, case: str, problem: str = "", number: int = 1, /, **found: float) -> Sample:
    return Sample(round=number, workload=workload, peer=peer, case=case, figures=found, problem=problem)


@pytest.fixture
def compared() -> Results:
    gone = peer_info("Gone", version=None, install="get")
    peers = [peer_info("gifting"), peer_info("naive stack", replays=False), gone]
    tight = "no headroom: 90% of a core"
    cost = "deliveries_per_cpu_s"
    return Results(
        date="2030-01-02",
        machine={"cores": "2"},
        options=Options().as_dict(),
        peers=peers,
        samples=[
            *(sample("fanout", "gifting", "10/s", "", n, **{cost: 100_000.0 + n}) for n in (1, 2, 3)),
            sample("fanout", "gifting", "100/s", **{cost: 300_000.0}),
            sample("fanout", "gifting", "1,000/s", **{cost: 900_000.0}),
            sample("fanout", "naive stack", "10/s", **{cost: 50_000.0}),
            sample("fanout", "naive stack", "100/s", "fell behind: 61% in time", behind=1, **{cost: 60_000.0}),
            sample("idle", "gifting", "10,000", kib_per_viewer=5.0),
            sample("idle", "naive stack", FAILED, "PeerError: no | more\nmemory"),
            sample("storm", "gifting", "5,000", live_s=1.5, lossy=0),
            sample("storm", "naive stack", "5,000", live_s=0.5, lossy=5000),
            sample("latency", "gifting", "100 at 100/s", p50_ms=1, p99_ms=2, p999_ms=3),
            sample("latency", "naive stack", "100 at 100/s", tight, p50_ms=1, p99_ms=1, p999_ms=3),
        ],
    )


def test_the_table_has_medians_their_spread_and_every_failure(compared: Results) -> None:
    text = render(compared)
    assert "| gifting | 100,002 (100,001–100,003) | 300,000 | 900,000 |" in text
    assert "| naive stack | 50,000 | 60,000; fell behind: 61% in time | – |" in text
    assert "| naive stack | failed | – | – |" in text
    assert "- naive stack, idle: PeerError: no \\| more memory" in text
    assert "- Gone: `get`" in text
    assert "| naive stack | 1.00 | 1.00 | 3.00 | – | – | no headroom: 90% of a core |" in text
    assert "**naive stack** (1): All of naive stack." in text


def test_the_aims_are_held_against_the_figures(compared: Results) -> None:
    text = render(compared)
    row = "| Deliveries per CPU-second at 10 events/s | ≥ 0.95 × the best peer | 2.00 × (gifting: 100,002; "
    assert row in text
    assert "p99 latency at equal load" not in text, "the other one had no headroom"
    assert "| Reconnect storm |" not in text, "nobody else replays"
    worse = compared.samples[0].figures | {"deliveries_per_cpu_s": 1.0}
    compared.samples = [
        msgspec.structs.replace(one, figures=worse) if one.peer == "gifting" and one.case == "10/s" else one
        for one in compared.samples
    ]
    assert "| **no** |" in next(line for line in render(compared).splitlines() if "at 10 events/s" in line)


def test_a_run_with_a_problem_counts_on_neither_side(compared: Results) -> None:
    case = "10/s"
    for peer, found in (("naive stack", None), ("gifting", "no run of ours")):
        troubled = copy.deepcopy(compared)
        troubled.samples = [
            msgspec.structs.replace(one, problem="3 lost") if (one.peer, one.case) == (peer, case) else one
            for one in troubled.samples
        ]
        row = next((claim for claim in claims(troubled) if "at 10 events/s" in claim.text), None)
        assert (row and row.found[: len(found or "")]) == found
        assert row is None or not row.held


def test_the_table_goes_between_the_marks_of_a_document(compared: Results) -> None:
    document = f"# Title\n\n{BEGIN}\nold\n{END}\n\nEnd.\n"
    text = insert(document, render(compared), ["results/a.svg"])
    assert "old" not in text
    assert "![a](results/a.svg)" in text
    assert text.startswith("# Title")
    assert text.endswith("End.\n")
    assert insert(text, render(compared), ["results/a.svg"]) == text
    with pytest.raises(ValueError, match="has no"):
        insert("nothing", "")
    assert BEGIN in (Path(__file__).parents[2] / "benchmarks" / "README.md").read_text()


def test_newer_workloads_replace_the_older_ones(compared: Results) -> None:
    sample = Sample(round=1, workload="idle", peer="Newcomer", case="5", figures={"kib_per_viewer": 1.0})
    info = msgspec.structs.replace(compared.peers[0], name="Newcomer")
    newer = msgspec.structs.replace(compared, peers=[info], samples=[sample])
    found = compared.updated(newer)
    assert [one for one in found.samples if one.workload == "idle"] == [sample]
    others = [one for one in compared.samples if one.workload != "idle"]
    assert others
    assert [one for one in found.samples if one.workload != "idle"] == others
    assert {one.name for one in found.peers} == {"Newcomer", *(one.name for one in compared.peers)}


def test_results_survive_the_file(compared: Results, tmp_path: Path) -> None:
    compared.write(tmp_path / "new" / "x.json")
    assert results.read(tmp_path / "new" / "x.json") == compared


def test_the_plots_are_drawn_and_drawn_the_same_again(compared: Results, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.compare.plots import draw

    files = draw(compared, tmp_path)
    drawn = {path.name.removeprefix("2030-01-02-").removesuffix(".svg") for path in files}
    assert drawn == {"fanout", "idle", "latency", "storm"}
    before = [path.read_bytes() for path in files]
    assert [path.read_bytes() for path in draw(compared, tmp_path)] == before
    assert b"gifting" in before[0]


def test_percentiles_are_those_of_what_was_gained() -> None:
    gained = figures.since([(10.5, 5)], [(10.5, 5), (20.5, 98), (3000.0, 2)])
    assert gained == [(20.5, 98), (3000.0, 2)]
    assert figures.percentile(gained, 50) == 0.0205
    assert figures.percentile(gained, 99) == 3.0
    assert figures.percentile([], 99) == 0
