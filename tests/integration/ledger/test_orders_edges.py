"""What the script of orders decides itself: what others did between reading and writing, and what still fits."""

from __future__ import annotations

from typing import Any

import pytest

from gifting import errors
from gifting.ledger.account import Account, Frozen
from gifting.ledger.entries import AccountChange
from gifting.ledger.stream import Span, read_ledger
from gifting.model.effects import Kind, effect_key
from gifting.model.money import MAX_AMOUNT
from gifting.model.orders import Order
from tests.support.accounts import account_of
from tests.support.orders import anyone, draft, paid, said
from tests.support.world import START, World


async def begin(world: World, coins: int, bonus: int = 0) -> Order:
    return await world.ledger.orders.open(draft("bob", world.key(), coins=coins, bonus=bonus), anyone)


async def buy(world: World, coins: int, bonus: int = 0) -> Order:
    return (await world.ledger.orders.apply(paid(await begin(world, coins, bonus)))).order


async def account(world: World) -> Account:
    return await account_of(world.redis, world.base("bob"), "bob")


async def test_bonus_coins_that_are_spent_meanwhile_are_not_withdrawn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They go first, so no paid coin is missing by it."""
    order = await buy(world, 100, 20)
    books: Any = world.ledger.orders._books
    held, gifts = books.held, [15]

    async def late(user: str) -> Any:
        found = await held(user)
        if gifts:
            await world.send("bob", count=gifts.pop())
        return found

    monkeypatch.setattr(books, "held", late)
    _, one = await world.ledger.orders.withdraw(order.id, world.key(), START)
    now = await account(world)
    assert (one.coins, one.bonus, now.coins, now.debt) == (100, 5, 0, 0)


async def test_coins_that_were_granted_pay_for_no_refund(world: World) -> None:
    order = await buy(world, 100, 20)
    await world.send("bob", count=120)
    await world.grant("bob", 50)
    await world.ledger.orders.apply(said(order, Kind.REFUNDED))
    now = await account(world)
    assert (now.coins, now.bonus, now.debt, now.frozen) == (30, 30, 100, Frozen.DEBT), "but for the lot's own bonus"


async def test_a_partition_issues_as_much_as_an_amount_may_be_and_not_a_coin_more(world: World) -> None:
    """Also where most of it is spent."""
    key = f"{world.base('bob')}:totals"
    await world.grant("bob", MAX_AMOUNT - int(await world.redis.hget(key, "issued") or 0) - 100)
    await world.send("bob", count=500)
    left = (await account(world)).coins
    order = await begin(world, 101)
    with pytest.raises(errors.WalletFull):
        await world.ledger.orders.apply(paid(order))
    await buy(world, 100)
    assert (await account(world)).coins == left + 100
    assert int(await world.redis.hget(key, "issued")) == MAX_AMOUNT


async def test_what_freezes_and_frees_a_user_is_an_entry(world: World) -> None:
    order = await buy(world, 100)
    warning, cleared = said(order, Kind.FRAUD_WARNING), said(order, Kind.WARNING_CLEARED, at=order.created + 2)
    for effect in (warning, warning, cleared):
        await world.ledger.orders.apply(effect)
    spans = dict.fromkeys(world.ledger.keys.bases, Span())
    found = [one async for _, _, one in read_ledger(world.redis, spans) if isinstance(one, AccountChange)]
    assert found == [
        AccountChange(START, effect_key(effect), "bob", "frozen", f"{bits}", order.id)
        for effect, bits in ((warning, int(Frozen.WARNING)), (cleared, 0))
    ]
