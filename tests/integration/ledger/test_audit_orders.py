"""The audit names each thing that was tampered with in orders, debts and freezes; and is clean while orders change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from gifting.ledger.audit import audit
from gifting.model.consequences import booked
from gifting.model.effects import Kind
from gifting.model.orders import Coins, Order, add, pack_order, unpack_order
from tests.support.accounts import add_to_account
from tests.support.orders import anyone, draft, paid, said
from tests.support.tampering import STREAKABLE, World, a_world

Tamper = Callable[["Shop"], Awaitable[Any]]


class Shop:
    """``ann`` has bought three times: one is paid, one refunded after its coins were spent, one disputed."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.redis = world.redis
        self.base = world.base("ann")
        self.orders: list[Order] = []

    async def fill(self) -> None:
        world, orders = self.world, self.world.ledger.orders
        await world.open("r1", "hal")
        for _ in range(3):
            bought = draft("ann", world.key(), promotion="spring", promotion_cost=20)
            self.orders.append(await orders.open(bought, anyone, 1000))
            await orders.apply(paid(self.orders[-1]))
        await world.send("ann", "r1", STREAKABLE, 350)
        await orders.apply(said(self.orders[1], Kind.REFUNDED, "refund"))
        await orders.apply(said(self.orders[2], Kind.DISPUTED))

    @property
    def key(self) -> str:
        return f"{self.base}:orders:ann"

    async def rewrite(self, place: int, change: Callable[[Order], Order]) -> None:
        """Change a kept order past the ledger."""
        name = self.orders[place].id
        order = unpack_order(await self.redis.hget(self.key, name))
        await self.redis.hset(self.key, name, pack_order(change(order)))

    async def change_entry(self, kind: bytes, change: Callable[[list[Any]], list[list[Any]]]) -> None:
        """The first entry of its kind becomes others."""
        done = False

        def each(entry: list[Any]) -> Any:
            nonlocal done
            if entry[0] != kind or done:
                return iter([entry])
            done = True
            return iter(change(entry))

        await self.world.change_entries(self.base, each)
        assert done


@pytest.fixture
async def shop(redis_url: str, redis_client: Any) -> AsyncIterator[Shop]:
    async with a_world(redis_url) as world:
        shop = Shop(world)
        await shop.fill()
        yield shop


async def causes(shop: Shop) -> dict[str, set[str]]:
    """By cause: what follows from it."""
    report = await audit(shop.redis, shop.world.ledger.keys)
    return {group.name: {one.name for one in group.follows} for group in report.groups}


async def test_orders_that_nobody_has_touched_are_clean(shop: Shop) -> None:
    report = await audit(shop.redis, shop.world.ledger.keys)
    assert report.clean, report.lines()
    assert report.counts()["orders"] == 3


def with_entry(place: int, amount: int) -> Callable[[list[Any]], list[list[Any]]]:
    def change(entry: list[Any]) -> list[list[Any]]:
        entry[place] += amount
        return [entry]

    return change


def telling(place: int, name: bytes) -> Callable[[list[Any]], list[list[Any]]]:
    return lambda entry: [[*entry[:place], name, *entry[place + 1 :]]]


def again(entry: list[Any]) -> list[list[Any]]:
    """Once more, under another key."""
    return [entry, [*entry[:2], bytes(16), *entry[3:]]]


