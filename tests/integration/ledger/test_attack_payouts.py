"""Payouts, what comes back of them, claw-backs, settlements and changes of one creator, at once and by two nodes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from gifting import errors
from gifting.ledger.audit import audit
from gifting.ledger.entries import Clawback, Credit, Payout
from gifting.ledger.payouts import Hold
from gifting.ledger.stream import Span, read_ledger
from gifting.model.money import key_time, parse_key
from gifting.model.payouts import Fact, Kind, payout_id
from gifting.model.payouts import Payout as Record
from gifting.model.reversals import Given, Reversal
from tests.support.world import World, a_world

DAY = 86_400_000
HOLD = Hold(1)
GIFTS = 10
EACH = 20_000
"""Milli-diamonds of a gift: ten of yesterday are available, ten of today pending."""


@pytest.fixture
async def nodes(redis_client: Redis, redis_url: str) -> AsyncIterator[tuple[World, World]]:
    async with a_world(redis_url, partitions=2, like_interval=0) as one, a_world(redis_url, partitions=2) as other:
        other.made = one.made  # of keys
        yield one, other


async def earn(world: World) -> list[Reversal]:
    """Gifts that are half reversed: their coins are back, their diamonds are still the host's."""
    found = []
    for _ in range(GIFTS):
        key, count = world.key(), EACH // 500
        sent = await world.send(count=count, key=key)
        given = Given(parse_key(key), "ann", "r1", "host", sent.seq, "spark", count, count, EACH, world.clock[0])
        found.append(await world.ledger.reversals.give_back(given, "op", "a test", "", world.clock[0]))
    return found


def draft(world: World, diamonds: int) -> Record:
    key = parse_key(world.key())
    return Record(
        id=payout_id("host", key),
        host="host",
        digest=b"8 bytes!",
        provider="sandbox",
        account="acct",
        diamonds=diamonds,
        amount=diamonds // 2000,
        currency="USD",
        created=key_time(key),
    )


async def pay(nodes: tuple[World, World], made: Record, comes_back: bool) -> None:
    """Asked for by both; sent and told of by either."""
    asked = [node.ledger.payouts.request(made, HOLD, lambda _: None) for node in nodes]
    found = await asyncio.gather(*asked, return_exceptions=True)
    if not any(isinstance(one, Record) for one in found):
        assert {type(one) for one in found} == {errors.NotEnoughDiamonds}
        return
    now = nodes[0].clock[0]
    await asyncio.gather(*(node.ledger.payouts.sending(made.id, now) for node in nodes))
    for kind in (Kind.PAID, Kind.RETURNED)[: 1 + comes_back]:
        fact = Fact("sandbox", kind, now, made.id, f"sandbox:po_{made.id}")
        await asyncio.gather(*(node.ledger.payouts.apply(fact) for node in nodes))


async def change(world: World, number: int) -> None:
    await world.ledger.creators.change(
        "host", lambda one: replace(one, held=str(number)), what="hold", value=str(number), by="op"
    )


async def entries(world: World) -> list[object]:
    return [entry async for _, _, entry in read_ledger(world.redis, {world.base("host"): Span()})]


@pytest.mark.attack
async def test_what_leaves_is_available_and_nothing_is_lost(nodes: tuple[World, World]) -> None:
    world = nodes[0]
    await world.grant("ann", 100_000)
    reversals = await earn(world)
    for node in nodes:
        node.clock[0] += DAY
    reversals += await earn(world)
    drafts = [draft(world, EACH + 1000 * number) for number in range(10)]
    now = world.clock[0]
    deeds: list[Awaitable[object]] = [
        *(pay(nodes, made, number % 2 == 0) for number, made in enumerate(drafts)),
        *(node.ledger.reversals.take_from_host(one, now) for node in nodes for one in reversals[::3]),
        *(node.ledger.reversals.settle("host", now) for node in nodes for _ in range(3)),
        *(change(node, number) for node in nodes for number in range(2)),
        *(nodes[number % 2].send("ann") for number in range(10)),
    ]
    random.shuffle(deeds)
    await asyncio.gather(*deeds)
    report = await audit(world.redis, world.ledger.keys)
    assert report.clean, report.lines()
    out = earned = taken = 0
    for entry in await entries(world):
        match entry:
            case Payout():
                out += entry.diamonds
                assert 0 <= out <= GIFTS * EACH, "what was pending has left"
            case Credit():
                earned += entry.diamonds
            case Clawback():
                taken += entry.diamonds
    found = await world.ledger.creators.read("host")
    assert earned == found.balance + out + taken
    assert taken + found.debt == EACH * len(reversals[::3])
