"""The preloaded faults: each does to a real redis-server what it says, and ends when it is told to."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gifting.bench.soak.shim import FaultShim
from gifting.ledger.embedded import EmbeddedRedis
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(not FaultShim.available(), reason="needs Linux and cc")


@pytest.fixture
def shim() -> Iterator[FaultShim]:
    with FaultShim() as shim:
        yield shim


@pytest.fixture
async def server(shim: FaultShim, tmp_path: Path) -> AsyncIterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path / "data", env=shim.env)
    await server.start()
    yield server
    shim.clear()
    await server.stop()


@pytest.fixture
async def client(server: EmbeddedRedis) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url) as client:
        yield client


async def ahead(client: Redis) -> float:
    """Seconds that Redis' clock is ahead of ours."""
    seconds, micros = await client.time()
    return seconds + micros / 1e6 - time.time()


async def test_clock_steps_and_comes_back(shim: FaultShim, client: Redis) -> None:
    for seconds in (780.0, -3600.0):
        shim.step_clock(seconds)
        assert await ahead(client) == pytest.approx(seconds, abs=5)
    shim.clear()
    assert await ahead(client) == pytest.approx(0, abs=5)


async def test_keys_expire_by_the_stepped_clock(shim: FaultShim, client: Redis) -> None:
    await client.set("key", "x", ex=60)
    shim.step_clock(90)
    assert await client.get("key") is None


@pytest.mark.parametrize("fault", [FaultShim.fail_fsync, FaultShim.disk_full, FaultShim.die_at_fsync])
async def test_a_fault_of_the_disk_ends_redis_unanswered(
    shim: FaultShim, server: EmbeddedRedis, client: Redis, fault: Callable[[FaultShim], None]
) -> None:
    fault(shim)
    with pytest.raises(RedisError):
        await client.set("key", "x")
    assert shim.syncs + shim.writes > 0
    shim.clear()
    await until(lambda: server.restarts > 0)


async def test_a_stalled_fsync_holds_the_reply(shim: FaultShim, client: Redis) -> None:
    shim.stall_fsync()
    reply = asyncio.ensure_future(client.set("key", "x"))
    await until(lambda: shim.syncs > 0)
    assert not reply.done()
    shim.clear()
    assert await reply


def test_other_programs_are_left_alone(shim: FaultShim) -> None:
    shim.step_clock(1e6)
    found = subprocess.run(["date", "+%s"], env=shim.env, capture_output=True, text=True, check=True)
    assert abs(int(found.stdout) - time.time()) < 60
    with FaultShim("") as everything:
        everything.step_clock(1e6)
        found = subprocess.run(["date", "+%s"], env=everything.env, capture_output=True, text=True, check=True)
    assert int(found.stdout) - time.time() == pytest.approx(1e6, abs=60)
