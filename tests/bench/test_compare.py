"""`python -m benchmarks.compare`: every workload runs, and a peer that fails is told of."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import typer
from redis.asyncio import Redis
from typer.testing import CliRunner

from benchmarks.compare import __main__ as command
from benchmarks.compare import figures, load, registry, results, run
from benchmarks.compare.options import Options
from benchmarks.compare.peer import Opening, Peer, PeerError, Running
from benchmarks.compare.peers.gifting import Gifting, GiftingJson
from benchmarks.compare.peers.naive import Naive
from benchmarks.compare.results import FAILED
from benchmarks.compare.table import BEGIN, END
from benchmarks.compare.workloads import WORKLOADS, fanout, latency, storm
from gifting.config import load as settings
from gifting.ledger.embedded import running_url
from gifting.ledger.keys import Keys
from tests.support.accounts import add_to_account

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")

WITHIN_S = 60
TINY = Options(
    rounds=1, seconds=1.5, warmup=0.1, viewers=10, rates=(50, 500), rooms=3, room_viewers=2, rooms_rate=60, idle=30,
    senders=4, in_flight=2, storm=10, few_viewers=4, few_rate=50,
)  # fmt: skip


# Real peers.


@pytest.mark.timeout(400)  # a minute where others have most of the machine
@pytest.mark.parametrize("peer", [Gifting, Naive])
async def test_every_workload_runs(program: Path, peer: type[Peer], monkeypatch: pytest.MonkeyPatch) -> None:
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
            if workload.name == "latency":
                assert 0 < sample.figures["fsync_p50_ms"] <= sample.figures["fsync_p99_ms"]
            if workload.name == "rooms" and sample.figures["server_cpu_s"]:
                each = 1e6 * TINY.room_viewers / sample.figures["deliveries_per_cpu_s"]
                assert sample.figures["server_us_per_event"] == pytest.approx(each)


async def test_our_own_run_fails_if_the_books_do_not_hold(tmp_path: Path) -> None:
    peer = Gifting()
    base = Keys(settings(environ={}).key_prefix, settings(environ={}).partitions).base("sender-0")
    with pytest.raises(PeerError, match="gifting audit ended with 1"):
        async with peer.run(tmp_path, ["r"]) as running:
            await peer.grant(running, [0, 1], 100)
            assert await peer.coins(running, [0, 1]) == 200
            url = running_url(tmp_path / "data")
            assert url is not None
            async with Redis.from_url(url) as redis:
                await add_to_account(redis, base, "sender-0", coins=1)


async def test_a_viewer_finds_nothing_lost_where_nothing_is(program: Path) -> None:
    async with load.loaded(program, GiftingJson(), 2, 2) as (loaded, stack):
        assert isinstance(stack, AsyncExitStack)
        await loaded.open_viewers(stack, 3)
        before, after = await loaded.window(200, 0.1, 1.5)
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