TAMPERED: dict[str, tuple[Tamper, str]] = {
    "an order that is gone": (lambda shop: shop.redis.hdel(shop.key, shop.orders[0].id), "order_missing"),
    "an order that is no order": (lambda shop: shop.redis.hset(shop.key, shop.orders[0].id, b"x"), "order_broken"),
    "an order of somebody else": (lambda shop: shop.rewrite(0, lambda one: replace(one, user="bob")), "order_broken"),
    "more coins in an order": (lambda shop: shop.rewrite(0, lambda one: replace(one, coins=1000)), "order_differs"),
    "an order that forgot its issue": (
        lambda shop: shop.rewrite(0, lambda one: replace(one, issued=False, payments={})),
        "order_differs",
    ),
    "a payment that was added": (
        lambda shop: shop.redis.hset(
            shop.key, "made up", pack_order(add(replace(shop.orders[0], id="made up"), paid(shop.orders[0])))
        ),
        "order_behind",
    ),
    "an order that was booked past the ledger": (
        lambda shop: shop.redis.hset(
            shop.key, "made up", pack_order(booked(add(replace(shop.orders[0], id="made up"), paid(shop.orders[0])), 0))
        ),
        "order_differs",
    ),
    "another place among the lots": (lambda shop: shop.rewrite(0, lambda one: replace(one, before=5)), "order_differs"),
    "a refund that was taken out": (
        lambda shop: shop.rewrite(1, lambda one: booked(replace(one, refunds={}), one.before)),
        "order_differs",
    ),
    "a refund that takes nothing": (
        lambda shop: shop.rewrite(1, lambda one: replace(one, taken=Coins(0, 0))),
        "order_differs",
    ),
    "a debt that is gone": (
        lambda shop: add_to_account(shop.redis, shop.base, "ann", debt=-1),
        "account_differs",
    ),
    "a freeze that is gone": (lambda shop: add_to_account(shop.redis, shop.base, "ann", frozen=-4), "freeze_differs"),
    "a freeze nobody asked for": (
        lambda shop: add_to_account(shop.redis, shop.base, "ann", frozen=2),
        "freeze_differs",
    ),
    "coins that were bought": (
        lambda shop: add_to_account(shop.redis, shop.base, "ann", purchased=1),
        "account_differs",
    ),
    "a total of debt": (lambda shop: shop.redis.hincrby(f"{shop.base}:totals", "debt", -5), "totals_differ"),
    "a total of what was taken": (lambda shop: shop.redis.hincrby(f"{shop.base}:totals", "taken", 5), "totals_differ"),
    "a way to an order": (
        lambda shop: shop.redis.hdel(shop.world.ledger.keys.references(shop.orders[0].id), shop.orders[0].id),
        "reference_differs",
    ),
    "a promotion's budget": (
        lambda shop: shop.redis.hincrby(shop.world.ledger.keys.promotion("spring"), "used", -20),
        "promotion_differs",
    ),
    "an entry of a purchase": (lambda shop: shop.change_entry(b"purchase", lambda _: []), "ledger_incomplete"),
    "a purchase entered again": (lambda shop: shop.change_entry(b"purchase", lambda one: [one, one]), "key_twice"),
    "a purchase entered for more": (lambda shop: shop.change_entry(b"purchase", with_entry(5, 7)), "ledger_incomplete"),
    "a purchase that settled": (lambda shop: shop.change_entry(b"purchase", with_entry(7, 1)), "debt_wrong"),
    "a purchase under another key": (lambda shop: shop.change_entry(b"purchase", again), "ledger_incomplete"),
    "a reversal entered again": (lambda shop: shop.change_entry(b"reversal", lambda one: [one, one]), "key_twice"),
    "a reversal with less debt": (lambda shop: shop.change_entry(b"reversal", with_entry(7, -1)), "order_differs"),
    "a reversal that took what was not there": (
        lambda shop: shop.change_entry(b"reversal", with_entry(5, 100)),
        "ledger_incomplete",
    ),
    "a purchase for another price": (lambda shop: shop.change_entry(b"purchase", with_entry(8, 1)), "order_differs"),
    "a purchase in dollars": (
        lambda shop: shop.change_entry(b"purchase", telling(9, b"USD")),
        "order_differs",
    ),
    "a purchase at another till": (lambda shop: shop.change_entry(b"purchase", telling(10, b"x")), "order_differs"),
    "a reversal of less money": (lambda shop: shop.change_entry(b"reversal", with_entry(8, -1)), "order_differs"),
    "a reversal in dollars": (
        lambda shop: shop.change_entry(b"reversal", telling(9, b"USD")),
        "order_differs",
    ),
    "a reversal of other coins": (lambda shop: shop.change_entry(b"reversal", with_entry(11, -1)), "order_differs"),
    "money that an order forgot": (
        lambda shop: shop.rewrite(1, lambda one: replace(one, returned=999)),
        "order_differs",
    ),
    "an entry of a reversal": (lambda shop: shop.change_entry(b"reversal", lambda _: []), "ledger_incomplete"),
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_what_was_tampered_with_is_named_first(shop: Shop, what: str) -> None:
    tamper, name = TAMPERED[what]
    await tamper(shop)
    found = await causes(shop)
    assert next(iter(found)) == name, found


async def test_a_changed_order_is_one_discrepancy(shop: Shop) -> None:
    await shop.rewrite(0, lambda one: replace(one, coins=1000))
    assert await causes(shop) == {"order_differs": set()}


async def test_what_older_versions_entered_is_clean(shop: Shop) -> None:
    """Neither entries nor orders told of money; what is told next tells of all that went back."""
    for _ in range(3):
        await shop.change_entry(b"purchase", lambda one: [[*one[:8]]])
    await shop.change_entry(b"reversal", lambda one: [[*one[:8]]])
    for place in range(3):
        await shop.rewrite(place, lambda one: replace(one, returned=None))
    assert (await audit(shop.redis, shop.world.ledger.keys)).clean
    await shop.world.ledger.orders.apply(said(shop.orders[1], Kind.REFUND_FAILED, "refund", at=9**15))
    await shop.world.ledger.orders.apply(said(shop.orders[2], Kind.DISPUTE_LOST))
    report = await audit(shop.redis, shop.world.ledger.keys)
    assert report.clean, report.lines()


async def test_an_audit_while_orders_change_is_clean(shop: Shop) -> None:
    async def trade() -> None:
        orders = shop.world.ledger.orders
        while not done:
            order = await orders.open(draft("ann", shop.world.key()), anyone)
            await orders.apply(paid(order))
            await orders.apply(said(order, Kind.REFUNDED, amount=500))
            await orders.apply(said(order, Kind.REFUNDED, "another", amount=500))
            await orders.apply(said(order, Kind.REFUND_FAILED, "refunded"))

    done = False
    trading = asyncio.create_task(trade())
    for _ in range(10):
        report = await audit(shop.redis, shop.world.ledger.keys)
        assert report.clean, report.lines()
    done = True
    await trading
