"""What nodes do beside gifts (upkeep, ends of streaks, presence, what protects, what is erased) while masters die."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.exceptions import RedisError

from gifting.errors import GiftingError
from gifting.health import Health
from gifting.ledger.audit import audit
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.days import FIELD
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.node import Node
from gifting.ledger.erasures import read_erasures
from gifting.ledger.floors import HOLD_MAX
from gifting.ledger.halt import FIELD as HALTED
from gifting.ledger.halt import Halt
from gifting.ledger.meta import ARCHIVE
from gifting.model.earnings import day_of
from tests.support.clusters import own_cluster
from tests.support.tampering import STREAKABLE, World, a_world

WAIT = 60.0
HOSTS = [f"h{number}" for number in range(8)]
DAY = 86_400_000


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with own_cluster(node_timeout=1.0) as cluster:
        yield cluster


@pytest.fixture
async def world(cluster: EmbeddedCluster) -> AsyncIterator[World]:
    """A streak is open in each room."""
    async with a_world(cluster.url) as world:
        await world.grant("ann", 1000)
        await world.redis.hset(world.ledger.keys.meta, ARCHIVE, "an archive follows")
        for host in HOSTS:
            await world.open(host, host)
            await world.send("ann", host, STREAKABLE)
        yield world


async def at_last(work: Callable[[], Awaitable[object]]) -> object:
    """As what every node does again and again: until it went through."""
    async with asyncio.timeout(WAIT):
        while True:
            try:
                return await work()
            except (GiftingError, RedisError, OSError):
                await asyncio.sleep(0.05)


async def kill_master(cluster: EmbeddedCluster, world: World, partition: int) -> Node:
    master = await cluster.owner(slot_of(world.ledger.keys.bases[partition]))
    await cluster.kill(master.id)
    return master


async def come_back(cluster: EmbeddedCluster, node: Node) -> None:
    """As a replica, once another has taken its place: a lone master takes no writes."""
    async with asyncio.timeout(WAIT):
        while len(await cluster.masters()) < 3:
            await asyncio.sleep(0.05)
    await cluster.restart(node.id)
    await cluster.settle()


@pytest.mark.parametrize("partition", [0, 9])
async def test_upkeep_goes_on_through_a_failover(cluster: EmbeddedCluster, world: World, partition: int) -> None:
    ledger, keys = world.ledger, world.ledger.keys
    world.now += 3 * DAY
    down = await kill_master(cluster, world, partition)
    back = asyncio.create_task(come_back(cluster, down))
    works: list[Callable[[], Awaitable[object]]] = [
        lambda: ledger.upkeep.floors.raise_to(world.now, HOLD_MAX),
        lambda: ledger.upkeep.days.raise_to(world.now, HOLD_MAX),
        ledger.upkeep.coins.read,
        ledger.sweeper.sweep,
        lambda: ledger.revocations.revoke_token("t1"),
        lambda: ledger.bans.ban("bob", "spam", "op"),
        lambda: ledger.erasures.ask("cid", "op", "asked"),
        *(lambda host=host: ledger.rooms.presence(world.rooms[host], "node", 7) for host in HOSTS),
        *(lambda host=host: ledger.rooms.find(host) for host in HOSTS),
        lambda: ledger.rooms.live("viewers", "", 100),
        lambda: ledger.rooms.open("later", "h-late", "h-late", "title"),
    ]
    await asyncio.gather(*map(at_last, works))
    await back
    assert await ledger.sweeper.sweep() == (0, ledger.settings.streak_window)
    for base in keys.bases:
        assert await world.redis.zcard(keys.deadlines(base)) == 0
        assert int(await world.redis.hget(f"{base}:floors", "keys")) > world.now - DAY
        assert int(await world.redis.hget(f"{base}:floors", FIELD) or 0) <= day_of(world.now)
    live, _ = await ledger.rooms.live("viewers", "", 100)
    assert set(live) == {*HOSTS, "later"}
    assert (await ledger.rooms.find("later")).host == "h-late"
    assert [one.user for one in await read_erasures(world.redis, keys, 0, 2**53)] == ["cid"]
    assert await world.redis.zscore(keys.revoked("t"), "t1")
    assert await world.redis.zscore(keys.banned, "bob")
    assert (await audit(world.redis, keys)).clean


async def test_a_halt_is_heard_everywhere_and_outlives_the_master_that_had_it(
    cluster: EmbeddedCluster, world: World
) -> None:
    meta = world.ledger.keys.meta
    down = await kill_master(cluster, world, 0)
    stopped: list[str] = []
    world.ledger.halt.pull("a test")
    back = asyncio.create_task(come_back(cluster, down))
    other = Halt(world.redis, meta, Health(), lambda: stopped.append("other"))

    async def heard() -> None:
        await other.look()
        if not other.why:
            raise RedisError("not yet")

    await at_last(heard)
    await back
    (down,) = [await kill_master(cluster, world, 0)]
    await come_back(cluster, down)
    assert b"a test" in await world.redis.hget(meta, HALTED)
    assert stopped == ["other"]
