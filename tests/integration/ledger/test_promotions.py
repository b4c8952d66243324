"""Budgets of promotions: never passed by a coin, and never lost to an order that came to nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from gifting import errors
from gifting.ledger.order_books import Held
from gifting.model.effects import Kind
from gifting.model.orders import Order
from tests.support.orders import anyone, draft, paid, said
from tests.support.world import World, a_world

COST, BUDGET = 20, 50


def of_spring(world: World, user: str = "ann") -> Order:
    return draft(user, world.key(), promotion="spring", promotion_cost=COST)


async def begin(world: World, user: str = "ann") -> Order:
    return await world.ledger.orders.open(of_spring(world, user), anyone, BUDGET)


async def used(world: World) -> int:
    return (await world.ledger.promotions.used(["spring"]))["spring"]


async def test_of_orders_at_once_none_passes_the_budget(world: World, redis_url: str) -> None:
    async with a_world(redis_url, like_interval=0) as other:
        nodes = [world.ledger.orders, other.ledger.orders] * 10
        drafts = [of_spring(world, f"user{number}") for number in range(20)]
        calls = (node.open(one, anyone, BUDGET) for node, one in zip(nodes, drafts, strict=True))
        told = await asyncio.gather(*calls, return_exceptions=True)
    assert sorted(type(one).__name__ for one in told) == ["Order"] * 2 + ["PromotionOver"] * 18
    assert await used(world) == 40


async def test_a_paid_order_keeps_what_it_holds_and_others_give_it_back(world: World) -> None:
    orders = [await begin(world) for _ in range(2)]
    await world.ledger.orders.apply(paid(orders[0]))
    for kind in (Kind.FAILED, Kind.EXPIRED):
        await world.ledger.orders.apply(said(orders[1], kind))
    assert await used(world) == 20
    assert await world.ledger.promotions.due(orders[1].expires, 10) == []


async def test_what_is_settled_stays_so(world: World) -> None:
    one = await begin(world)
    await world.ledger.orders.apply(paid(one))
    await world.ledger.promotions.release(one.promotion, one.id)
    assert await used(world) == 20
    assert await world.ledger.promotions.due(2**53, 10) == []


async def test_what_is_begun_again_holds_once(world: World) -> None:
    one = of_spring(world)
    for _ in range(3):
        await world.ledger.orders.open(one, anyone, BUDGET)
    assert await used(world) == 20


async def test_who_begins_the_same_and_is_refused_takes_nothing_from_who_is_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice at once by one key, and what speaks against it comes between them."""
    one, orders = of_spring(world), world.ledger.orders

    def refused(_: Held) -> None:
        raise errors.Conflict

    refer = orders._books._refer

    async def meanwhile(*told: Any) -> None:
        with pytest.raises(errors.Conflict):
            await orders.open(one, refused, BUDGET)
        await refer(*told)

    monkeypatch.setattr(orders._books, "_refer", meanwhile)
    await orders.open(one, anyone, BUDGET)
    assert await used(world) == COST
    assert await world.ledger.promotions.due(one.expires, 10) == [(one.promotion, one.id)]


async def test_what_an_order_holds_does_not_speak_against_it(world: World) -> None:
    """Of the budget as it is told to who begins the same again, after that had broken off."""
    one, settled = of_spring(world), await begin(world)
    await world.ledger.promotions.hold(one, BUDGET)
    await world.ledger.orders.apply(paid(settled))
    assert await world.ledger.promotions.used(["spring", "other"], but=one.id) == {"spring": 20, "other": 0}
    assert await world.ledger.promotions.used(["spring"], but=settled.id) == {"spring": 20}
    assert await used(world) == 40


async def test_what_was_held_before_an_order_was_begun_without_it_is_released(world: World) -> None:
    one = of_spring(world)
    await world.ledger.promotions.hold(one, BUDGET)
    begun = await world.ledger.orders.open(replace(one, promotion="", promotion_cost=0), anyone)
    assert await world.ledger.orders.settle_promotions(one.expires, 10) == 1
    assert (begun.promotion, await used(world)) == ("", 0)
    assert await world.ledger.promotions.due(2**53, 10) == []


async def test_a_refused_order_holds_nothing(world: World) -> None:
    def refused(held: Held) -> None:
        raise errors.PurchaseLimit("Enough.")

    with pytest.raises(errors.PurchaseLimit):
        await world.ledger.orders.open(of_spring(world), refused, BUDGET)
    assert await used(world) == 0
    assert await world.ledger.promotions.due(2**53, 10) == []


async def test_a_late_payment_gets_what_was_promised(world: World) -> None:
    late = await begin(world)
    await world.ledger.orders.apply(said(late, Kind.EXPIRED))
    for _ in range(2):
        await begin(world)
    told = await world.ledger.orders.apply(paid(late))
    assert (told.order.issued, await used(world)) == (True, 60)
    await world.ledger.orders.apply(paid(late))
    assert await used(world) == 60


async def test_a_promotion_without_a_budget_is_counted_too(world: World) -> None:
    for _ in range(5):
        await world.ledger.orders.open(of_spring(world), anyone)
    assert await used(world) == 100


@pytest.mark.parametrize("broken", ["change", "follow"])
async def test_what_broke_off_is_made_good_when_it_is_looked_at(
    world: World, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the hold and before the order; after the payment and before the hold is settled."""

    async def breaks(*args: Any) -> None:
        raise errors.LedgerUnavailable

    orders = world.ledger.orders
    one = of_spring(world)
    with monkeypatch.context() as patch:
        patch.setattr(orders._books if broken == "change" else world.ledger.promotions, broken, breaks)
        if broken == "change":
            with pytest.raises(errors.LedgerUnavailable):
                await orders.open(one, anyone, BUDGET)
        else:
            await orders.open(one, anyone, BUDGET)
            with pytest.raises(errors.LedgerUnavailable):
                await orders.apply(paid(one))
    assert await used(world) == 20
    assert await orders.settle_promotions(one.expires, 10) == 1
    assert await used(world) == (0 if broken == "change" else 20)
    assert await orders.settle_promotions(one.expires, 10) == 0


async def test_an_order_that_is_still_open_is_looked_at_later(world: World) -> None:
    one = await begin(world)
    assert await world.ledger.orders.settle_promotions(one.expires - 1, 10) == 0
    assert await world.ledger.orders.settle_promotions(one.expires, 10) == 1
    assert await world.ledger.orders.settle_promotions(one.expires, 10) == 0
    assert await used(world) == 20
