"""What an operator types who outgrows one Redis: `gifting partitions move`, and what is said before and after it."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from gifting.errors import BenchFailed
from gifting.ledger.embedded import running_url
from gifting.ledger.embedded.cluster import EmbeddedCluster
from tests.support.clusters import own_cluster
from tests.support.commands import Done, run_command, start_command
from tests.support.keys import new_key
from tests.support.paths import ROOT
from tests.support.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.one_redis("it is moved from there")]

AT_MOST_TRIED = 17
"""Keys that start checks leave, one in each partition, and the one that keeps servers out."""

DEATHS = (("_copy_chunks", "after", AT_MOST_TRIED + 1), ("_copy_page", "after", 150), ("_count_merged", "before", 300))
"""A move's deaths in its crossings, one later than the other, and so many keys at least have come before."""

Type = Callable[..., Coroutine[Any, Any, Done]]


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with own_cluster() as cluster:
        yield cluster


@pytest.fixture
def typed(tmp_path: Path) -> Type:
    async def typed(*words: str, **environ: str) -> Done:
        done = await run_command(*words, cwd=tmp_path, XDG_RUNTIME_DIR=str(tmp_path / "run"), **environ)
        assert "Traceback" not in done.complaints, done.complaints
        return done

    return typed


async def sell(server: Server) -> None:
    await server.room("lobby")
    grant = {"coins": 500, "reason": "a test", "key": new_key()}
    await server.operator.call("POST", "/v1/users/ann/grants", grant)


@pytest.mark.attack
async def test_a_move_that_is_killed_goes_on_when_it_is_run_again(
    typed: Type, cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    move = ("partitions", "move", "--data-dir", str(data), "--redis", cluster.url, "--yes")
    async with Server(data) as server:
        await sell(server)
        for number in range(199):
            await server.room(f"room{number}", f"host{number}")
    for method, when, keys in DEATHS:
        place = f"gifting.ledger.moving.crossing:Crossing.{method}::{when}:mover"
        dying = {"CRASH_AT": place, "CRASH_IN": "move", "CRASH_NOTE": str(tmp_path / method)}
        path = os.pathsep.join([str(ROOT / "tests" / "support" / "crashing"), str(ROOT)])
        run = {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "PYTHONPATH": path}
        moving = await start_command(*move, cwd=tmp_path, **run, **dying)
        assert await moving.wait() == -signal.SIGKILL
        assert await keys_of(cluster) >= keys
        early = Server(tmp_path / "early", cluster.url)
        with pytest.raises(BenchFailed, match="books_arriving"):
            await early.start()
        await early.stop()
    moved = await typed(*move)
    assert running_url(data) is None, "the one that was left running is ended"
    assert (moved.status, "The books are on the cluster" in moved.out) == (0, True), moved
    audited = await typed("audit", "--redis", cluster.url)
    assert (audited.status, audited.out.splitlines()[-1]) == (0, "clean"), audited.out
    async with Server(tmp_path / "new", cluster.url) as server:
        assert (await server.operator.call("GET", "/v1/users/ann/wallet"))["coins"] == 500
        assert len((await server.operator.call("GET", "/v1/rooms?limit=200"))["rooms"]) == 200


async def keys_of(cluster: EmbeddedCluster) -> int:
    sizes: list[int] = [await master.call("DBSIZE") for master in await cluster.masters()]
    return sum(sizes)


async def test_a_data_directory_is_moved_and_closed(typed: Type, cluster: EmbeddedCluster, tmp_path: Path) -> None:
    data = tmp_path / "data"
    move = ("partitions", "move", "--data-dir", str(data), "--redis", cluster.url)
    async with Server(data) as server:
        await sell(server)
        used = await typed(*move, "--yes")
        assert (used.status, "source_in_use: 1 server processes" in used.complaints) == (2, True), used.complaints
    asked = await typed(*move)
    assert (asked.status, "not_confirmed" in asked.complaints) == (2, True), asked.complaints
    moved = await typed(*move, "--yes", GIFTING_REDIS=cluster.url, GIFTING_DURABILITY="disk")
    assert moved.status == 0, moved.complaints
    assert "The books are on the cluster" in moved.out
    assert (await typed(*move, "--yes")).out == "These books were moved there already.\n"
    audited = await typed("audit", "--redis", cluster.url)
    assert (audited.status, audited.out.splitlines()[-1]) == (0, "clean"), audited.out
    old = await typed("resume", "--data-dir", str(data))
    assert (old.status, "books_moved: These books were moved: " in old.complaints) == (2, True), old.complaints
    late = Server(data)
    with pytest.raises(BenchFailed, match="books_moved: These books were moved: "):
        await late.start()
    await late.stop()
    async with Server(tmp_path / "new", cluster.url) as server:
        assert (await server.operator.call("GET", "/v1/users/ann/wallet"))["coins"] == 500
