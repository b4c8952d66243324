"""What crosses: payouts, claw-backs, refunds, gifts, reversals, cases, rooms that end, another destination; and the
clock at the edges of days, months and years.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from gifting import errors
from gifting.economy.payers.sandbox import Sandbox
from gifting.economy.payouts import Payouts
from gifting.economy.reversals import Reversals
from gifting.economy.support import Support
from gifting.ledger.audit import audit
from gifting.ledger.creators import Creator
from gifting.ledger.payouts import Hold, Owned
from gifting.model.cases import Case, Decision
from gifting.model.creator import DESTINATION_WAIT_MS, CreatorRecord, with_destination
from gifting.model.creators import parse_creators
from gifting.model.effects import Kind as Said
from gifting.model.money import parse_key
from gifting.model.orders import Order
from gifting.model.payouts import DAY_MS, Fact, Kind, Payout, State, state
from gifting.model.reversals import Given, Returned, Reversal, Taken
from tests.support.accounts import account_of
from tests.support.orders import anyone, draft, paid, said
from tests.support.world import World, a_world

T = TypeVar("T")

TERMS = """
[payout]
currency = "USD"
micros_per_diamond = 10_000
minimum = 10
daily_maximum = 150
[[tier]]
id = "free"
hold_days = 0
[[tier]]
id = "held"
hold_days = 2
reserve_bps = 2_500
reserve_days = 3
"""
CREATORS = parse_creators(TERMS, "creators.toml")
EARNED = 100_000
"""Milli-diamonds, for 200 coins: 100 cents."""
EDGES = [
    datetime(2027, 1, 1, tzinfo=UTC),
    datetime(2027, 2, 1, tzinfo=UTC),
    datetime(2028, 2, 29, tzinfo=UTC),
    datetime(2028, 3, 1, tzinfo=UTC),
]
"""Where a year, a month and a day begin."""


def at_edge(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    """The host may be paid. Whatever a test does, the books hold after it."""
    async with a_world(redis_url, partitions=4, like_interval=0) as made:
        made.clock[0] = time.time_ns() // 1_000_000  # by which the ledger is searched
        await made.grant("ann", 1_000)
        await change(made, lambda record: replace(record, kyc="verified"))
        await to_account(made, "first")
        yield made
        report = await audit(made.redis, made.ledger.keys)
        assert report.clean, report.lines()


async def change(world: World, rule: Any, **more: Any) -> CreatorRecord:
    return await world.ledger.creators.change("host", rule, what="test", value="", by="op", **more)


async def to_account(world: World, name: str) -> CreatorRecord:
    return await change(world, lambda record: with_destination(record, "sandbox", name, world.clock[0]))


async def host(world: World) -> Creator:
    return await world.ledger.creators.read("host")


def payouts(world: World) -> Payouts:
    return Payouts(world.ledger, {"sandbox": Sandbox(world.ledger)}, lambda: CREATORS)


async def ask(world: World, diamonds: int = EARNED, key: str = "") -> Payout:
    return await payouts(world).request("host", parse_key(key or world.key()), diamonds)


async def given(world: World, coins: int = 200, user: str = "ann") -> Given:
    key, before = world.key(), (await host(world)).balance
    sent = await world.send(user, count=coins, key=key)
    diamonds = (await host(world)).balance - before
    return Given(parse_key(key), user, "r1", "host", sent.seq, "spark", coins, coins, diamonds, world.clock[0])


async def reverse(world: World, gift: Given) -> Reversal:
    one = await world.ledger.reversals.give_back(gift, "op", "a test", "", world.clock[0])
    return await world.ledger.reversals.take_from_host(one, world.clock[0])


async def told(_: str) -> None:
    pass


def support(world: World) -> Support:
    return Support(world.ledger, Reversals(world.ledger, told))


async def together(*work: Awaitable[Any]) -> list[Any]:
    """What each gives, or the error that refuses it; any other is the test's."""
    found = await asyncio.gather(*work, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, errors.GiftingError):
            raise one
    return found


async def persist(ask: Callable[[], Awaitable[T]]) -> T:
    """One of a user's gifts is looked up at a time."""
    while True:
        try:
            return await ask()
        except errors.RateLimited:
            await asyncio.sleep(0)


# A payout and what takes back.


async def test_a_payout_and_a_claw_back_share_what_there_is(world: World) -> None:
    """Whichever comes first, the diamonds leave once; what the other lacks is refused, or owed."""
    gift = await given(world)
    out, back = await together(ask(world), reverse(world, gift))
    if isinstance(out, Payout):
        assert back.taken == Taken(0, EARNED)
        assert ((await host(world)).balance, (await host(world)).debt) == (0, EARNED)
    else:
        assert isinstance(out, errors.NotEnoughDiamonds)
        assert back.taken == Taken(EARNED, 0)
        assert ((await host(world)).balance, (await host(world)).debt) == (0, 0)


