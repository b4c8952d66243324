"""The ledger and its Redis: what it forgot, what is full, partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from math import gcd
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gifting import errors
from gifting.ledger.audit import audit
from gifting.ledger.embedded import EmbeddedRedis
from gifting.ledger.keys import Keys
from gifting.ledger.pool import MAX_CONNECTIONS
from gifting.ledger.status import Status
from gifting.model.catalog import load_catalog
from gifting.model.money import MAX_AMOUNT
from tests.support.world import World, a_world


async def test_more_calls_at_once_than_there_are_connections(world: World, redis_url: str) -> None:
    """As when a node that does not know a room yet is sent many gifts for it."""
    room = await world.ledger.rooms.open("r2", "host", "Host", "")
    async with a_world(redis_url) as other:
        assert {room} == set(await asyncio.gather(*(other.ledger.rooms.find("r2") for _ in range(4 * MAX_CONNECTIONS))))


@pytest.mark.one_redis("what one call of commit makes of several gifts")
async def test_a_batch_that_touches_every_partition_there_can_be(redis_client: Redis, redis_url: str) -> None:
    """A partition's place in the call takes one, two or three bytes."""
    async with a_world(redis_url, partitions=256) as world:
        hosts = [f"host-{number}" for number in range(250)]
        rooms = [await world.ledger.rooms.open(f"of-{host}", host, host, "") for host in hosts]
        assert len({room.base for room in rooms}) > 128
        await world.grant("ann", 1000)
        results = await world.together(*({"room": room} for room in rooms))
        assert [result.status for result in results] == [Status.OK] * len(rooms)
        assert [await world.ledger.wallets.read(host) for host in hosts] == [(0, 500)] * len(hosts)
        assert (await audit(world.redis, world.ledger.keys)).clean


async def test_scripts_that_redis_forgot_are_loaded_again(world: World) -> None:
    calls: list[Callable[[], Any]] = [
        world.send,
        lambda: world.grant("ann", 1),
        lambda: world.ledger.rooms.snapshot(world.room),
        lambda: world.ledger.rooms.top(world.room, 1),
        lambda: world.ledger.rooms.presence(world.room, "a", 1),
        world.ledger.sweeper.sweep,
        lambda: world.ledger.rooms.open("r2", "host", "", ""),
        lambda: world.ledger.rooms.end(world.room),
    ]
    for call in calls:
        await world.redis.script_flush()
        await call()
    assert (await world.ledger.wallets.read("ann"))[0] == 1000


async def test_full_redis_changes_nothing(tmp_path: Path) -> None:
    embedded = EmbeddedRedis(tmp_path / "data")
    await embedded.start()
    try:
        async with a_world(embedded.url) as world:
            await world.grant("ann", 10)
            await world.send()
            before = await world.state()
            await world.redis.config_set("maxmemory", 1)
            key = world.key()
            for call in (
                world.send(key=key),
                world.grant("ann", 1),
                world.ledger.rooms.end(world.room),
                world.ledger.rooms.open("r2", "host", "", ""),
            ):
                with pytest.raises(errors.LedgerFull):
                    await call
            assert (await world.ledger.rooms.snapshot(world.room)).seq == 1
            assert await world.state() == before
            await world.redis.config_set("maxmemory", 0)
            assert (await world.send(key=key)).coins == 8
    finally:
        await embedded.stop()


async def test_a_rate_at_which_the_dearest_gift_is_not_exact(redis_client: Redis, redis_url: str) -> None:
    """Milli-diamonds per coin as a fraction of 1000ths, so that only its numerator counts."""
    most = MAX_AMOUNT // (max(gift.coins for gift in load_catalog()) * 9_999)
    below = next(number for number in range(most - 1, 0, -1) if gcd(number, 1000) == 1)
    above = next(number for number in range(most + 1, 2 * most) if gcd(number, 1000) == 1)
    async with a_world(redis_url, diamonds_per_coin=f"{below}/1000000"):
        pass
    await redis_client.flushall()
    with pytest.raises(errors.BadSetting, match="no longer exact"):
        async with a_world(redis_url, diamonds_per_coin=f"{above}/1000000"):
            pass


async def test_other_partitions_than_the_data_has(redis_client: Redis, redis_url: str) -> None:
    async with a_world(redis_url, partitions=16):
        pass
    with pytest.raises(errors.BadSetting, match=r"partitions 16, the settings 8.*can't be changed"):
        async with a_world(redis_url, partitions=8):
            raise AssertionError


async def test_a_script_that_leaves_its_partition_is_stopped(cluster_redis_url: str) -> None:
    """What the machine on the cluster relies on."""
    async with Redis.from_url(cluster_redis_url) as client:
        text = "#!lua\nreturn redis.call('GET', 'gifting:{p01}:coins')"
        with pytest.raises(ResponseError, match="do not hash to the same slot"):
            await client.eval(text, 1, "gifting:{p00}")


def test_partitions_spread_users() -> None:
    keys = Keys("gifting", 16)
    assert {keys.base(f"u{number}") for number in range(500)} == set(keys.bases)


def test_keys_are_of_their_partition() -> None:
    keys = Keys("gifting", 16)
    names: Iterator[str] = iter(
        [keys.meta, keys.revisions, keys.directory("r"), keys.room("h", "r"), keys.log("h", "r")]
    )
    assert all(any(name.startswith(f"{base}:") for base in keys.bases) for name in names)
