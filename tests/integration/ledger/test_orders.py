"""Orders in the ledger: begun once, paid once, taken back to the coin, whatever comes twice or at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from gifting import errors
from gifting.ledger.account import Account, Frozen
from gifting.ledger.audit import audit
from gifting.ledger.entries import Purchase, Reversal
from gifting.ledger.keys import account_keys
from gifting.ledger.order_books import Held
from gifting.ledger.orders import OPEN_MAX
from gifting.ledger.status import Status
from gifting.ledger.stream import Span, read_ledger
from gifting.model.consequences import State, state
from gifting.model.effects import Effect, Kind, effect_key
from gifting.model.money import MAX_AMOUNT, parse_key
from gifting.model.money_back import money_back
from gifting.model.orders import Coins, Order, PaymentMismatch, Withdrawal
from gifting.model.packing import unpack
from gifting.model.protection import Protection, write_protection
from tests.support.accounts import account_of
from tests.support.orders import anyone, draft, paid, said
from tests.support.world import START, World, a_world

DAY = 86_400_000


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    """Whatever a test does, the books hold after it."""
    async with a_world(redis_url, like_interval=0) as made:
        yield made
        report = await audit(made.redis, made.ledger.keys)
        assert report.clean, report.lines()


async def begin(world: World, user: str = "ann", **more: Any) -> Order:
    return await world.ledger.orders.open(draft(user, world.key(), **more), anyone)


async def buy(world: World, user: str = "ann", **more: Any) -> Order:
    order = await begin(world, user, **more)
    return (await world.ledger.orders.apply(paid(order))).order


async def follow(world: World, order: Order, kind: Kind, what: str = "", **more: Any) -> Order:
    return (await world.ledger.orders.apply(said(order, kind, what, **more))).order


async def account(world: World, user: str = "ann") -> Account:
    return await account_of(world.redis, world.base(user), user)


async def entries(world: World) -> list[Purchase | Reversal]:
    spans = dict.fromkeys(world.ledger.keys.bases, Span())
    return [one async for _, _, one in read_ledger(world.redis, spans) if isinstance(one, Purchase | Reversal)]


# Beginning.


async def test_an_order_is_begun_once_for_ever(world: World) -> None:
    first = draft("ann", world.key())
    assert await world.ledger.orders.open(first, anyone) == first
    world.clock[0] += 400 * DAY

    def nobody(held: Held) -> None:
        raise AssertionError("it was begun before")

    again = replace(first, created=world.clock[0], expires=world.clock[0] + 1)
    assert await world.ledger.orders.open(again, nobody) == first
    with pytest.raises(errors.KeyReused):
        await world.ledger.orders.open(replace(first, digest=b"another!"), anyone)
    assert await world.ledger.orders.of_user("ann") == [first]
    assert await world.ledger.orders.get(first.id) == first


async def test_two_users_may_have_one_key(world: World) -> None:
    key = world.key()
    orders = [await world.ledger.orders.open(draft(user, key), anyone) for user in ("ann", "bob")]
    assert [await world.ledger.orders.get(order.id) for order in orders] == orders


async def test_nothing_is_issued_before_money_came(world: World) -> None:
    order = await begin(world)
    for kind in (Kind.PAYING, Kind.FAILED, Kind.EXPIRED):
        order = await follow(world, order, kind)
    assert state(order) == State.EXPIRED
    assert await account(world) == Account()
    assert await entries(world) == []


async def test_open_orders_are_bounded(world: World) -> None:
    orders = [await begin(world) for _ in range(OPEN_MAX)]
    before = await world.state()
    with pytest.raises(errors.TooManyOrders):
        await begin(world)
    assert await world.state() == before
    await follow(world, orders[0], Kind.EXPIRED)
    await begin(world)


async def test_what_speaks_against_an_order_leaves_nothing(world: World) -> None:
    def limited(held: Held) -> None:
        raise errors.PurchaseLimit("Enough.")

    before = await world.state()
    with pytest.raises(errors.PurchaseLimit):
        await world.ledger.orders.open(draft("ann", world.key()), limited)
    assert await world.state() == before


async def test_of_orders_begun_at_once_none_passes_a_limit(world: World, redis_url: str) -> None:
    def one(held: Held) -> None:
        if held.orders:
            raise errors.PurchaseLimit("One is enough.")

    async with a_world(redis_url, like_interval=0) as other:
        calls = [
            ledger.open(draft("ann", world.key()), one) for ledger in (world.ledger.orders, other.ledger.orders) * 5
        ]
        told = await asyncio.gather(*calls, return_exceptions=True)
    assert sorted(type(one).__name__ for one in told) == ["Order"] + ["PurchaseLimit"] * 9


async def test_a_limit_that_is_lowered_meanwhile_holds(world: World) -> None:
    base, asked = world.base("ann"), []

    def limited(held: Held) -> None:
        asked.append(held.protection.purchases)
        if held.protection.purchases:
            raise errors.PurchaseLimit("Enough.")

    books: Any = world.ledger.orders._books
    refer = books._refer

    async def lowered(*args: Any) -> None:
        await world.redis.hset(f"{base}:accounts", "ann", write_protection(Protection(purchases={"h24": 1})))
        await refer(*args)

    books._refer = lowered
    with pytest.raises(errors.PurchaseLimit):
        await world.ledger.orders.open(draft("ann", world.key()), limited)
    assert asked == [{}, {"h24": 1}]


# Paying.


async def test_a_payment_issues_paid_and_bonus_coins(world: World) -> None:
    order = await buy(world)
    assert (state(order), order.issued, order.before) == (State.PAID, True, 0)
    assert await account(world) == Account(coins=120, bonus=20, purchased=100)
    assert await entries(world) == [
        Purchase(START, effect_key(paid(order)), "ann", order.id, 100, 20, 0, 1000, "EUR", "sandbox")
    ]
    second = await buy(world)
    assert second.before == 100


@pytest.mark.parametrize("seed", range(3))
async def test_twenty_equal_webhooks_on_two_nodes_issue_once(world: World, redis_url: str, seed: int) -> None:
    order = await begin(world)
    async with a_world(redis_url, like_interval=0) as other:
        nodes = [world.ledger.orders, other.ledger.orders] * 10
        told = await asyncio.gather(*(node.apply(paid(order)) for node in nodes))
    assert sum(one.changed for one in told) == 1
    assert all(one.order == told[0].order for one in told)
    assert await account(world) == Account(coins=120, bonus=20, purchased=100)
    assert len(await entries(world)) == 1


@pytest.mark.parametrize("seed", range(5))
async def test_all_that_can_be_said_at_once_in_any_order_ends_alike(world: World, redis_url: str, seed: int) -> None:
    order = await begin(world)
    effects = [
        paid(order),
        said(order, Kind.PAYING, "payment"),
        said(order, Kind.REFUNDED, "one", amount=300),
        said(order, Kind.REFUNDED, "two", amount=400),
        said(order, Kind.REFUND_FAILED, "two"),
        said(order, Kind.DISPUTED),
        said(order, Kind.DISPUTE_WON, "disputed"),
        said(order, Kind.FRAUD_WARNING),
        said(order, Kind.EXPIRED),
    ]
    shuffled = effects * 3
    random.Random(seed).shuffle(shuffled)
    async with a_world(redis_url, like_interval=0) as other:
        nodes = [world.ledger.orders, other.ledger.orders]
        await asyncio.gather(*(nodes[place % 2].apply(effect) for place, effect in enumerate(shuffled)))
    kept = await world.ledger.orders.get(order.id)
    assert (state(kept), money_back(kept), kept.taken) == (State.FRAUD_WARNING, 300, Coins(30, 6))
    frozen = Frozen.WARNING
    assert await account(world) == Account(coins=84, bonus=14, purchased=100, frozen=frozen)


async def test_a_payment_that_does_not_fit_changes_nothing(world: World) -> None:
    order = await begin(world)
    before = await world.state()
    for other in ({"amount": 1}, {"currency": "USD"}, {"provider": "stripe"}):
        with pytest.raises(PaymentMismatch):
            await world.ledger.orders.apply(replace(paid(order), **other))
    assert await world.state() == before


async def test_one_payment_is_for_one_order(world: World) -> None:
    """A receipt of a store that is shown for a second order."""
    orders = [await begin(world) for _ in range(2)]
    await world.ledger.orders.apply(paid(orders[0]))
    with pytest.raises(PaymentMismatch):
        await world.ledger.orders.apply(replace(paid(orders[0]), order=orders[1].id))
    assert (await account(world)).coins == 120


async def test_who_pays_an_order_twice_gets_it_once_and_that_is_said(world: World) -> None:
    order = await buy(world)
    told = await world.ledger.orders.apply(replace(paid(order), object="another"))
    assert (told.changed, told.surplus) == (True, True)
    told = await world.ledger.orders.apply(replace(paid(order), object="another"))
    assert (told.changed, told.surplus) == (False, False)
    assert (await account(world)).coins == 120


async def test_an_order_is_found_by_what_the_provider_calls_it(world: World) -> None:
    order = await begin(world)
    attached = await world.ledger.orders.attach(order.id, "https://pay/1", "sandbox:cs_1", order.expires + 5)
    assert (attached.url, attached.references) == ("https://pay/1", ("sandbox:cs_1",))
    assert await world.ledger.orders.attach(order.id, "https://pay/1", "sandbox:cs_1", order.expires + 5) == attached
    assert await world.ledger.orders.find("sandbox:cs_1") == attached
    by_reference = replace(paid(order), order="", reference="sandbox:cs_1")
    assert (await world.ledger.orders.apply(by_reference)).order.issued
    with pytest.raises(errors.OrderNotFound):
        await world.ledger.orders.apply(replace(by_reference, reference="sandbox:cs_2"))
    with pytest.raises(errors.OrderNotFound):
        await world.ledger.orders.get("sandbox:cs_1")
    assert await world.ledger.orders.find("nothing") is None


async def test_a_wallet_that_can_not_hold_more(world: World) -> None:
    order = await begin(world, coins=MAX_AMOUNT)
    before = await world.state()
    with pytest.raises(errors.WalletFull):
        await world.ledger.orders.apply(paid(order))
    changed = {name for name, dump in (await world.state()).items() if before.get(name) != dump}
    assert {name.rpartition(b":")[2] for name in changed} <= {b"references"}


@pytest.mark.parametrize("coins", [-1, 1.5, 2**53, float("nan")])
async def test_the_script_takes_whole_amounts_only(world: World, coins: float) -> None:
    keys = [*account_keys(world.base("ann")), *world.ledger.keys.orders("ann")]
    options = ("ann", 0, "order", b"order", 0, bytes(16), coins, 0, 0, 0, 0, 0, 0, False, 1000, "EUR", "sandbox", 0, "")
    reply = unpack(await world.raw("order_put", keys, options))
    assert reply == [Status.BAD_AMOUNT, 0]


# Taking back.


async def test_what_was_spent_of_a_refund_is_debt_and_freezes(world: World) -> None:
    order = await buy(world)
    await world.send(count=50)
    order = await follow(world, order, Kind.REFUNDED)
    assert await account(world) == Account(
        coins=0, debt=50, frozen=Frozen.DEBT, purchased=100, sent=50, **await windows(world)
    )
    money = (1000, "EUR", "refund", 100)
    assert (await entries(world))[-1] == Reversal(
        START, effect_key(said(order, Kind.REFUNDED)), "ann", order.id, 70, 0, 50, *money
    )


async def test_entries_tell_the_money_that_went_back_and_why(world: World) -> None:
    """Also what is worth no coin; and what comes again."""
    order = await buy(world)
    await follow(world, order, Kind.REFUNDED, "a cent", amount=1)
    await follow(world, order, Kind.REFUNDED, "the rest of a coin", amount=9)
    await follow(world, order, Kind.DISPUTE_LOST, "dispute")
    await follow(world, order, Kind.REFUND_FAILED, "a cent", at=order.created + 2)
    second = await buy(world, currency="JPY", provider="other")
    await follow(world, second, Kind.DISPUTE_LOST, amount=250)
    await follow(world, second, Kind.DISPUTE_WON, at=second.created + 2)
    await world.ledger.orders.withdraw(second.id, world.key(), START)
    told = [
        (one.paid + one.bonus + one.debt, one.lot, one.amount, one.currency, one.why)
        for one in await entries(world)
        if isinstance(one, Reversal)
    ]
    assert told == [
        (0, 0, 1, "EUR", "refund"),
        (1, 1, 9, "EUR", "refund"),
        (119, 99, 990, "EUR", "dispute"),
        (30, 25, 250, "JPY", "dispute"),
        (-30, -25, -250, "JPY", "dispute"),
        (120, 100, 1000, "JPY", "withdrawal"),
    ]


async def windows(world: World) -> dict[str, int]:
    """What an account knows beside coins, which is not looked at here."""
    known = await account(world)
    names = ("roll_at", "since", "day", "month", "left", "notice_at", "run_coins", "run_last", "velocity")
    return {name: getattr(known, name) for name in names}


async def test_a_purchase_settles_debt_first_and_what_is_given_back_too(world: World) -> None:
    first = await buy(world)
    await world.send(count=90)
    await follow(world, first, Kind.REFUNDED)
    assert (await account(world)).debt == 90
    await buy(world, coins=40, bonus=0)
    now = await account(world)
    assert (now.coins, now.debt, now.frozen) == (0, 50, Frozen.DEBT)
    await follow(world, first, Kind.REFUND_FAILED, "refunded")
    now = await account(world)
    assert (now.coins, now.debt, now.frozen) == (70, 0, 0)


async def test_a_lost_dispute_takes_and_a_won_one_gives_back(world: World) -> None:
    order = await buy(world)
    await follow(world, order, Kind.DISPUTED, "dispute")
    now = await account(world)
    assert (now.coins, now.frozen) == (120, Frozen.DISPUTE)
    await follow(world, order, Kind.DISPUTE_LOST, "dispute")
    now = await account(world)
    assert (now.coins, now.frozen) == (0, 0)
    await follow(world, order, Kind.DISPUTE_WON, "dispute", at=order.created + 9)
    now = await account(world)
    assert (now.coins, now.bonus, now.frozen) == (120, 20, 0)


async def test_a_freeze_is_over_when_the_last_order_that_asks_for_it_is(world: World) -> None:
    orders = [await buy(world) for _ in range(2)]
    for order in orders:
        await follow(world, order, Kind.FRAUD_WARNING)
    await follow(world, orders[0], Kind.WARNING_CLEARED, at=orders[0].created + 2)
    assert (await account(world)).frozen == Frozen.WARNING
    await follow(world, orders[1], Kind.REFUNDED)
    assert (await account(world)).frozen == 0


async def test_a_refund_crosses_a_gift_and_nothing_is_negative(world: World) -> None:
    order = await buy(world, bonus=0)
    gifts = [world.send(count=7) for _ in range(20)]
    told = await asyncio.gather(
        *gifts[:10], world.ledger.orders.apply(said(order, Kind.REFUNDED)), *gifts[10:], return_exceptions=True
    )
    spent = 7 * sum(not isinstance(one, BaseException) for one in told[:10] + told[11:])
    now = await account(world)
    assert (now.coins, now.debt) == (0, spent)


# Withdrawing.


async def test_unspent_coins_are_withdrawn_in_three_steps(world: World) -> None:
    order, key = await buy(world), world.key()
    await world.send(count=50)
    taken, one = await world.ledger.orders.withdraw(order.id, key, START)
    assert one == Withdrawal(70, 0, 700, START)
    assert (await account(world)).coins == 0
    assert await world.ledger.orders.withdraw(order.id, key, START + 1) == (taken, one)
    assert [due.id for due in await world.ledger.orders.due(START, 10)] == [order.id]
    done = await world.ledger.orders.withdrawn(order.id, key, START + 2)
    assert await world.ledger.orders.withdrawal_failed(order.id, key, START + 3) == done, "it was done"
    assert (state(done), money_back(done)) == (State.PARTLY_REFUNDED, 700)
    assert await world.ledger.orders.due(START + DAY, 10) == []
    await follow(world, order, Kind.REFUNDED, "refund", amount=700, withdrawal=key)
    assert (await account(world)).debt == 0
    with pytest.raises(errors.NotWithdrawable):
        await world.ledger.orders.withdraw(order.id, world.key(), START)


async def test_a_withdrawal_is_what_was_shown_or_nothing(world: World) -> None:
    order, key = await buy(world), world.key()
    await world.send(count=50)
    before = await world.state()
    with pytest.raises(errors.Conflict):
        await world.ledger.orders.withdraw(order.id, key, START, (100, 1000))
    assert await world.state() == before
    assert (await world.ledger.orders.withdraw(order.id, key, START, (70, 700)))[1].coins == 70


async def test_a_withdrawal_that_the_provider_refuses_is_given_back(world: World) -> None:
    order, key = await buy(world), world.key()
    await world.ledger.orders.withdraw(order.id, key, START)
    assert await account(world) == Account(purchased=100)
    for _ in range(2):
        await world.ledger.orders.withdrawal_failed(order.id, key, START + 1)
    assert await account(world) == Account(coins=120, bonus=20, purchased=100)
    kinds = [(type(one), one.paid, one.bonus) for one in await entries(world)]
    assert kinds == [(Purchase, 100, 20), (Reversal, 100, 20), (Reversal, -100, -20)]


async def test_a_lot_is_what_was_bought_first_and_not_spent(world: World) -> None:
    orders = [await buy(world, bonus=0) for _ in range(2)]
    await world.send(count=30)
    assert (await world.ledger.orders.withdraw(orders[0].id, world.key(), START))[1].coins == 70
    assert (await world.ledger.orders.withdraw(orders[1].id, world.key(), START))[1].coins == 100
    assert (await account(world)).coins == 0


async def test_withdrawals_cross_gifts_and_nothing_is_spent_twice(world: World) -> None:
    orders = [await buy(world, bonus=0) for _ in range(2)]
    told = await asyncio.gather(
        *(world.send(count=9) for _ in range(10)),
        *(world.ledger.orders.withdraw(order.id, world.key(), START) for order in orders * 2),
        *(world.send(count=9) for _ in range(10)),
        return_exceptions=True,
    )
    gifts = sum(9 for one in told[:10] + told[14:] if not isinstance(one, BaseException))
    taken = sum(one[1].coins for one in told[10:14] if isinstance(one, tuple))
    now = await account(world)
    assert (now.coins, now.debt) == (200 - gifts - taken, 0)


@pytest.mark.parametrize("late", [False, True])
async def test_what_is_spent_or_too_late_is_not_withdrawn(world: World, late: bool) -> None:
    order = await buy(world)
    if not late:
        await world.send(count=120)
    before = await world.state()
    with pytest.raises(errors.NotWithdrawable):
        await world.ledger.orders.withdraw(order.id, world.key(), START + 14 * DAY + 1 if late else START)
    with pytest.raises(errors.BadKey):
        await world.ledger.orders.withdraw(order.id, "key", START)
    with pytest.raises(errors.OrderNotFound):
        await world.ledger.orders.withdraw("nothing", world.key(), START)
    assert await world.state() == before


async def test_orders_that_nobody_tells_of_are_due(world: World) -> None:
    orders = [await begin(world, user) for user in ("ann", "bob")]
    assert await world.ledger.orders.due(orders[0].expires - 1, 10) == []
    due = await world.ledger.orders.due(orders[1].expires, 10)
    assert {order.id for order in due} == {order.id for order in orders}
    await follow(world, orders[0], Kind.EXPIRED)
    await world.ledger.orders.apply(paid(orders[1]))
    assert await world.ledger.orders.due(orders[1].expires, 10) == []


async def test_conflict_is_told_where_others_never_let_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    order = await begin(world)
    books: Any = world.ledger.orders._books
    held = books.held

    async def stale(user: str) -> Any:
        found = await held(user)
        object.__setattr__(found, "version", found.version - 1)
        return found

    monkeypatch.setattr(books, "held", stale)
    monkeypatch.setattr("gifting.ledger.order_books.TRIES", 3)
    with pytest.raises(errors.Conflict):
        await world.ledger.orders.apply(paid(order))
    assert await account(world) == Account()


def test_keys_of_withdrawals_are_those_of_their_entries() -> None:
    key = "01890000-0000-7000-8000-000000000000"
    assert parse_key(key) != effect_key(Effect("sandbox", key, Kind.REFUND_FAILED, 1))
