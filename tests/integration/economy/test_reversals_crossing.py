"""Reversals, refunds and cases beside all else that may happen to a gift: who is gone, banned, or comes first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, TypeVar
from uuid import UUID

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from gifting import errors
from gifting.economy.economy import Economy
from gifting.ledger.audit import audit
from gifting.ledger.entries import Clawback, Entry, GiftReversal
from gifting.ledger.meta import ARCHIVE
from gifting.ledger.stream import Span, read_ledger
from gifting.model.cases import Case, Decision
from gifting.model.consequences import State, state
from gifting.model.effects import Effect, Kind
from gifting.model.orders import Order
from gifting.model.reversals import Reversal, Taken, pack_reversal
from tests.support.economy import (
    REASON,
    Killed,
    Killer,
    an_economy,
    bought,
    diamonds,
    gave,
    has,
    paid_back,
)
from tests.support.keys import new_key
from tests.support.world import World, a_world

T = TypeVar("T")


@pytest.fixture
async def economy(world: World) -> AsyncIterator[Economy]:
    world.clock[0] = time.time_ns() // 1_000_000
    async with an_economy(world) as made:
        yield made
    report = await audit(world.redis, world.ledger.keys)
    assert report.clean, report.lines()


async def half_done(world: World, economy: Economy, gift: str) -> Reversal:
    found = await economy.reversals.find("ann", UUID(gift).bytes)
    return await world.ledger.reversals.give_back(found, "op", REASON, "", world.clock[0])


# Who is not there any more.


async def ban(world: World, user: str) -> None:
    await world.ledger.bans.ban(user, "a test", "op")


async def erase(world: World, user: str) -> None:
    await world.redis.hset(world.ledger.keys.meta, ARCHIVE, "one")
    await world.ledger.erasures.ask(user, "op", "it was asked for")
    await world.ledger.cases.erase_texts(user)


async def end(world: World, _: str) -> None:
    await world.ledger.rooms.end(world.room)


GONE = {"banned": ban, "erased": erase, "ended": end}


@pytest.mark.parametrize("gone", GONE)
@pytest.mark.parametrize("who", ["ann", "host"])
@pytest.mark.parametrize("after", ["before", "in between"])
async def test_who_is_gone_is_given_back_and_taken_of_all_the_same(
    world: World, economy: Economy, gone: str, who: str, after: str
) -> None:
    order = await bought(world, economy)
    gifts = await gave(world, 70, 50)
    if after == "in between":
        await half_done(world, economy, gifts[0])
    await GONE[gone](world, who)
    done = await economy.refunds.refund(order, world.key(), 0, gifts, "op", REASON)
    assert (state(done), await has(world), await diamonds(world)) == (State.REFUNDED, (0, 0, 0), 0)
    assert await paid_back(economy, order) == [1000]


async def test_a_gift_that_is_reversed_already_is_no_obstacle_and_not_reversed_twice(
    world: World, economy: Economy
) -> None:
    order = await bought(world, economy)
    gifts = await gave(world, 70, 50)
    first = await economy.reversals.reverse("ann", gifts[0], "another", "another reason")
    done = await economy.refunds.refund(order, world.key(), 0, gifts, "op", REASON)
    assert (state(done), await has(world), await diamonds(world)) == (State.REFUNDED, (0, 0, 0), 0)
    assert await world.ledger.reversals.find("ann", first.given.key) == first


# What is kept of a reversal is wrong.


@pytest.mark.parametrize("wrong", [{"host": "rich"}, {"room": "r9"}, {"diamonds": 99_000}, {"seq": 7}, {"at": 1}])
async def test_a_reversal_that_is_not_its_gift_takes_nothing_of_anybody(
    world: World, economy: Economy, wrong: dict[str, Any]
) -> None:
    (gift,) = await gave_of_grant(world)
    half = await half_done(world, economy, gift)
    key, field = world.ledger.keys.reversals("ann"), half.given.key
    good = await world.redis.hget(key, field)
    bad = replace(half, given=replace(half.given, **wrong), returned=type(half.returned)(0, 0, 0))
    await world.redis.hset(key, field, pack_reversal(bad) + good[-24:])
    before = await world.state()
    for _ in range(2):
        with pytest.raises(errors.NotReversible):
            await economy.reversals.reverse("ann", gift, "op", REASON)
        await economy.reconciliation.resume()
    assert await world.state() == before
    await world.redis.hset(key, field, good)
    await economy.reconciliation.resume()
    done = await world.ledger.reversals.find("ann", field)
    assert done is not None and done.taken == Taken(20_000)


async def gave_of_grant(world: World) -> list[str]:
    await world.grant("ann", 40)
    return await gave(world, 40)


# A case whose decision breaks off.


async def a_case(world: World, gift: str) -> tuple[Case, Decision]:
    case = Case(id=world.key(), user="ann", kind="unauthorised", at=world.clock[0], gift=gift)
    return await world.ledger.cases.open(case), Decision("reversed", REASON, "op", world.clock[0])


@pytest.mark.attack
@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_is_decided_of_a_case_is_done_by_the_worker_whoever_dies(
    redis_client: Redis, redis_url: str, when: str
) -> None:
    for count in range(1, 20):
        await redis_client.flushall()
        async with a_world(redis_url) as world, an_economy(world) as economy:
            world.clock[0] = time.time_ns() // 1_000_000
            (gift,) = await gave_of_grant(world)
            case, decision = await a_case(world, gift)
            with pytest.MonkeyPatch.context() as patch:
                killer = Killer(patch, count, when)
                with suppress(Killed):
                    await economy.support.resolve(case.id, decision)
            async with an_economy(world) as heir:
                begun = bool((await world.ledger.cases.find(case.id)).outcome)
                await heir.reconciliation.resume()
                found = await world.ledger.cases.find(case.id)
                assert found.closed == begun
                assert (await has(world), await diamonds(world)) == ((40, 40, 0), 0) if begun else ((0, 0, 0), 20_000)
                assert await world.ledger.cases.decided(10) == []
                assert not (await world.ledger.cases.page(0, 10))[0] or not begun
            assert (await audit(world.redis, world.ledger.keys)).clean
            if not killer.dead:
                break
    assert 3 < count < 19


async def test_one_case_that_can_not_be_done_keeps_no_other_waiting(world: World, economy: Economy) -> None:
    gifts = [*await gave_of_grant(world), *await gave_of_grant(world)]
    cases = [await a_case(world, gift) for gift in gifts]
    half = await half_done(world, economy, gifts[0])
    await world.redis.hset(
        key := world.ledger.keys.reversals("ann"),
        half.given.key,
        pack_reversal(replace(half, given=replace(half.given, host="x"), returned=type(half.returned)(0, 0, 0)))
        + (good := await world.redis.hget(key, half.given.key))[-24:],
    )
    for case, decision in cases:
        await world.ledger.cases.decide(case.id, decision)
    await economy.reconciliation.resume()
    assert [one.id for one in await world.ledger.cases.decided(10)] == [cases[0][0].id]
    await world.redis.hset(key, half.given.key, good)
    await economy.reconciliation.resume()
    assert await world.ledger.cases.decided(10) == []


# All at once, on two nodes.


async def insist(step: Callable[[], Awaitable[T]]) -> T:
    """Ask again while it says that it may be asked again."""
    while True:
        try:
            return await step()
        except errors.GiftingError as error:
            if not error.temporary:
                raise
            await asyncio.sleep(0)


async def entries(world: World, kind: type[Entry]) -> list[bytes]:
    spans = dict.fromkeys(world.ledger.keys.bases, Span())
    return [one.key async for _, _, one in read_ledger(world.redis, spans) if isinstance(one, kind)]


@pytest.mark.attack
@pytest.mark.parametrize("told", ["with a name", "without"])
async def test_refund_gift_reversal_webhook_and_case_cross_on_two_nodes(
    redis_client: Redis, redis_url: str, told: str
) -> None:
    async with AsyncExitStack() as stack:
        worlds = [await stack.enter_async_context(a_world(redis_url)) for _ in range(2)]
        one, two = [await stack.enter_async_context(an_economy(world)) for world in worlds]
        world = worlds[0]
        for node in worlds:
            node.clock[0] = time.time_ns() // 1_000_000
        order = await bought(world, one)
        gifts, key = await gave(world, 40, 30, 20), world.key()
        case, decision = await a_case(world, gifts[2])
        webhook = Effect(
            "sandbox",
            "re_1",
            Kind.REFUNDED,
            world.clock[0],
            order.id,
            amount=order.price,
            currency="EUR",
            withdrawal=key if told == "with a name" else "",
        )
        told_all = await asyncio.gather(
            insist(lambda: one.refunds.refund(order, key, 0, gifts[:2], "op", REASON)),
            insist(lambda: two.refunds.refund(order, key, 0, gifts[:2], "op", REASON)),
            insist(lambda: one.reversals.reverse("ann", gifts[1], "op", REASON)),
            insist(lambda: two.reversals.reverse("ann", gifts[0], "op", REASON)),
            tell(worlds[0], one, webhook),
            tell(worlds[1], two, webhook),
            insist(lambda: one.support.resolve(case.id, decision)),
            insist(lambda: two.support.resolve(case.id, decision)),
            *(send(node, count) for node in worlds for count in (1, 5)),
            return_exceptions=True,
        )
        failed = [str(found) for found in told_all if isinstance(found, BaseException)]
        late = [] if told == "with a name" else [found for found in failed if found.startswith("not_reversible")]
        assert failed == late, "nothing is left to refund once the provider has"
        await settled(worlds, [one, two], order)
        done = await world.ledger.orders.get(order.id)
        assert state(done) is State.REFUNDED
        assert len(done.withdrawals) <= 1
        assert (len(await entries(world, GiftReversal)), len(await entries(world, Clawback))) == (3, 3)
        sent = await diamonds(world) // 500
        assert await has(world) == (0, 0, sent), "what was given meanwhile is all that is owed"
        report = await audit(world.redis, world.ledger.keys)
        assert report.clean, report.lines()


async def tell(world: World, economy: Economy, webhook: Effect) -> None:
    """What names a refund is told once that was asked for, at first."""
    while webhook.withdrawal and not (await world.ledger.orders.get(webhook.order)).withdrawals:
        await asyncio.sleep(0)
    await insist(lambda: economy.purchases.take([webhook]))


async def send(world: World, count: int) -> None:
    with suppress(errors.AccountFrozen, errors.InsufficientCoins):
        await world.send(count=count, key=new_key())  # worlds count theirs alike


async def settled(worlds: list[World], economies: list[Economy], order: Order) -> None:
    """Until nothing waits for anybody."""
    for _ in range(5):
        await asyncio.gather(*(economy.reconciliation.round() for economy in economies))
    for world in worlds:
        assert await world.ledger.orders.due(2**53, 10) == []
        assert await world.ledger.reversals.due(2**53, 10) == []
        assert await world.ledger.cases.decided(10) == []
