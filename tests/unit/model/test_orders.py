"""Orders: facts come in any order and any number, and end alike; every effect on every state."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gifting.model.consequences import DISPUTED, WARNED, State, booked, change, due, frozen, owed, state
from gifting.model.effects import WHOLE, Effect, Kind, effect_key, order_id
from gifting.model.money import key_time, parse_key
from gifting.model.money_back import money_back
from gifting.model.order_table import ASKED, EFFECTS, ORDER, WAYS, asked, cell, effect, follow, table
from gifting.model.orders import (
    FACTS_MAX,
    Coins,
    Order,
    PaymentMismatch,
    Withdrawal,
    add,
    pack_order,
    unpack_order,
)
from tests.support.keys import new_key
from tests.support.paths import ROOT

PAID = effect(Kind.PAID, "payment", 1)


def after(*effects: Effect, order: Order = ORDER) -> Order:
    return reduce(follow, effects, order)


def balance(effects: list[Effect]) -> tuple[bytes, int, int]:
    """The record, and the coins that the books have issued less those they took back, step by step."""
    order, paid, bonus = ORDER, 0, 0
    for one in effects:
        told = add(order, one)
        issue, take, _ = change(told)
        paid, bonus = paid + issue.paid - take.paid, bonus + issue.bonus - take.bonus
        order = booked(told, 0)
    return pack_order(order), paid, bonus


facts = st.builds(
    effect,
    st.sampled_from(list(Kind)),
    st.sampled_from(["one", "two"]),
    st.integers(1, 4),
    st.sampled_from([0, 1, 333, 999]),
)


@given(st.lists(facts, max_size=8).flatmap(lambda all: st.tuples(st.just(all), st.permutations(all + all[:3]))))
def test_any_order_and_any_repetition_of_effects_end_alike(both: tuple[list[Effect], list[Effect]]) -> None:
    effects, shuffled = both
    assert balance(effects) == balance(shuffled)


@given(st.lists(facts, max_size=8))
def test_coins_out_are_never_more_than_issued_and_never_fewer_than_none(effects: list[Effect]) -> None:
    order = after(*effects)
    _, paid, bonus = balance(effects)
    assert 0 <= paid <= order.coins * order.issued
    assert 0 <= bonus <= order.bonus * order.issued
    assert Coins(order.coins - paid, order.bonus - bonus) == order.taken or not order.issued
    assert not change(order)
    assert unpack_order(pack_order(order)) == order


@pytest.mark.parametrize("before", State)
def test_the_table_reaches_every_state(before: State) -> None:
    assert state(after(*WAYS[before])) == before


def test_the_table_has_every_kind() -> None:
    assert {one.kind for one in EFFECTS.values()} == set(Kind)


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("name", EFFECTS)
def test_every_effect_on_every_state(before: State, name: str) -> None:
    """What each must do, said once more and in other words than the rules."""
    one, order = EFFECTS[name], after(*WAYS[before])
    then = after(one, order=order)
    unpaid = before in (State.CREATED, State.PAYING, State.EXPIRED, State.FAILED)
    if unpaid and one.kind != Kind.PAID:
        assert not then.issued
        assert state(then) in (State.CREATED, State.PAYING, State.EXPIRED, State.FAILED)
    else:
        assert then.issued
    assert after(one, order=then) == then, "again changes nothing"
    kept = then.coins - then.taken.paid if then.issued else 0
    assert kept == (_coins_left(before, name) if then.issued else 0)


def _coins_left(before: State, name: str) -> int:
    """Of the 100 paid ones."""
    left = {State.PARTLY_REFUNDED: 60, State.REFUNDED: 0, State.LOST: 0}.get(before, 100)
    if name in ("refunded: all", "dispute_lost"):
        return 0
    if name == "refunded: another 4.00":
        return max(left - 40, 0)
    if name == "refund_failed" and before in (State.PARTLY_REFUNDED, State.REFUNDED):
        return 100
    if name == "dispute_won" and before == State.LOST:
        return 100
    return left


def test_the_document_has_the_table() -> None:
    assert "\n".join(table()) in (ROOT / "docs/economy.md").read_text(encoding="utf-8")


def test_cells_say_state_and_coins() -> None:
    assert cell(State.CREATED, EFFECTS["paid"]) == "paid +120"
    assert cell(State.PAID, EFFECTS["refunded: another 4.00"]) == "partly_refunded −48"
    assert cell(State.LOST, EFFECTS["dispute_won"]) == "won +120"
    assert cell(State.PAID, EFFECTS["paid"]) == "·"
    assert len(list(table())) == 2 + len(EFFECTS) + len(ASKED)
    assert asked(State.PARTLY_REFUNDED, 0) == "refunded −72"
    assert asked(State.FRAUD_WARNING, 400) == "−48"
    assert asked(State.DISPUTED, 400) == "refused"


def test_a_payment_of_an_order_that_is_over_is_issued() -> None:
    for over in (State.EXPIRED, State.FAILED):
        assert change(add(after(*WAYS[over]), PAID)).issue == Coins(100, 20)


def test_what_goes_back_before_the_payment_is_known_is_taken_with_it() -> None:
    told = add(after(effect(Kind.REFUNDED, "refund", 1, 500)), PAID)
    assert change(told) == (Coins(100, 20), Coins(50, 10), 500)


@pytest.mark.parametrize(
    "paid",
    [
        Effect("sandbox", "payment", Kind.PAID, 1, amount=999, currency="EUR"),
        Effect("sandbox", "payment", Kind.PAID, 1, amount=1000, currency="USD"),
        Effect("sandbox", "refund", Kind.REFUNDED, 1, amount=1000, currency="USD"),
        Effect("another", "payment", Kind.PAID, 1),
    ],
)
def test_money_that_does_not_fit_adds_nothing(paid: Effect) -> None:
    with pytest.raises(PaymentMismatch):
        add(ORDER, paid)


def test_currencies_are_compared_whatever_their_case() -> None:
    assert add(ORDER, Effect("sandbox", "payment", Kind.PAID, 1, amount=1000, currency="eur")).payments


def test_who_paid_twice_gets_coins_once_and_the_second_payment_back_without_losing_them() -> None:
    order = after(PAID, effect(Kind.PAID, "payment again", 2))
    assert order.issued
    order = after(effect(Kind.REFUNDED, "refund", 3), order=order)
    assert (state(order), owed(order)) == (State.PAID, Coins(0, 0))
    order = after(effect(Kind.REFUNDED, "another", 3), order=order)
    assert (state(order), owed(order)) == (State.REFUNDED, Coins(100, 20))


def test_a_part_of_the_price_may_be_named_as_a_share() -> None:
    order = after(PAID, Effect("sandbox", "transaction", Kind.REFUNDED, 2, share=WHOLE // 3))
    assert (money_back(order), owed(order)) == (333, Coins(33, 6))


def test_refunds_in_small_parts_take_what_they_would_in_one() -> None:
    order = after(PAID, *(effect(Kind.REFUNDED, f"refund {n}", 2, 9) for n in range(FACTS_MAX)))
    assert owed(order) == Coins(90, 18)


def test_more_facts_than_an_order_may_have_are_not_believed() -> None:
    order = after(PAID, *(effect(Kind.REFUNDED, f"refund {n}", 2, 9) for n in range(FACTS_MAX)))
    with pytest.raises(PaymentMismatch):
        add(order, effect(Kind.REFUNDED, "another", 2, 9))
    with pytest.raises(PaymentMismatch):
        add(replace(order, references=("x",) * FACTS_MAX), Effect("sandbox", "b", Kind.PAYING, 1, reference="y"))


def test_a_refund_that_counts_again_after_it_was_reversed_takes_again() -> None:
    """Apple's, which is about the transaction each time."""
    order = after(PAID, effect(Kind.REFUNDED, "t", 2), effect(Kind.REFUND_FAILED, "t", 3))
    assert state(order) == State.PAID
    assert state(after(effect(Kind.REFUNDED, "t", 4), order=order)) == State.REFUNDED


