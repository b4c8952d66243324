"""What was read of a cluster counts once every replica has it, and while it is the same history that is read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis.exceptions import RedisError

from gifting.ledger.cluster.client import ClusterRedis
from gifting.ledger.cluster.confirmed import Confirmed
from gifting.ledger.cluster.slots import slot_of, tags
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.keys import Keys
from tests.support.clusters import UNGUARDED, own_cluster
from tests.support.lagging import SOON_STALE

KEYS = Keys("gifting", 16, tags(16))


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with own_cluster(settings=UNGUARDED) as cluster:
        yield cluster


@pytest.fixture
async def redis(cluster: EmbeddedCluster) -> AsyncIterator[ClusterRedis]:
    async with ClusterRedis(cluster.url, 5.0) as redis:
        yield redis


async def held(confirmed: Confirmed) -> bool:
    try:
        await confirmed.hold()
    except (RedisError, OSError):
        return False
    return True


async def begun(confirmed: Confirmed) -> bool:
    try:
        await confirmed.begin()
    except (RedisError, OSError):
        return False
    return True


async def test_what_no_replica_has_is_not_held(cluster: EmbeddedCluster, redis: ClusterRedis) -> None:
    confirmed, trusting = (Confirmed(redis.router, KEYS.bases, replicas) for replicas in (1, 0))
    await confirmed.begin()
    await trusting.begin()
    assert await held(confirmed)
    (replica,) = await cluster.replicas(await cluster.owner(slot_of(KEYS.bases[3])))
    await cluster.cut(replica.id)
    assert not await held(confirmed)
    assert await held(trusting)
    await cluster.join(replica.id)
    assert await held(confirmed)


async def test_all_replicas_must_have_it_for_any_may_take_over(cluster: EmbeddedCluster, redis: ClusterRedis) -> None:
    master = await cluster.owner(slot_of(KEYS.bases[3]))
    second = await cluster.add(master.id)
    confirmed = Confirmed(redis.router, KEYS.bases, 1)
    await confirmed.begin()
    assert await held(confirmed)
    second.pause()
    assert not await held(confirmed)
    second.resume()
    assert await held(confirmed)


async def test_what_is_listed_and_does_not_follow_has_not_got_it(cluster: EmbeddedCluster, redis: ClusterRedis) -> None:
    master = await cluster.owner(slot_of(KEYS.bases[3]))
    second = await cluster.add(master.id)
    every, following = Confirmed(redis.router, KEYS.bases, 1, every=True), Confirmed(redis.router, KEYS.bases, 1)
    await every.begin()
    await following.begin()
    assert await held(every)
    await cluster.cut(second.id)
    assert not await held(every)
    assert await held(following)
    await cluster.join(second.id)
    assert await held(every)


async def test_who_is_away_is_waited_for_as_long_as_nodes_say_that_it_may_be_elected() -> None:
    async with (
        own_cluster(replicas=2, node_timeout=1.0, settings=UNGUARDED | SOON_STALE) as cluster,
        ClusterRedis(cluster.url, 5.0) as redis,
    ):
        confirmed = Confirmed(redis.router, KEYS.bases, 1, every=True)
        await confirmed.begin()
        (away, _) = await cluster.replicas(await cluster.owner(slot_of(KEYS.bases[3])))
        await cluster.cut(away.id)
        began = time.monotonic()
        assert not await held(confirmed)
        async with asyncio.timeout(60):
            while not await held(confirmed):
                await asyncio.sleep(0.05)
        assert time.monotonic() - began > 4.0
        await cluster.join(away.id)
        assert await held(confirmed)


@pytest.mark.parametrize("death", ["failover", "restart"])
async def test_another_history_is_not_held_until_it_is_begun(
    cluster: EmbeddedCluster, redis: ClusterRedis, death: str
) -> None:
    confirmed = Confirmed(redis.router, KEYS.bases, 1)
    await confirmed.begin()
    master = await cluster.owner(slot_of(KEYS.bases[3]))
    if death == "restart":
        await cluster.restart(master.id)
    else:
        (replica,) = await cluster.replicas(master)
        await cluster.promote(replica.id)
    await cluster.settle()
    assert not await held(confirmed)
    while not await begun(confirmed):
        await asyncio.sleep(0.05)
    assert await held(confirmed)
