"""What dies or is full under the archiver: the database, Redis, the disk. It says so, goes on, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gifting.archive import archiver as archiving
from gifting.archive.archiver import Archiver
from gifting.archive.store import Store, open_store
from gifting.errors import Unavailable
from gifting.ledger.embedded import EmbeddedRedis
from tests.support.archive import assert_whole
from tests.support.postgres import postgres
from tests.support.waiting import until
from tests.support.world import World, a_world

pytestmark = [pytest.mark.attack, pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "RETRY_MAX", 0.3)


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, like_interval=0) as made:
        await made.grant("ann", 10_000)
        yield made


@asynccontextmanager
async def running(world: World, store: Store) -> AsyncIterator[None]:
    """An archiver that runs, and has archived all when it is over."""
    stop = asyncio.Event()
    task = asyncio.create_task(Archiver(world.redis, world.ledger.keys, "gifting", store).run(stop))
    try:
        yield
        await until(lambda: task.done() or is_caught_up(world))
        assert not task.done(), task
    finally:
        stop.set()
        await task


async def is_caught_up(world: World) -> bool:
    for base in world.ledger.keys.bases:
        last = await world.redis.xrevrange(f"{base}:ledger", count=1)
        if last and await world.redis.get(f"{base}:archived") != last[0][0]:
            return False
    return True


async def until_told(caplog: pytest.LogCaptureFixture, what: str) -> None:
    await until(lambda: what in caplog.text)


async def gifts(world: World, count: int) -> None:
    for _ in range(count):
        await world.send()


async def test_a_postgresql_that_is_killed_again_and_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with postgres("max_connections=20") as cluster:
        store = open_store(cluster.new_database())
        async with running(world, store):
            for _ in range(3):
                giving = asyncio.create_task(gifts(world, 100))
                await asyncio.sleep(0.1)
                await asyncio.to_thread(cluster.kill)
                await giving
                await until_told(caplog, "the archive stands still")
                await asyncio.to_thread(cluster.start)
                await until_told(caplog, "the archive goes on again")
                caplog.clear()
        assert await assert_whole(store, world.redis, world.ledger.keys) == 601
        await store.close()


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file of this process may grow beyond: a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_disk_that_is_full(world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'archive.db'}")
    async with running(world, store):
        await until(lambda: is_caught_up(world))
        with files_up_to((tmp_path / "archive.db-wal").stat().st_size + 1000):
            await gifts(world, 50)
            await until_told(caplog, "the archive stands still")
            assert not await is_caught_up(world)
        await until_told(caplog, "the archive goes on again")
    assert await assert_whole(store, world.redis, world.ledger.keys) == 101
    await store.close()


async def test_a_redis_that_is_killed_again_and_again(
    archive_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    embedded = EmbeddedRedis(tmp_path / "data")
    store = open_store(archive_url)
    async with a_world(await embedded.start(), like_interval=0) as world:
        await world.grant("ann", 1000)
        async with running(world, store):
            for _ in range(3):
                await gifts(world, 20)
                pid, restarts = embedded.pid, embedded.restarts
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                await until_answers(world, embedded, restarts)
        assert await assert_whole(store, world.redis, world.ledger.keys) == 1 + 2 * 3 * 20
    await store.close()
    await embedded.stop()


async def until_answers(world: World, embedded: EmbeddedRedis, restarts: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                if embedded.restarts > restarts and await world.ledger.wallets.read("ann"):
                    return
            except Unavailable:
                pass
            await asyncio.sleep(0.05)