def test_what_freezes_a_user() -> None:
    warned, disputed = (after(*WAYS[one]) for one in (State.FRAUD_WARNING, State.DISPUTED))
    assert frozen([after(PAID)]) == 0
    assert frozen([after(PAID), warned]) == WARNED
    assert frozen([warned, disputed]) == WARNED | DISPUTED


def with_withdrawal(**done: Any) -> Order:
    """Of 30 coins and 6 bonus, for 3.00."""
    return booked(replace(after(PAID), withdrawals={"w": Withdrawal(30, 6, 300, 2, **done)}), 0)


def test_a_withdrawal_takes_its_coins_and_its_refund_takes_no_more() -> None:
    named = Effect("sandbox", "refund", Kind.REFUNDED, 3, amount=300, withdrawal="w")
    for refund in (named, replace(named, withdrawal="")):
        order = with_withdrawal(done_at=3)
        assert owed(order) == Coins(30, 6)
        assert money_back(order) == 300
        order = after(refund, order=order)
        assert (state(order), owed(order), money_back(order)) == (State.PARTLY_REFUNDED, Coins(30, 6), 300)
        rest = after(effect(Kind.REFUNDED, "rest", 3, 700), order=order)
        assert (state(rest), owed(rest)) == (State.REFUNDED, Coins(100, 20))


def test_a_withdrawal_that_failed_gives_back() -> None:
    assert owed(with_withdrawal(failed_at=3)) == Coins(0, 0)
    failed = Effect("sandbox", "refund", Kind.REFUND_FAILED, 3, withdrawal="w")
    assert owed(after(failed, order=with_withdrawal(done_at=3))) == Coins(0, 0)


def test_what_nobody_tells_of_is_looked_at() -> None:
    assert [due(after(*WAYS[one])) for one in (State.CREATED, State.PAYING, State.PAID, State.EXPIRED)] == [1, 1, 0, 0]
    assert [due(with_withdrawal(**done)) for done in ({}, {"done_at": 3}, {"failed_at": 3})] == [2, 0, 0]


def test_references_are_noted() -> None:
    order = after(Effect("sandbox", "pi_1", Kind.PAID, 1, order="order", reference="sandbox:pi_1"))
    assert order.references == ("sandbox:pi_1",)


def test_an_effects_key_is_of_the_objects_time_and_of_what_happened_to_it() -> None:
    one = effect(Kind.REFUNDED, "re_1", 1_800_000_000_000, 5)
    key = effect_key(one)
    assert key_time(key) == one.at
    assert effect_key(replace(one, order="x", reference="y")) == key
    others = [replace(one, provider="stripe"), replace(one, object="re_2"), replace(one, kind=Kind.REFUND_FAILED)]
    assert len({key, *map(effect_key, others)}) == 4


def test_an_orders_id_is_of_its_user_and_key() -> None:
    key = new_key()
    made = order_id("ann", parse_key(key))
    assert made == order_id("ann", parse_key(key.upper()))
    assert key_time(parse_key(made)) == key_time(parse_key(key))
    assert len({made, order_id("bob", parse_key(key)), order_id("ann", parse_key(new_key()))}) == 3
