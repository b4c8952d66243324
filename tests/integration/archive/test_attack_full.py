"""Disks that are full, while an archive follows: PostgreSQL's, and Redis'. What was refused can be sent again, what was
taken is archived once there is room."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from redis.asyncio import Redis

from gifting.archive import archiver as archiving
from gifting.archive.archiver import Archiver
from gifting.archive.store import Store, open_store
from gifting.bench.soak.shim import FaultShim
from gifting.errors import OutcomeUnknown, Unavailable
from gifting.ledger.embedded import EmbeddedRedis
from tests.support.archive import assert_whole
from tests.support.archiver import is_caught_up
from tests.support.postgres import Cluster, postgres_folder
from tests.support.waiting import until
from tests.support.world import World, a_world

pytestmark = [pytest.mark.attack, pytest.mark.slow]

SIZE = "160m"
BALLAST = "ballast"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "RETRY_MAX", 0.3)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of its own over the folder; who may not mount one skips the test."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=777", "none", folder], check=False)
    if done.returncode:
        pytest.skip("file systems can't be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def on_a_small_disk() -> Iterator[Cluster]:
    with postgres_folder() as folder, small_disk(folder):
        cluster = Cluster(folder, ["max_wal_size=32MB", "min_wal_size=32MB", "shared_buffers=8MB"])
        cluster.make()
        cluster.start()
        try:
            yield cluster
        finally:
            (folder / BALLAST).unlink(missing_ok=True)
            cluster.stop()


def fill(folder: Path) -> Path:
    """Until not a byte is left; the file to remove."""
    ballast = folder / BALLAST
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 12))
    return ballast


def write_for_ever(cluster: Cluster) -> None:
    with psycopg.connect(cluster.dsn("postgres"), autocommit=True) as connection:
        while True:
            connection.execute("SELECT pg_logical_emit_message(true, 'full', repeat('x', 1000000))")


@asynccontextmanager
async def following(world: World, store: Store) -> AsyncIterator[None]:
    """An archiver that has archived all when it is over."""
    stop = asyncio.Event()
    task = asyncio.create_task(Archiver(world.redis, world.ledger.keys, "gifting", store).run(stop))
    try:
        yield
        await until(lambda: is_caught_up(world.redis, world.ledger.keys))
    finally:
        stop.set()
        await task


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, like_interval=0) as made:
        await made.grant("ann", 100_000)
        yield made


async def test_tables_that_have_no_room_to_grow(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Gifts go on; and the database does, but takes no more rows."""
    with on_a_small_disk() as cluster:
        store = open_store(cluster.new_database())
        async with following(world, store):
            await until(lambda: is_caught_up(world.redis, world.ledger.keys))
            ballast = fill(cluster.folder)
            given = 0
            while "the archive stands still" not in caplog.text:
                await world.send()
                given += 1
            assert "No space left on device" in caplog.text
            for _ in range(50):
                await world.send()
            ballast.unlink()
        assert "the archive goes on again" in caplog.text
        assert await assert_whole(store, world.redis, world.ledger.keys) == 1 + 2 * (given + 50)
        await store.close()


async def test_a_database_that_has_no_room_for_its_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """It takes nothing more and dies of that, and does not come back before there is room."""
    with on_a_small_disk() as cluster:
        store = open_store(cluster.new_database())
        async with following(world, store):
            await world.send()
            await until(lambda: is_caught_up(world.redis, world.ledger.keys))
            ballast = fill(cluster.folder)
            with suppress(psycopg.OperationalError):
                write_for_ever(cluster)
            for _ in range(50):
                await world.send()
            while "the archive stands still" not in caplog.text:
                await asyncio.sleep(0.05)
            ballast.unlink()
            await asyncio.to_thread(cluster.start_if_it_ended)
        assert "the archive goes on again" in caplog.text
        assert await assert_whole(store, world.redis, world.ledger.keys) == 1 + 2 * 51
        await store.close()


@pytest.mark.skipif(not FaultShim.available(), reason="needs Linux and cc")
async def test_a_redis_that_has_no_room(archive_url: str, tmp_path: Path) -> None:
    """What could not be written is refused, or unknown; by its key it is charged once, and archived once."""
    store = open_store(archive_url)
    with FaultShim() as shim:
        embedded = EmbeddedRedis(tmp_path / "data", env=shim.env)
        async with a_world(await embedded.start(), like_interval=0) as world:
            await world.grant("ann", 1000)
            async with following(world, store):
                refused = 0
                for number in range(40):
                    if number % 20 == 10:
                        shim.disk_full()
                    key = world.key()
                    while not await taken(world, key):
                        refused += 1
                        shim.clear()
                        await asyncio.sleep(0.05)
            assert refused >= 2
            assert shim.writes >= 2
            assert await assert_whole(store, world.redis, world.ledger.keys) == 1 + 2 * 40
            assert (await world.ledger.wallets.read("ann")).coins == 960
        await embedded.stop()
    await store.close()


async def taken(world: World, key: str) -> bool:
    try:
        await world.send(key=key)
    except (Unavailable, OutcomeUnknown):
        return False
    return True
