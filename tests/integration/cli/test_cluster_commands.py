"""What an operator types beside the data of a cluster: audit, settings, resume, the archive and its report."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from gifting.archive.schema import entries
from gifting.archive.store import open_store
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.halt import FIELD
from tests.support.archive import count_of
from tests.support.clusters import own_cluster
from tests.support.commands import Done, environment, run_command
from tests.support.server import Server
from tests.support.tampering import STREAKABLE, World, a_world

pytestmark = pytest.mark.slow

Type = Callable[..., Coroutine[Any, Any, Done]]
GIFTS = 5
WAIT = 60.0


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with own_cluster() as cluster:
        yield cluster


@pytest.fixture
async def world(cluster: EmbeddedCluster) -> AsyncIterator[World]:
    async with a_world(cluster.url, partitions=8) as world:
        for host in ("hal", "ida"):
            await world.open(host, host)
        await world.grant("ann", 100)
        for _ in range(GIFTS):
            await world.send("ann", "hal", STREAKABLE)
            await world.send("ann", "ida", STREAKABLE)
        yield world


@pytest.fixture
def typed(tmp_path: Path, cluster: EmbeddedCluster) -> Type:
    """Types a command that is about the cluster."""

    async def typed(*words: str) -> Done:
        done = await run_command(*words, "--redis", cluster.url, cwd=tmp_path, XDG_RUNTIME_DIR=str(tmp_path))
        assert "Traceback" not in done.complaints
        return done

    return typed


async def test_an_audit_finds_the_books_by_their_prefix_alone(world: World, typed: Type) -> None:
    done = await typed("audit")
    assert (done.status, done.complaints) == (0, "")
    assert f"{2 * GIFTS} gifts" in done.out
    assert "0 gifts under way between partitions, 0 coins" in done.out
    told = json.loads((await typed("audit", "--json")).out)
    assert (told["clean"], told["crossed"]["debited"], told["crossed"]["credited"]) == (True, 2 * GIFTS, 2 * GIFTS)
    done = await typed("audit", "--key-prefix", "others")
    assert done.status == 2
    assert "There are books under gifting" in done.complaints


async def test_settings_are_shown_and_set(world: World, typed: Type) -> None:
    assert "partitions 8\n" in (await typed("settings")).out
    assert "streak_window 3 became 4" in (await typed("settings", "set", "streak_window", "4")).out
    assert await world.redis.hget(world.ledger.keys.meta, "streak_window") == b"4"


async def test_a_halt_is_ended(world: World, typed: Type) -> None:
    assert (await typed("resume")).out == "No halt is noted.\n"
    await world.redis.hset(world.ledger.keys.meta, FIELD, "then, a test")
    assert "They were closed at then, a test" in (await typed("resume")).out
    assert not await world.redis.hexists(world.ledger.keys.meta, FIELD)


async def test_the_archive_follows_and_is_proved(
    world: World, typed: Type, cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gifting", "archive", "--redis", cluster.url, "--archive", url),
        *("--data-dir", str(tmp_path / "data")),
        env=environment(XDG_RUNTIME_DIR=str(tmp_path)),
        stderr=asyncio.subprocess.PIPE,
    )
    store = open_store(url)
    try:
        async with asyncio.timeout(WAIT):
            while not await archived(store):
                await asyncio.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, complaints = await process.communicate()
        assert process.returncode == 0, complaints
    finally:
        await store.close()
    done = await typed("audit", "--archive", url, "--data-dir", str(tmp_path / "data"))
    assert done.status == 0, done.out + done.complaints
    month = ("--month", "2027-01", "--archive", url)
    told = await run_command("report", "unspent", *month, cwd=tmp_path, XDG_RUNTIME_DIR=str(tmp_path))
    assert told.status == 0, told.complaints


async def archived(store: Any) -> bool:
    """Whether the grant, and both sides of each gift, are there."""
    try:
        return await count_of(store, entries) == 1 + 4 * GIFTS
    except Exception:  # no tables yet
        return False


async def test_rooms_and_tokens_of_a_server_on_a_cluster(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    async with Server(tmp_path / "data", cluster.url, secret="", member_rate=0) as server:
        run: dict[str, Any] = {"cwd": tmp_path, "XDG_RUNTIME_DIR": str(tmp_path / "run")}
        beside = ("--url", server.url, "--data-dir", str(tmp_path / "data"))
        opened = await run_command("room", "open", "lobby", "--host", "mara", *beside, **run)
        assert opened.status == 0, opened.complaints
        assert (await run_command("grant", "ann", "500", *beside, **run)).out == "ann has 500 coins.\n"
        sent = await run_command("send", "lobby", "spark", "--user", "ann", "--count", "3", *beside, **run)
        assert "ann sent 3 × spark to lobby; 497 coins are left." in sent.out, sent.complaints
        assert "lobby" in (await run_command("room", "list", *beside, **run)).out
        token = await run_command("token", "viewer", "--user", "ann", "--data-dir", str(tmp_path / "data"), **run)
        assert token.status == 0, token.complaints
        assert (await run_command("room", "end", "lobby", *beside, **run)).out == "lobby has ended.\n"
