"""How far the archive is behind: from its oldest item that is missing on, and only where an archive follows."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from gifting.health import Health
from gifting.ledger.backlog import Backlog
from gifting.ledger.meta import ARCHIVE
from tests.support.archived import archive_all
from tests.support.world import World, a_world


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, partitions=4) as made:
        yield made


async def oldest(world: World) -> int:
    found = [await world.redis.xrange(f"{base}:ledger", count=1) for base in world.ledger.keys.bases]
    return min(int(one[0][0].partition(b"-")[0]) for one in found if one)


async def test_it_is_as_old_as_the_oldest_item_that_is_not_archived(world: World) -> None:
    for user in ("ann", "bob", "cat", "dan"):
        await world.grant(user, 10)
    health = Health()
    backlog = Backlog(world.redis, world.ledger.keys, health, 60)
    since = await oldest(world)
    await backlog.read(since + 90_000)
    assert (backlog.seconds, health.degraded) == (0, {}), "no archive follows"
    await world.redis.hset(world.ledger.keys.meta, ARCHIVE, "one")
    await backlog.read(since + 60_000)
    assert (backlog.seconds, health.degraded) == (60, {})
    await backlog.read(since + 61_000)
    assert backlog.seconds == 61
    assert health.degraded.keys() == {"archive"}
    await archive_all(world.redis, world.ledger.keys)
    await backlog.read(since + 90_000)
    assert (backlog.seconds, health.degraded) == (0, {})
    await world.grant("ann", 10)
    await backlog.read(since - 1)
    assert backlog.seconds == 0, "Redis' clock has gone back"
