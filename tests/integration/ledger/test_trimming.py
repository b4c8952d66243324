"""What is trimmed of the ledger: archived and old items only, and nothing that a change which broke off may need."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from gifting import errors
from gifting.ledger import trimming
from gifting.ledger.halt import FIELD, open_books
from gifting.ledger.trimming import Trimmed, raise_archived, read_trimmed, trim
from gifting.model.effects import Kind
from tests.support.accounts import account_of
from tests.support.archived import archive_all, archive_and_trim
from tests.support.keys import session_keys
from tests.support.lua import GIFTS, break_off, hook
from tests.support.orders import anyone, draft, paid, said
from tests.support.waiting import WITHIN
from tests.support.world import World, a_world

pytestmark = pytest.mark.usefixtures("unwatched")

HOUR = 3_600_000


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, partitions=2) as made:
        await made.grant("ann", 1000)
        yield made


async def ids(world: World, user: str = "ann") -> list[str]:
    return [name.decode() for name, _ in await world.redis.xrange(f"{world.base(user)}:ledger")]


async def granted(world: World, count: int) -> list[str]:
    for _ in range(count):
        await world.grant("ann", 1)
    return await ids(world)


async def test_all_but_the_last_item_archived_goes(world: World) -> None:
    before = await granted(world, 4)
    await raise_archived(world.redis, world.ledger.keys, {world.base("ann"): before[2]})
    assert await trim(world.redis, world.ledger.keys, 0) == Trimmed(2, 0)
    assert await ids(world) == before[2:]
    assert await read_trimmed(world.redis, world.base("ann")) == before[2]
    assert await trim(world.redis, world.ledger.keys, 0) == Trimmed(0, 0)


async def test_what_is_archived_never_falls(world: World) -> None:
    base, keys = world.base("ann"), world.ledger.keys
    for item_id, known in (("9-7", "9-7"), ("9-10", "9-10"), ("9-9", "9-10"), ("8-11", "9-10"), ("10-0", "10-0")):
        await raise_archived(world.redis, keys, {base: item_id})
        assert await world.redis.get(f"{base}:archived") == known.encode()


async def test_nothing_goes_that_is_not_archived_or_not_old(world: World) -> None:
    before = await granted(world, 4)
    assert await trim(world.redis, world.ledger.keys, 0) == Trimmed(0, 0)
    await archive_all(world.redis, world.ledger.keys)
    oldest, newest = (int(before[place].partition("-")[0]) for place in (0, -1))
    assert await trim(world.redis, world.ledger.keys, 60, str(oldest + 60_000)) == Trimmed(0, 0)
    assert await ids(world) == before
    assert (await trim(world.redis, world.ledger.keys, 60, str(newest + 60_001))).items == len(before) - 1


async def test_the_cut_is_exact_by_redis_clock(world: World) -> None:
    base, keys = world.ledger.keys.bases[0], world.ledger.keys
    await world.redis.delete(f"{base}:ledger")
    for at in range(1000):
        await world.redis.xadd(f"{base}:ledger", {"e": b""}, id=f"{10_000 + at}-1")
    await raise_archived(world.redis, keys, {base: "10900-1"})
    for now, first in ((60_000, 10_000), (60_500, 10_500), (60_501, 10_501), (90_000, 10_900)):
        await trim(world.redis, keys, 50, str(now))
        (found,) = await world.redis.xrange(f"{base}:ledger", count=1)
        assert found[0] == f"{first}-1".encode()


async def test_an_archived_item_that_is_not_there_trims_nothing(world: World) -> None:
    """Redis is behind what was archived, or is another."""
    before = await granted(world, 4)
    await raise_archived(world.redis, world.ledger.keys, {world.base("ann"): f"{2**45}-0"})
    assert await trim(world.redis, world.ledger.keys, 0) == Trimmed(0, 0)
    assert await ids(world) == before


async def test_nothing_goes_while_the_ledger_is_halted(world: World) -> None:
    await granted(world, 4)
    await archive_all(world.redis, world.ledger.keys)
    await world.redis.hset(world.ledger.keys.meta, FIELD, "a test")
    assert await trim(world.redis, world.ledger.keys, 0) == Trimmed(0, 0)
    await open_books(world.redis, world.ledger.keys.meta)
    assert (await trim(world.redis, world.ledger.keys, 0)).items


async def test_a_large_backlog_goes_in_pieces(world: World) -> None:
    base = world.ledger.keys.bases[1]
    await world.redis.delete(f"{base}:ledger")
    pipe = world.redis.pipeline(transaction=False)
    for at in range(25_050):
        pipe.xadd(f"{base}:ledger", {"e": b"x"}, id=f"{1 + at}-1")
    await pipe.execute()
    await raise_archived(world.redis, world.ledger.keys, {base: "25050-1"})
    one = await trimming._trim(world.redis, base, 0, "")
    assert 9_900 <= one.items <= 10_000
    assert (await trim(world.redis, world.ledger.keys, 0)).items == 25_049 - one.items
    assert await world.redis.xlen(f"{base}:ledger") == 1


# What broke off.


async def broken_off(world: World, url: str, effect: Any, at: int) -> bool:
    """Apply it on a node whose script breaks off at its call number ``at``; the books are opened again after that."""
    async with a_world(url, partitions=2) as node:
        try:
            with pytest.MonkeyPatch.context() as patch:
                break_off(patch, at, for_good=True)
                await node.ledger.orders.apply(effect)
        except errors.Unavailable:
            assert node.ledger.halt.why
        else:
            return False
    assert await open_books(world.redis, world.ledger.keys.meta)
    return True


@pytest.mark.parametrize("what", ["paid", "refunded"])
async def test_what_broke_off_anywhere_is_completed_after_all_is_archived_and_trimmed(
    world: World, redis_url: str, what: str
) -> None:
    """At each of its calls. As if nothing had been trimmed; and once it is completed, what is old goes."""
    orders = world.ledger.orders
    for at in range(1, 60):
        order = await orders.open(draft(f"u{at}", world.key()), anyone)
        effect = paid(order)
        if what == "refunded":
            await orders.apply(effect)
            effect = said(order, Kind.REFUNDED, "refund", amount=500)
        broke = await broken_off(world, redis_url, effect, at)
        for _ in range(3):
            await world.grant(order.user, 10)
            await archive_and_trim(world.redis, world.ledger.keys)
        for _ in range(2):
            await orders.apply(effect)
        found = await account_of(world.redis, world.base(order.user), order.user)
        assert found.coins - found.debt - 30 == (60 if what == "refunded" else 120), at
        await archive_and_trim(world.redis, world.ledger.keys)
        assert await world.redis.xlen(f"{world.base(order.user)}:ledger") == 1, "nothing stays in the way"
        assert not [name for name in await world.redis.hkeys(f"{world.base(order.user)}:totals") if b"redo" in name]
        if not broke:
            break
    assert 12 < at < 59


async def test_one_that_broke_off_and_was_trimmed_all_the_same_is_refused_aloud(world: World) -> None:
    """By a stranger, or a release that knew of no marks: whether coins were issued can't be told any more."""
    order = await world.ledger.orders.open(draft("ann", world.key()), anyone)
    with pytest.MonkeyPatch.context() as patch:
        broken = (
            "if command == 'XADD' then error({ err = 'ERR broken off' }, 0) end; return real.call(command, key, ...)"
        )
        hook(patch, "", broken, spared=GIFTS)
        with pytest.raises(errors.Unavailable):
            await world.ledger.orders.apply(paid(order))
    world.ledger.halt.why = ""
    await granted(world, 3)
    await world.redis.xtrim(f"{world.base('ann')}:ledger", maxlen=1, approximate=False)
    with pytest.raises(errors.Unavailable):
        await world.ledger.orders.apply(paid(order))
    assert await world.redis.hexists(world.ledger.keys.orders("ann")[0], "redo")


class Busy:
    """A Redis to whom an item comes, and is archived, before each call of a script."""

    def __init__(self, redis: Any, base: str) -> None:
        self._redis = redis
        self._base = base

    def __getattr__(self, name: str) -> Any:
        return getattr(self._redis, name)

    async def evalsha(self, *call: Any) -> Any:
        await asyncio.sleep(0.002)
        added = await self._redis.xadd(f"{self._base}:ledger", {"e": b""})
        await self._redis.set(f"{self._base}:archived", added)
        return await self._redis.evalsha(*call)


async def test_what_becomes_old_meanwhile_is_left_for_the_next_time(redis_client: Any) -> None:
    keys = session_keys(1)
    busy = Busy(redis_client, keys.bases[0])
    for number in (1, 2, 3):
        await redis_client.xadd(f"{keys.bases[0]}:ledger", {"e": b""}, id=f"{number}-0")
    async with asyncio.timeout(WITHIN):
        assert (await trim(busy, keys, 0)).items == 3
    assert await redis_client.xlen(f"{keys.bases[0]}:ledger") == 2
