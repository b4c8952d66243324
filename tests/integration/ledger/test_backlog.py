"""How far the archive is behind: from its oldest item that is missing on, and only where an archive follows."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from gifting.health import Health
from gifting.ledger import scripts
from gifting.ledger.backlog import Backlog
from gifting.ledger.meta import ARCHIVE, REFUSED
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


async def test_items_that_wait_are_counted_from_those_that_are_archived(world: World) -> None:
    health, base = Health(), world.base("ann")
    backlog = Backlog(world.redis, world.ledger.keys, health, 60)
    for user in ("ann", "ann", "bob"):
        await world.grant(user, 10)
    await backlog.read(0)
    assert backlog.items == 0, "no archive follows"
    await world.redis.hset(world.ledger.keys.meta, ARCHIVE, "one")
    await backlog.read(0)
    assert backlog.items == 3
    first = (await world.redis.xrange(f"{base}:ledger", count=1))[0][0].decode()
    await scripts.call(world.redis, "archived", [f"{base}:archived", f"{base}:archived/items"], first, 1)
    await world.redis.xtrim(f"{base}:ledger", maxlen=1, approximate=False)
    await backlog.read(0)
    assert backlog.items == 2


async def test_what_the_archiver_refuses_is_degraded_at_once_and_until_one_follows(world: World) -> None:
    health = Health()
    backlog = Backlog(world.redis, world.ledger.keys, health, 1e9)
    await world.redis.hset(world.ledger.keys.meta, mapping={ARCHIVE: "one", REFUSED: "It is behind."})
    await backlog.read(0)
    assert health.degraded == {"archive": "The archiver does not follow these books: It is behind. Gifts go on."}
    await world.redis.hdel(world.ledger.keys.meta, REFUSED)
    await backlog.read(0)
    assert health.degraded == {}
