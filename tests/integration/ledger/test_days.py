"""What was earned by day is forgotten once nothing can ask for it; a day is believed once the clock has held."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gifting import errors
from gifting.ledger import days as module
from gifting.ledger import scripts
from gifting.ledger.audit import audit
from gifting.ledger.days import EARNED, FIELD, Days
from gifting.ledger.floors import HOLD_MAX
from gifting.ledger.payouts import Hold
from gifting.ledger.status import Status
from gifting.model.creators import DAYS_MAX, Tier
from gifting.model.earnings import KEPT_DAYS
from gifting.model.money import key_time, parse_key
from gifting.model.packing import pack, unpack
from gifting.model.payouts import Payout, payout_id
from gifting.model.reversals import Given, Taken
from tests.support.lua import break_off
from tests.support.world import START, World, a_world

DAY = 86_400_000


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, partitions=2, like_interval=0) as made:
        await made.grant("ann", 100_000)
        yield made
        report = await audit(made.redis, made.ledger.keys)
        assert report.clean, report.lines()


@pytest.fixture
async def tampered(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, partitions=1, like_interval=0) as made:
        yield made


def today(world: World) -> int:
    return world.clock[0] // DAY


async def kept(world: World) -> list[int]:
    fields = await world.redis.hkeys(f"{world.base('host')}:diamonds")
    return sorted(int(name[5:]) for name in fields if name[5:].isdigit())


async def forget(world: World, held: float = HOLD_MAX) -> None:
    """Until nothing is left to do."""
    while True:
        await world.ledger.upkeep.days.raise_to(world.clock[0], held)
        if not world.ledger.upkeep.days._left:
            return


async def earn(world: World, days: int, step: int = 1) -> None:
    """500 milli-diamonds on each of the days, up to today."""
    for _ in range(days):
        await world.send()
        world.clock[0] += step * DAY
    world.clock[0] -= step * DAY


async def available(world: World, hold: int, reserve: int = 0, bps: int = 0) -> int:
    """What the script of payouts says."""
    key = parse_key(world.key())
    money: dict[str, Any] = {"diamonds": 2**52, "amount": 1, "currency": "USD", "provider": "sandbox", "account": "a"}
    draft = Payout(id=payout_id("host", key), host="host", digest=b"8 bytes!", created=key_time(key), **money)
    with pytest.raises(errors.NotEnoughDiamonds) as refused:
        await world.ledger.payouts.request(draft, Hold(hold, reserve, bps), lambda _: None)
    return int(str(refused.value.detail).split(" ", 1)[0])


async def split(world: World, hold: int, reserve: int = 0, bps: int = 0) -> int:
    tier = Tier(id="t", hold_days=hold, reserve_days=reserve, reserve_bps=bps)
    return (await world.ledger.creators.read("host")).split(tier).available


async def test_what_no_hold_can_ask_for_is_forgotten(world: World) -> None:
    first = today(world)
    await earn(world, 3, KEPT_DAYS // 2)  # on days 0, 215 and 430
    assert KEPT_DAYS == 431
    await forget(world)
    assert await kept(world) == [first, first + 215, first + 430]
    world.clock[0] += DAY
    await forget(world, HOLD_MAX - 1)
    assert len(await kept(world)) == 3, "the clock has not held"
    await forget(world)
    assert await kept(world) == [first + 215, first + 430]
    world.clock[0] -= 40 * DAY
    await forget(world)
    base, options = world.base("host"), pack((first - 9, first, "0", 10))
    assert (
        unpack(await scripts.call(world.redis, "prune_days", [f"{base}:floors", f"{base}:diamonds"], options))[0]
        == first + 1
    )
    assert int(await world.redis.hget(f"{world.base('host')}:floors", FIELD)) == first + 1, "no floor falls"


async def test_a_hold_that_is_made_longer_after_that_finds_what_it_asks_for(world: World) -> None:
    await earn(world, 6, 100)
    await forget(world)
    for hold in (0, 120, DAYS_MAX):
        at_least = 500 * len([day for day in range(0, 600, 100) if day < hold])
        assert await available(world, hold) == await split(world, hold) == 3000 - at_least


async def test_a_gift_whose_day_is_forgotten_is_clawed_back_of_the_newest(world: World) -> None:
    key, at = world.key(), world.clock[0]
    sent = await world.send(count=3, key=key)
    world.clock[0] += 500 * DAY
    await world.send(count=2)
    await forget(world)
    assert await kept(world) == [today(world)]
    gift = Given(parse_key(key), "ann", "r1", "host", sent.seq, "spark", 3, 3, 1500, at)
    half = await world.ledger.reversals.give_back(gift, "op", "a test", "", world.clock[0])
    done = await world.ledger.reversals.take_from_host(half, world.clock[0])
    assert done.taken == Taken(1500)
    assert (await world.ledger.creators.read("host")).days == {today(world): 0}
    world.clock[0] += DAY
    await world.send()


async def test_a_call_looks_at_a_page_and_a_round_at_a_few(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    base, old = world.base("host"), today(world) - KEPT_DAYS
    many = {f"u{number}/{old}": 1 for number in range(3000)}
    await world.redis.hset(f"{base}:diamonds", mapping=many)
    monkeypatch.setattr(module, "PAGE", 100)
    before = await world.redis.hlen(f"{base}:diamonds")
    await world.ledger.upkeep.days.raise_to(world.clock[0], HOLD_MAX)
    assert 500 < before - await world.redis.hlen(f"{base}:diamonds") < 2000
    await forget(world)
    assert await world.redis.hlen(f"{base}:diamonds") == before - 3000


async def test_who_breaks_off_leaves_what_the_next_one_finishes(redis_client: Redis, redis_url: str) -> None:
    for at in range(1, 20):
        await redis_client.flushall()
        async with a_world(redis_url, partitions=2, like_interval=0) as world:
            await world.grant("ann", 10)
            await earn(world, 3, 300)
            with pytest.MonkeyPatch.context() as patch:
                break_off(patch, at)
                try:
                    await forget(world)
                except ResponseError:
                    broke = True
                else:
                    broke = False
            report = await audit(world.redis, world.ledger.keys)
            assert report.clean, report.lines()
            another = Days(world.redis, world.ledger.keys)
            await another.raise_to(world.clock[0], HOLD_MAX)
            assert len(await kept(world)) == 2
            assert (await audit(world.redis, world.ledger.keys)).clean
        if not broke:
            break
    assert 4 < at < 19


async def test_a_clock_that_is_ahead_makes_nothing_available_until_it_has_held(world: World) -> None:
    await world.send(count=4)
    await forget(world)
    before = await available(world, 120)
    assert before == 0
    for ahead in (1, 120, 4000):
        world.clock[0] += ahead * DAY
        await forget(world, HOLD_MAX - 1)
        assert await available(world, 120) == await split(world, 120) == 0
        world.clock[0] -= ahead * DAY
        assert await available(world, 120) == 0
    world.clock[0] += 120 * DAY
    await forget(world)
    assert await available(world, 120) == await split(world, 120) == 2000


async def test_what_is_earned_while_the_clock_is_ahead_is_pending_after(world: World) -> None:
    world.clock[0] += (DAYS_MAX - 1) * DAY
    await world.send(count=2)
    world.clock[0] -= (DAYS_MAX - 1) * DAY
    await world.send()
    assert await available(world, 1) == await split(world, 1) == 0


@pytest.mark.parametrize("ago", [0, KEPT_DAYS - 1])
async def test_an_audit_is_exact_from_the_floor_on(redis_client: Redis, redis_url: str, ago: int) -> None:
    async with a_world(redis_url, partitions=2, like_interval=0) as world:
        await world.grant("ann", 10)
        await earn(world, 2, KEPT_DAYS - 1)
        await forget(world)
        field = f"host/{today(world) - ago}"
        await world.redis.hdel(f"{world.base('host')}:diamonds", field)
        report = await audit(world.redis, world.ledger.keys)
        assert {group.name for group in report.groups} == {"diamonds_differ"}


async def test_books_of_an_older_version_are_exact_from_the_next_day_on(redis_client: Redis, redis_url: str) -> None:
    async with a_world(redis_url, partitions=2, like_interval=0) as world:
        await world.grant("ann", 10)
        await world.send()
        base = world.base("host")
        await world.redis.hdel(f"{base}:diamonds", f"host/{today(world)}")
        await world.redis.hdel(f"{base}:floors", EARNED)
        assert (await audit(world.redis, world.ledger.keys)).clean
        await Days(world.redis, world.ledger.keys).raise_to(world.clock[0], 0)
        await world.send()
        world.clock[0] += DAY
        await world.send()
        assert (await audit(world.redis, world.ledger.keys)).clean
        await world.redis.hincrby(f"{base}:diamonds", f"host/{today(world)}", -1)
        assert not (await audit(world.redis, world.ledger.keys)).clean


async def test_the_script_knows_the_last_day_of_hold_and_of_reserve(tampered: World) -> None:
    terms = (7, 30, 4_000)
    for ago, there in ((6, 0), (7, 600), (29, 600), (30, 1000)):
        await tampered.redis.delete(f"{tampered.base('host')}:diamonds")
        fields = {"host": 1000, f"host/{today(tampered) - ago}": 1000}
        await tampered.redis.hset(f"{tampered.base('host')}:diamonds", mapping=fields)
        assert await said(tampered, terms) == await split(tampered, *terms) == there


AMOUNTS = st.integers(0, 2**53 - 1)
AROUND = st.integers(-KEPT_DAYS - 70, DAYS_MAX)
"""Days before and after today."""


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    balance=st.integers(0, 2**53 - 2),
    debt=st.one_of(st.just(0), AMOUNTS),
    earned=st.dictionaries(AROUND, st.one_of(st.integers(-(2**52), 2000), st.integers(0, 2**48)), max_size=30),
    terms=st.tuples(st.integers(0, DAYS_MAX), st.integers(0, DAYS_MAX), st.integers(0, 10_000)),
    back=st.integers(-60, 60),
    floor=st.one_of(st.none(), st.integers(-70, 70)),
)
async def test_the_script_of_payouts_splits_as_the_model_does_and_forgetting_changes_nothing(
    tampered: World,
    balance: int,
    debt: int,
    earned: dict[int, int],
    terms: tuple[int, int, int],
    back: int,
    floor: int | None,
) -> None:
    """By any clock, that has gone back, or is ahead of what is believed of it."""
    world, base = tampered, tampered.base("host")
    await world.redis.delete(f"{base}:diamonds", f"{base}:floors")
    world.clock[0], now = START + back * DAY, START // DAY
    fields = {f"host/{now + day}": diamonds for day, diamonds in earned.items()}
    await world.redis.hset(f"{base}:diamonds", mapping={"host": balance, "host/debt": debt, **fields})
    if floor is not None:
        await world.redis.hset(f"{base}:floors", FIELD, now + floor - KEPT_DAYS + 1)
    before = await said(world, terms)
    assert before == await split(world, *terms)
    creator = await world.ledger.creators.read("host")
    assert creator.today == (now + back if floor is None else now + min(back, floor))
    days = Days(world.redis, world.ledger.keys)
    await days.raise_to(world.clock[0], 0)
    assert not [day for day in await kept(world) if floor is not None and day <= now + floor - KEPT_DAYS]
    if floor is None or back >= floor - 31:
        assert await said(world, terms) == await split(world, *terms) == before
    else:
        assert await said(world, terms) == await split(world, *terms)


async def said(world: World, terms: tuple[int, int, int]) -> int:
    """What the script says is available, to whom asks for too much."""
    options = ("host", 0, "id", b"", 0, bytes(16), 2**53 - 1, 1, "USD", "sandbox", *terms, KEPT_DAYS)
    await world.redis.hincrby(f"{world.base('host')}:payouts:host", "v", 0)
    status, most = unpack(await world.raw("payout_put", world.ledger.keys.payout_put("host"), options))
    assert status == Status.NOT_ENOUGH_DIAMONDS or most == 2**53 - 1
    return int(most)
