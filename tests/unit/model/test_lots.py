"""Lots: what is left of a purchase, what comes back for it, and that no rounding ever gives more than was paid."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gifting.model.consequences import booked, owed, state
from gifting.model.effects import WHOLE, Effect, Kind
from gifting.model.lots import (
    DAY_MS,
    consumed,
    deferred,
    kept,
    spread,
    unspent,
    withdrawable,
    withdrawable_until,
    withdrawal_amount,
    withdrawal_bonus,
)
from gifting.model.money_back import money_back, money_promised
from gifting.model.order_table import ORDER, effect, follow
from gifting.model.orders import Coins, Order, Withdrawal

PAID = effect(Kind.PAID, "payment", 1)
ENDED = Withdrawal(30, 6, 300, 2)
"""But for when."""


def lot(name: str, coins: int, before: int, taken: int = 0) -> Order:
    return replace(ORDER, id=name, coins=coins, before=before, issued=True, taken=Coins(taken, 0))


def test_what_was_bought_first_is_spent_first() -> None:
    lots = [lot("b", 50, 100), lot("a", 100, 0), lot("c", 30, 150)]
    left = {order.id: coins for order, coins in spread(120, lots)}
    assert left == {"a": 40, "b": 50, "c": 30}
    assert [unspent(order, 60, lots) for order in lots] == [30, 0, 30]


def test_what_was_taken_back_of_a_later_lot_is_no_coins_of_it() -> None:
    lots = [lot("a", 100, 0), lot("b", 50, 100, taken=50)]
    assert [unspent(order, 80, lots) for order in lots] == [80, 0]


def test_who_has_more_paid_coins_than_lots_has_all_of_them() -> None:
    assert unspent(lot("a", 100, 0), 1000, [lot("a", 100, 0)]) == 100


def test_an_order_that_was_not_issued_is_no_lot() -> None:
    assert unspent(ORDER, 100, [ORDER]) == consumed(ORDER, 0) == kept(ORDER) == 0


@given(
    price=st.integers(1, 2000),
    coins=st.integers(1, 300),
    parts=st.lists(st.tuples(st.booleans(), st.integers(1, 300)), max_size=8),
)
def test_no_more_money_goes_back_than_was_paid(price: int, coins: int, parts: list[tuple[bool, int]]) -> None:
    """Withdrawals in parts, whose refunds are told with their names at once, or without and later; then the rest."""
    order, later = follow(replace(ORDER, price=price, coins=coins), PAID), []
    for n, (named, size) in enumerate(parts):
        gone, amount = order.taken.paid, withdrawal_amount(order, size)
        if size > coins - gone or not amount:
            continue
        taken = Withdrawal(size, withdrawal_bonus(order, size, 20), amount, 2, done_at=3)
        order = booked(replace(order, withdrawals=order.withdrawals | {f"w{n}": taken}), 0)
        told = Effect("sandbox", f"r{n}", Kind.REFUNDED, 3, amount=amount, withdrawal=f"w{n}" if named else "")
        if named:
            order = follow(order, told)
        else:
            later.append(told)
        assert order.taken.paid == gone + size
        assert money_back(order) == sum(one.amount for one in order.withdrawals.values()) <= price
    told_all = reduce(follow, later, order)
    assert (money_back(told_all), told_all.taken) == (money_back(order), order.taken)
    assert order.taken.paid < coins or money_back(order) == price, "who gave all back got all"
    if rest := price - money_back(order):
        order = follow(told_all, Effect("sandbox", "rest", Kind.REFUNDED, 4, amount=rest))
        assert (state(order), owed(order)) == ("refunded", Coins(coins, 20))


def test_a_withdrawal_after_a_partial_refund_gives_what_is_left() -> None:
    order = follow(booked(follow(replace(ORDER, price=100, coins=3), PAID), 0), effect(Kind.REFUNDED, "r", 2, 50))
    assert order.taken.paid == 1, "one and a half, rounded down"
    assert withdrawal_amount(order, 1) == 66 - 50
    assert withdrawal_amount(order, 2) == 50


def test_a_withdrawal_on_its_way_counts_as_money_that_went_back() -> None:
    order = booked(replace(follow(ORDER, PAID), withdrawals={"w": Withdrawal(30, 6, 300, 2)}), 0)
    assert (money_back(order), money_promised(order)) == (0, 300)
    assert withdrawal_amount(order, 70) == 700


def test_a_withdrawal_that_came_to_an_end_is_on_its_way_no_more() -> None:
    order = follow(ORDER, PAID)
    for ended, promised in ((replace(ENDED, done_at=3), 300), (replace(ENDED, failed_at=3), 0)):
        assert money_promised(replace(order, withdrawals={"w": ended})) == promised


def test_the_bonus_that_was_taken_before_is_not_taken_again() -> None:
    order = replace(follow(ORDER, PAID), taken=Coins(50, 10))
    assert withdrawal_bonus(order, 50, 20) == 10
    assert withdrawal_bonus(replace(order, taken=Coins(0, 20)), 1, 20) == 0


def test_bonus_goes_with_a_withdrawal_as_far_as_it_is_there() -> None:
    order = follow(ORDER, PAID)
    assert withdrawal_bonus(order, 50, 20) == 10
    assert withdrawal_bonus(order, 50, 3) == 3
    assert withdrawal_bonus(order, 100, 0) == 0


@pytest.mark.parametrize(("days", "at", "good"), [(14, 14 * DAY_MS, True), (14, 14 * DAY_MS + 1, False), (0, 2, False)])
def test_days_count_from_the_payment(days: int, at: int, good: bool) -> None:
    order = follow(replace(ORDER, withdraw_days=days), PAID)
    assert withdrawable(order, at) is good
    assert withdrawable_until(order) == (days and days * DAY_MS + 1)


def test_days_count_from_the_first_of_two_payments() -> None:
    order = follow(follow(replace(ORDER, withdraw_days=14), effect(Kind.PAID, "again", 5)), PAID)
    assert withdrawable_until(order) == 14 * DAY_MS + 1


def test_what_is_not_paid_or_is_disputed_is_not_withdrawn() -> None:
    order = replace(ORDER, withdraw_days=14)
    assert not withdrawable(order, 2)
    assert not withdrawable(follow(follow(order, PAID), effect(Kind.DISPUTED, "d", 2)), 2)


def test_consumption_and_deferred_revenue() -> None:
    order = follow(ORDER, PAID)
    assert [consumed(order, left) for left in (100, 67, 0)] == [0, 33 * WHOLE // 100, WHOLE]
    assert [deferred(order, left) for left in (100, 67, 0)] == [1000, 670, 0]
