"""What hosts earn: by day, and less a commission, which each credit tells."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from gifting import errors
from gifting.ledger.audit import audit
from gifting.ledger.entries import Credit
from gifting.ledger.stream import Span, read_ledger
from gifting.model.catalog import load_catalog
from gifting.model.creators import parse_creators
from gifting.model.money import effective_rate
from tests.support.world import World, a_world

DAY = 86_400_000
TERMS = """
[payout]
currency = "USD"
micros_per_diamond = 10_000
minimum = 1
[[tier]]
id = "standard"
hold_days = 120
commission = {}
"""


@pytest.fixture
async def third(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, diamonds_per_coin="1/3") as world:
        await world.grant("ann", 100_000)
        yield world


async def kept(world: World) -> dict[str, int]:
    found = await world.redis.hgetall(f"{world.base('host')}:diamonds")
    return {name.decode(): int(value) for name, value in found.items()}


async def credits_of(world: World) -> list[Credit]:
    spans = {world.base("host"): Span()}
    return [entry async for _, _, entry in read_ledger(world.redis, spans) if isinstance(entry, Credit)]


async def take(world: World, commission: int) -> None:
    await world.redis.hset(f"{world.base('host')}:diamonds", "host/bps", commission)


async def test_a_gift_belongs_to_the_utc_day_of_its_commit(world: World) -> None:
    today = world.clock[0] // DAY
    for at in (DAY * (today + 1) - 1, DAY * (today + 1), DAY * (today + 2) - 1, DAY * today):  # at last it steps back
        world.clock[0] = at
        await world.send(count=2)
    assert await kept(world) == {"host": 4000, f"host/{today}": 2000, f"host/{today + 1}": 2000}
    assert (await audit(world.redis, world.ledger.keys)).clean


async def test_a_commission_is_taken_off_from_the_next_gift_on_and_told_by_each(third: World) -> None:
    world = third
    seen = []
    for commission in (0, 3_000, 3_333, 0, 9_999):
        await take(world, commission)
        await world.send(count=10)
        await world.send(count=10)
        seen += [commission, commission]
    told = await credits_of(world)
    assert [credit.commission for credit in told] == seen
    assert [(credit.numerator, credit.denominator) for credit in told] == [
        effective_rate((1000, 3), commission) for commission in seen
    ]
    assert [credit.diamonds for credit in told][:4] == [3333, 3333, 2334, 2333]  # a remainder goes on
    assert [event["diamonds"] for event in await world.log()] == [credit.diamonds for credit in told]
    assert (await kept(world))["host"] == sum(credit.diamonds for credit in told)
    assert (await audit(world.redis, world.ledger.keys)).clean


async def test_without_a_commission_an_entry_is_as_it_always_was(world: World) -> None:
    await world.send()
    (_, fields), *_ = await world.redis.xrange(f"{world.base('host')}:ledger")
    assert b"\x9b\xa6credit" in fields[b"e"]
    await take(world, 5_000)
    await world.send()
    (_, fields), *_ = await world.redis.xrevrange(f"{world.base('host')}:ledger")
    assert b"\x9c\xa6credit" in fields[b"e"]


async def test_who_has_no_commission_of_their_own_has_that_of_the_first_tier(world: World) -> None:
    world.ledger.use_creators(parse_creators(TERMS.format(5_000), ""))
    await world.send()
    await take(world, 0)
    await world.send()
    assert [credit.diamonds for credit in await credits_of(world)] == [250, 500]
    assert (await audit(world.redis, world.ledger.keys)).clean


async def test_a_commission_with_which_diamonds_are_not_exact_is_refused(redis_client: Redis, redis_url: str) -> None:
    async with a_world(redis_url, diamonds_per_coin="9999/10007") as world:
        with pytest.raises(errors.BadSetting, match="commission of 3333"):
            world.ledger.check_commissions(load_catalog(), parse_creators(TERMS.format(3_333), ""))
        world.ledger.check_commissions(load_catalog(), parse_creators(TERMS.format(0), ""))
        await world.grant("ann", 10**9)
        await take(world, 3_333)  # of a tier that is there no more
        before = await world.redis.dump(f"{world.base('host')}:diamonds")
        with pytest.raises(errors.BadAmount):
            await world.send(gift=max(load_catalog(), key=lambda gift: gift.coins).id, count=9999)
        assert await world.redis.dump(f"{world.base('host')}:diamonds") == before
        assert (await audit(world.redis, world.ledger.keys)).clean


@pytest.mark.parametrize("more", [-1, 1])
async def test_an_audit_names_a_day_that_does_not_follow_from_the_credits(world: World, more: int) -> None:
    today = world.clock[0] // DAY
    await world.send()
    world.clock[0] += DAY
    await world.send()
    await world.redis.hincrby(f"{world.base('host')}:diamonds", f"host/{today + 1}", more)
    report = await audit(world.redis, world.ledger.keys)
    assert {group.name for group in report.groups} == {"diamonds_differ"}
    assert f"earned 500 on day {today + 1}" in "\n".join(report.lines())