async def test_a_payout_that_comes_back_settles_what_was_clawed_back_meanwhile(world: World) -> None:
    gift = await given(world)
    out = await ask(world)
    await world.ledger.payouts.sending(out.id, world.clock[0])
    facts = [Fact("sandbox", kind, world.clock[0], out.id) for kind in (Kind.PAID, Kind.RETURNED, Kind.FAILED)]
    await together(reverse(world, gift), *(world.ledger.payouts.apply(fact) for fact in facts))
    assert state(await world.ledger.payouts.get(out.id)) is State.RETURNED
    left = await host(world)
    assert left.balance == left.debt <= EARNED
    assert left.split(CREATORS.usual).available == 0
    await world.send(count=100)
    assert (await ask(world, EARNED // 2)).amount == 50
    assert ((await host(world)).balance, (await host(world)).debt) == (0, 0)


async def test_what_is_pending_goes_first_and_nothing_that_may_be_paid_out_is_touched(world: World) -> None:
    await change(world, lambda record: replace(record, tier="free"))
    await given(world, 100)
    world.clock[0] += 10 * DAY_MS
    gift = await given(world, 100)
    await change(world, lambda record: replace(record, tier="held"))
    assert (await host(world)).split(CREATORS["held"])[:3] == (50_000, 0, 50_000)
    _, out = await together(reverse(world, gift), ask(world, 50_000))
    assert out.amount == 50
    assert ((await host(world)).balance, (await host(world)).debt) == (0, 0)


# Money that goes back, and gifts.


async def bought(world: World) -> Order:
    order = await world.ledger.orders.open(draft("bob", world.key(), coins=200, bonus=0), anyone)
    await world.ledger.orders.apply(paid(order))
    return order


async def test_a_refund_and_a_gift(world: World) -> None:
    """The gift was there before, and its coins are owed; or there is nothing to give."""
    order = await bought(world)
    refunded, gift = await together(
        world.ledger.orders.apply(said(order, Said.REFUNDED, "refund")), world.send("bob", count=200)
    )
    assert refunded.changed
    left = await account_of(world.redis, world.base("bob"), "bob")
    if isinstance(gift, errors.GiftingError):
        assert gift.code in ("insufficient_coins", "account_frozen")
        assert (left.coins, left.debt, (await host(world)).balance) == (0, 0, 0)
    else:
        assert (left.coins, left.debt, (await host(world)).balance) == (0, 200, EARNED)


async def test_a_refund_and_the_reversal_of_the_gift_that_took_its_coins(world: World) -> None:
    """Coins come back before they are taken, or settle what became debt: nothing is left, and nothing owed."""
    order = await bought(world)
    gift = await given(world, user="bob")
    _, back = await together(world.ledger.orders.apply(said(order, Said.REFUNDED, "refund")), reverse(world, gift))
    assert back.returned in (Returned(200, 0, 0), Returned(0, 200, 200))
    left = await account_of(world.redis, world.base("bob"), "bob")
    assert (left.coins, left.debt, left.frozen) == (0, 0, 0)
    assert ((await host(world)).balance, (await host(world)).debt) == (0, 0)


# Rooms and cases.


async def test_a_reversal_and_the_end_of_the_room(world: World) -> None:
    """The room is told before it ends, or not at all."""
    gift = await given(world)
    _, back = await together(world.ledger.rooms.end(world.room), reverse(world, gift))
    assert back.taken == Taken(EARNED)
    types = [event["type"] for event in await world.log()]
    assert types[-1] == "stream_end"
    assert types.count("gift_reversed") <= 1
    before = await world.state()
    assert await reverse(world, gift) == back
    assert await world.state() == before


async def test_a_case_decided_by_two_and_a_reversal(world: World) -> None:
    """Decided once, reversed once, whoever comes first."""
    key = world.key()
    await world.send(count=200, key=key)
    opened = Case(id=world.key(), user="ann", kind="unauthorised", at=world.clock[0], gift=key)
    case = await world.ledger.cases.open(opened)
    ways = [Decision("reversed", "stolen", "one", world.clock[0]), Decision("refused", "no", "two", world.clock[0])]
    resolved = [partial(support(world).resolve, case.id, way) for way in ways]
    direct = partial(Reversals(world.ledger, told).reverse, "ann", key, "three", "a mistake")
    *decided, back = await together(*map(persist, resolved), persist(direct))
    assert sum(isinstance(one, errors.CaseClosed) for one in decided) == 1
    assert isinstance(back, Reversal)
    assert back.by in ("one", "three")
    kept = await world.ledger.cases.find(case.id)
    again = next(way for way in ways if way.outcome == kept.outcome)
    assert await support(world).resolve(case.id, again) == kept
    assert ((await host(world)).balance, (await world.ledger.wallets.read("ann"))[0]) == (0, 1_000)


async def test_two_cases_of_gifts_to_a_creator_who_is_paid_out(world: World) -> None:
    keys = [world.key(), world.key()]
    for key in keys:
        await world.send(count=100, key=key)
    opened = [Case(id=world.key(), user="ann", kind="minor", at=world.clock[0], gift=key) for key in keys]
    cases = [await world.ledger.cases.open(one) for one in opened]
    stolen = Decision("reversed", "stolen", "op", world.clock[0])
    resolved = [persist(partial(support(world).resolve, case.id, stolen)) for case in cases]
    *done, out = await together(*resolved, ask(world))
    assert all(case.closed for case in done)
    left = await host(world)
    assert (left.balance, left.debt) == (0, EARNED if isinstance(out, Payout) else 0)


# Another destination.


async def test_another_destination_and_a_payout(world: World) -> None:
    """It goes where it was asked for, or waits: never to the new account before its time."""
    await given(world)
    record, out = await together(to_account(world, "second"), ask(world))
    assert record.destination.good_at == world.clock[0] + DESTINATION_WAIT_MS
    if isinstance(out, Payout):
        assert out.account == "first"
    else:
        assert isinstance(out, errors.DestinationNew)
        assert out.until == record.destination.good_at
    for paid_out in await world.ledger.payouts.of_host("host"):
        assert paid_out.account == "first"


@pytest.mark.parametrize("edge", EDGES, ids=str)
async def test_72_hours_are_over_to_the_millisecond(world: World, edge: datetime) -> None:
    world.clock[0] = at_edge(edge) - DESTINATION_WAIT_MS
    await given(world)
    await to_account(world, "second")
    world.clock[0] = at_edge(edge) - 1
    with pytest.raises(errors.DestinationNew) as refused:
        await ask(world)
    assert refused.value.until == at_edge(edge)
    world.clock[0] = at_edge(edge)
    assert (await ask(world)).account == "second"


# The clock.


@pytest.mark.parametrize("edge", EDGES, ids=str)
async def test_what_is_earned_in_the_last_millisecond_is_of_that_day(world: World, edge: datetime) -> None:
    midnight = at_edge(edge)
    for at in (midnight - 1, midnight, midnight - 1):  # and the clock goes back
        world.clock[0] = at
        await given(world, 20)
    assert (await host(world)).days == {midnight // DAY_MS - 1: 20_000, midnight // DAY_MS: 10_000}


@pytest.mark.parametrize("edge", EDGES, ids=str)
async def test_a_hold_and_a_reserve_are_over_at_midnight(world: World, edge: datetime) -> None:
    """What was earned two days before is pending until then, and a quarter of it is kept for one day more."""
    await change(world, lambda record: replace(record, tier="held"))
    midnight, key = at_edge(edge), world.key()
    world.clock[0] = midnight - 2 * DAY_MS
    await given(world, 200)
    for at, available in ((midnight - 1, 0), (midnight, 75_000), (midnight + DAY_MS - 1, 75_000)):
        world.clock[0] = at
        assert (await host(world)).split(CREATORS["held"]).available == available
        with pytest.raises(errors.NotEnoughDiamonds):
            await ask(world, available + 10_000, key)
    world.clock[0] = midnight + DAY_MS
    assert (await ask(world, EARNED, world.key())).diamonds == EARNED


@pytest.mark.parametrize("edge", EDGES, ids=str)
async def test_midnight_gives_no_second_maximum(world: World, edge: datetime) -> None:
    await given(world, 600)
    world.clock[0] = at_edge(edge) - 1
    await ask(world, 150_000)
    for at in (at_edge(edge), at_edge(edge) + DAY_MS - 2):
        world.clock[0] = at
        with pytest.raises(errors.PayoutMax) as refused:
            await ask(world, 10_000)
        assert refused.value.until == at_edge(edge) - 1 + DAY_MS
    world.clock[0] = at_edge(edge) - 1 + DAY_MS
    await ask(world, 150_000)


@pytest.mark.parametrize("back", [1, 2, 3, 31])
async def test_what_a_clock_that_went_back_has_in_days_to_come_is_pending(world: World, back: int) -> None:
    """Decided by the script alone: who asks has read it before the clock went back."""
    await change(world, lambda record: replace(record, tier="held"))
    world.clock[0] += 40 * DAY_MS
    await given(world)
    world.clock[0] -= back * DAY_MS
    assert (await host(world)).split(CREATORS["held"]).pending == EARNED
    wanted = Payout(
        id=world.key(), host="host", digest=b"8 bytes!", provider="sandbox", account="first", diamonds=1, amount=1,
        currency="USD", created=world.clock[0],
    )  # fmt: skip
    with pytest.raises(errors.NotEnoughDiamonds):
        await world.ledger.payouts.request(wanted, Hold(2, 3, 2_500), unopposed)


def unopposed(_: Owned) -> None:
    """Nothing speaks against it."""
