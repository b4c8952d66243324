"""Coins, diamonds and remainders at their edges."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from gifting import errors
from gifting.ledger.entries import Credit, Debit, Grant
from gifting.ledger.status import Status
from gifting.ledger.stream import Span, read_ledger
from gifting.model.money import MAX_AMOUNT, diamonds_for, parse_key
from tests.support.world import World, a_world


async def test_the_largest_balance_is_exact(redis_client: Redis, redis_url: str) -> None:
    async with a_world(redis_url) as world:
        assert await world.grant("ann", MAX_AMOUNT) == (MAX_AMOUNT, False)
        for left in (MAX_AMOUNT - 1, MAX_AMOUNT - 2):
            assert (await world.send()).coins == left
            assert await world.ledger.wallets.read("ann") == (left, 0)
            assert await world.ledger.wallets.read("host") == (0, (MAX_AMOUNT - left) * 500)
        (grant, *_) = [entry async for _, _, entry in read_ledger(world.redis, {world.base("ann"): Span()})]
        assert isinstance(grant, Grant)
        assert grant.coins == MAX_AMOUNT


@pytest.mark.parametrize("rate", ["1/3", "2/3", "1/7000", "999/1000000"])
async def test_remainders_are_carried(redis_client: Redis, redis_url: str, rate: str) -> None:
    async with a_world(redis_url, diamonds_per_coin=rate) as world:
        await world.grant("ann", 1000)
        numerator, denominator = world.ledger.settings.diamond_rate()
        carry = total = 0
        for coins in (1, 2, 1, 5, 1, 1, 99):
            diamonds, carry = diamonds_for(coins, (numerator, denominator), carry)
            total += diamonds
            await world.send(count=coins)
            assert (await world.log())[-1]["diamonds"] == diamonds
        assert (await world.ledger.wallets.read("host"))[1] == total == 110 * numerator // denominator


async def test_the_stream_has_an_entry_of_each_side(world: World) -> None:
    key = world.key()
    await world.send(count=3, key=key)
    ends = dict.fromkeys(world.ledger.keys.bases, Span())
    entries = [entry async for _, _, entry in read_ledger(world.redis, ends)]
    assert sorted(type(entry).__name__ for entry in entries) == ["Credit", "Debit", "Grant"]
    gifts = [entry for entry in entries if isinstance(entry, Debit | Credit)]
    assert [(entry.key, entry.coins) for entry in gifts] == [(parse_key(key), 3)] * 2


async def test_who_has_sent_before_sends_no_more_than_there_is(world: World) -> None:
    """An account that nothing restricts is looked at by a short cut, from its second call on."""
    await world.grant("bob", 3)
    assert (await world.send("bob")).coins == 2
    for count in (3, 1000):
        with pytest.raises(errors.InsufficientCoins):
            await world.send("bob", count=count)
    assert (await world.send("bob", count=2)).coins == 0


@pytest.mark.one_redis("what one call of commit makes of several gifts")
async def test_coins_run_out_in_mid_batch(world: World) -> None:
    await world.grant("bob", 3)
    results = await world.together(
        {"user": "bob", "count": 2}, {"user": "bob", "count": 2}, {"user": "bob"}, {"user": "bob"}, {}
    )
    statuses = [Status(result.status).name for result in results]
    assert statuses == ["OK", "INSUFFICIENT_COINS", "OK", "INSUFFICIENT_COINS", "OK"]
    assert [result.coins for result in results] == [1, 1, 0, 0, 999]
    assert [event["seq"] for event in await world.log()] == [1, 2, 3]


@pytest.mark.one_redis("what one call of commit makes of several gifts")
async def test_a_full_batch_over_many_partitions(world: World) -> None:
    rooms = [await world.ledger.rooms.open(f"s{number}", f"h{number}", "", "") for number in range(20)]
    results = await world.together(*({"room": rooms[number % 20]} for number in range(256)))
    assert [result.coins for result in results] == list(range(999, 743, -1))
    for number, room in enumerate(rooms):
        assert [event["seq"] for event in await world.log(room)] == list(range(1, 14 if number < 16 else 13))
    assert world.ledger.batcher.counts.items == 256
