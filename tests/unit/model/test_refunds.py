"""Refunds that operators ask for, and refunds without a name beside withdrawals: money and coins end alike."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gifting.errors import NotReversible, NotWithdrawable
from gifting.model.consequences import State, booked, due, owed, state, why
from gifting.model.effects import Effect, Kind
from gifting.model.lots import withdrawal, withdrawal_amount
from gifting.model.money_back import money_back, money_out, returned
from gifting.model.order_table import ORDER, WAYS, effect, follow
from gifting.model.orders import FACTS_MAX, Asked, Coins, Order, pack_order, unpack_order
from gifting.model.refunds import REFUNDABLE, is_same, refund, spendable_since

PAID = effect(Kind.PAID, "payment", 1)
WHOLE = Asked("op", "a test", whole=True)
PART = Asked("op", "a test", (b"g" * 16,))


def taken_out(order: Order, name: str, one: object) -> Order:
    return booked(replace(order, withdrawals=order.withdrawals | {name: one}), 0)


def asked_for(order: Order, name: str, amount: int, asked: Asked = PART) -> Order:
    return taken_out(order, name, refund(order, name, amount, asked, 2))


def after(*effects: Effect, order: Order = ORDER) -> Order:
    return reduce(follow, effects, order)


@pytest.mark.parametrize("before", State)
def test_what_may_be_refunded_in_every_state(before: State) -> None:
    order = after(*WAYS[before])
    if before not in REFUNDABLE:
        with pytest.raises(NotReversible, match=before):
            refund(order, "new", 0, WHOLE, 2)
        return
    done = asked_for(order, "w", 0, WHOLE)
    assert (owed(done), money_out(done)) == (Coins(100, 20), 1000)
    told = after(
        Effect("sandbox", "r", Kind.REFUNDED, 3, withdrawal="w", amount=done.withdrawals["w"].amount), order=done
    )
    assert (owed(told), state(told), money_back(told)) == (Coins(100, 20), State.REFUNDED, 1000)


def test_what_is_refunded_is_never_more_than_the_price() -> None:
    order = after(PAID)
    for amount in (0, -1, 1001):
        with pytest.raises(NotReversible):
            refund(order, "new", amount, PART, 2)
    order = asked_for(order, "w", 999)
    assert refund(order, "new", 1, PART, 2).amount == refund(order, "new", 0, WHOLE, 2).amount == 1
    with pytest.raises(NotReversible):
        refund(order, "new", 2, PART, 2)
    order = asked_for(order, "x", 1)
    with pytest.raises(NotReversible):
        refund(order, "new", 1, PART, 2)
    assert owed(order) == Coins(100, 20)


def test_it_takes_what_is_spent_too_as_a_refund_by_the_provider_would() -> None:
    order = asked_for(after(PAID), "w", 333)
    assert owed(order) == owed(after(PAID, effect(Kind.REFUNDED, "r", 2, 333)))
    assert (why(after(PAID), order), returned(order).refund) == ("refund", 333)


def test_after_a_refund_by_the_provider_it_takes_the_rest() -> None:
    order = after(PAID, effect(Kind.REFUNDED, "r", 2, 333))
    one = refund(order, "new", 0, WHOLE, 2)
    assert (one.amount, one.coins, one.bonus, one.known) == (667, 67, 14, ("r",))


def test_the_providers_clock_may_be_ahead_by_a_minute_and_coins_are_never_there_before_the_order() -> None:
    order = replace(ORDER, created=5, payments={"a": 200_000, "b": 100_000})
    assert spendable_since(order) == 40_000
    assert spendable_since(replace(order, payments={"a": 60_000})) == 5


def test_it_is_the_same_only_if_all_of_it_is() -> None:
    one = refund(after(PAID), "new", 5, PART, 2)
    assert is_same(one, 5, replace(PART, by="another"))
    for amount, asked in ((6, PART), (5, replace(PART, reason="")), (5, replace(PART, gifts=())), (0, WHOLE)):
        assert not is_same(one, amount, asked)
    assert is_same(refund(after(PAID), "new", 0, WHOLE, 2), 0, WHOLE)
    assert not is_same(replace(one, asked=None), 5, PART)


def test_it_waits_for_its_refund_and_then_for_its_gifts_unless_it_failed() -> None:
    order = asked_for(after(PAID), "w", 500)
    one = order.withdrawals["w"]
    assert due(order) == 2
    done = taken_out(order, "w", replace(one, done_at=3))
    assert due(done) == 2
    assert due(taken_out(order, "w", replace(one, done_at=3, asked=replace(PART, reversed_at=4)))) == 0
    assert due(taken_out(order, "w", replace(one, done_at=3, asked=replace(PART, gifts=())))) == 0
    assert due(taken_out(order, "w", replace(one, failed_at=3))) == 0
    assert due(after(Effect("sandbox", "r", Kind.REFUND_FAILED, 9, withdrawal="w"), order=done)) == 0
    assert unpack_order(pack_order(done)) == done


def test_so_many_are_enough() -> None:
    order = after(PAID)
    for number in range(FACTS_MAX):
        order = asked_for(order, f"w{number}", 1)
    with pytest.raises(NotReversible):
        refund(order, "new", 1, PART, 2)
    with pytest.raises(NotWithdrawable):
        withdrawal(replace(order, withdraw_days=14), 100, 20, [order], 2)


# Refunds without a name, told of before a withdrawal.


def withdrawn(order: Order, name: str, size: int, at: int = 2) -> Order:
    """A withdrawal of the last ``size`` coins that were issued."""
    return taken_out(order, name, withdrawal(replace(order, withdraw_days=14), size, 20, [order], at))


@pytest.mark.parametrize("named", ["", "w"])
def test_a_refund_that_was_told_of_before_does_not_carry_out_a_withdrawal(named: str) -> None:
    order = withdrawn(after(PAID, effect(Kind.REFUNDED, "by itself", 2, 15)), "w", 99)
    assert order.withdrawals["w"].amount == 985
    assert (owed(order), money_out(order), money_back(order)) == (Coins(100, 20), 1000, 15)
    done = taken_out(order, "w", replace(order.withdrawals["w"], done_at=3))
    assert (owed(done), money_back(done), state(done)) == (Coins(100, 20), 1000, State.REFUNDED)
    told = after(Effect("sandbox", "r", Kind.REFUNDED, 3, amount=985, withdrawal=named), order=done)
    assert (owed(told), money_back(told), state(told)) == (Coins(100, 20), 1000, State.REFUNDED)
    failed = after(Effect("sandbox", "by itself", Kind.REFUND_FAILED, 4), order=told)
    assert (owed(failed).paid, money_back(failed)) == (99, 985)


def test_of_what_the_provider_gave_back_beyond_what_was_asked_nothing_is_left() -> None:
    order = asked_for(after(PAID), "w", 300)
    order = after(Effect("sandbox", "r", Kind.REFUNDED, 3, amount=900, withdrawal="w"), order=order)
    assert refund(order, "new", 0, WHOLE, 4).amount == 100


def test_a_refund_without_a_name_carries_out_one_withdrawal_and_no_more() -> None:
    order = after(effect(Kind.REFUNDED, "of w", 3, 300), order=withdrawn(after(PAID), "w", 30))
    assert returned(order).refund == 0
    order = withdrawn(order, "x", 20, 4)
    order = after(Effect("sandbox", "of x", Kind.REFUNDED, 5, amount=200, withdrawal="x"), order=order)
    order = after(effect(Kind.REFUNDED, "by itself", 6, 100), order=order)
    assert (returned(order).refund, owed(order).paid, money_back(order)) == (100, 60, 600)


@given(
    price=st.integers(1, 2000),
    coins=st.integers(1, 300),
    steps=st.lists(st.tuples(st.sampled_from(["refund", "withdraw", "ask", "told"]), st.integers(1, 2000)), max_size=8),
)
def test_in_any_order_each_takes_its_own_coins_and_no_more_money_goes_back_than_was_paid(
    price: int, coins: int, steps: list[tuple[str, int]]
) -> None:
    """Refunds by the provider without a name, withdrawals, refunds by operators, and late word of those without one."""
    order, waiting = follow(replace(ORDER, price=price, coins=coins), PAID), list[int]()
    for number, (what, size) in enumerate(steps):
        left, before, name = price - money_out(order), order.taken, f"s{number}"
        if what == "refund" and size <= left and not waiting:
            order = after(effect(Kind.REFUNDED, name, number, size), order=order)
        elif what == "withdraw" and size <= coins - before.paid and withdrawal_amount(order, size):
            order = withdrawn(order, name, size, number)
            one = order.withdrawals[name]
            assert order.taken == (before.paid + one.coins, before.bonus + one.bonus)
            waiting.append(one.amount)
        elif what == "ask" and size <= left:
            order = asked_for(order, name, size)
            one = order.withdrawals[name]
            assert order.taken == (before.paid + one.coins, before.bonus + one.bonus)
            waiting.append(one.amount)
        elif what == "told" and waiting:
            order = after(effect(Kind.REFUNDED, name, number, waiting.pop(0)), order=order)
            assert order.taken == before, "it was taken when it was asked for"
        assert money_back(order) <= money_out(order) <= price
        assert money_out(order) < price or order.taken.paid == coins
    for number, amount in enumerate(waiting):
        order = after(effect(Kind.REFUNDED, f"late{number}", 99, amount), order=order)
    assert money_back(order) == money_out(order)
