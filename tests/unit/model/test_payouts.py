"""Payouts: facts come in any order and any number, and end alike; every step on every state; money to the cent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gifting.model.money import key_time, parse_key
from gifting.model.payout_table import PAYOUT, STEPS, WAYS, cell, follow, sending, table
from gifting.model.payouts import (
    ASK_EVERY,
    DAY_MS,
    IN_REVIEW,
    REFERENCES_MAX,
    RETURN_DAYS,
    SETTLED,
    Fact,
    Kind,
    Payout,
    PayoutMismatch,
    State,
    add,
    booked,
    came_back,
    change,
    contradicts,
    counted,
    due,
    entry_keys,
    pack_payout,
    payable,
    payout_id,
    state,
    unpack_payout,
)
from tests.support.keys import new_key
from tests.support.paths import ROOT

SENT = sending(PAYOUT)

facts = st.builds(
    Fact,
    st.just("sandbox"),
    st.sampled_from(list(Kind)),
    st.integers(4, 7),
    reference=st.sampled_from(["", "sandbox:po_1", "sandbox:tr_1"]),
    reason=st.sampled_from(["", "account_closed", "no_account"]),
)


def ends(told: list[Fact]) -> tuple[bytes, int]:
    """The record, and the diamonds that the books gave back, step by step."""
    payout, back = SENT, 0
    for fact in told:
        payout = add(payout, fact)
        back += change(payout)
        payout = booked(payout)
    return pack_payout(payout), back


@given(st.lists(facts, max_size=8).flatmap(lambda all: st.tuples(st.just(all), st.permutations(all + all[:3]))))
def test_any_order_and_any_repetition_of_facts_end_alike(both: tuple[list[Fact], list[Fact]]) -> None:
    told, shuffled = both
    assert ends(told) == ends(shuffled)


@given(st.lists(facts, max_size=8))
def test_diamonds_come_back_once_or_never(told: list[Fact]) -> None:
    record, back = ends(told)
    payout = unpack_payout(record)
    failed = any(fact.kind in (Kind.FAILED, Kind.RETURNED) for fact in told)
    assert back == (PAYOUT.diamonds if failed else 0)
    assert came_back(payout) is payout.back is failed
    assert (state(payout) in (State.FAILED, State.RETURNED)) is failed
    assert booked(payout) == payout


@pytest.mark.parametrize("name", WAYS)
def test_each_state_is_reached_by_its_way(name: State) -> None:
    payout = PAYOUT
    for step in WAYS[name]:
        payout = follow(payout, step)
    assert state(payout) is name


def test_the_document_has_the_table() -> None:
    assert "\n".join(table()) in (ROOT / "docs/economy.md").read_text(encoding="utf-8")
    assert len(list(table())) == 2 + len(STEPS)
    assert cell(State.PROCESSING, STEPS["failed"]) == "failed +10,000"


@pytest.mark.parametrize(
    "wrong",
    [
        Fact("stripe", Kind.PAID, 4),
        Fact("sandbox", Kind.PAID, 4, amount=5001, currency="USD"),
        Fact("sandbox", Kind.SENT, 4, amount=5000, currency="EUR"),
        Fact("sandbox", Kind.RETURNED, 4, amount=0, currency="usd"),
    ],
)
def test_what_does_not_fit_is_no_fact(wrong: Fact) -> None:
    with pytest.raises(PayoutMismatch):
        add(SENT, wrong)
    assert add(SENT, Fact("sandbox", Kind.PAID, 4, amount=5000, currency="usd")).paid_at == 4


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("payout", [PAYOUT, replace(PAYOUT, review="first"), replace(PAYOUT, rejected=True)])
def test_nothing_is_said_of_what_was_never_sent(payout: Payout, kind: Kind) -> None:
    with pytest.raises(PayoutMismatch):
        add(payout, Fact("sandbox", kind, 4))


def test_references_have_a_bound() -> None:
    payout = SENT
    for number in range(REFERENCES_MAX):
        payout = add(payout, Fact("sandbox", Kind.SENT, 4, reference=f"sandbox:{number}"))
    assert add(payout, Fact("sandbox", Kind.SENT, 4, reference="sandbox:0")) == payout
    with pytest.raises(PayoutMismatch):
        add(payout, Fact("sandbox", Kind.SENT, 4, reference="sandbox:more"))


def test_what_is_paid_after_it_came_back_contradicts() -> None:
    failed = add(SENT, Fact("sandbox", Kind.FAILED, 5))
    assert not contradicts(failed)
    assert contradicts(add(failed, Fact("sandbox", Kind.PAID, 6)))
    assert state(add(failed, Fact("sandbox", Kind.PAID, 6))) is State.RETURNED, "what came back stays"
    assert not contradicts(add(failed, Fact("sandbox", Kind.PAID, 4)))
    assert not contradicts(add(SENT, Fact("sandbox", Kind.PAID, 6)))


def test_somebody_looks_when_something_is_to_be_done() -> None:
    assert due(PAYOUT) == 1, "to send it, at once"
    assert due(replace(PAYOUT, asked_at=9)) == 10
    assert due(replace(PAYOUT, review="first")) == IN_REVIEW + 1, "it is not forgotten, and never due"
    assert due(replace(PAYOUT, review="first", decided_at=7)) == 7
    assert due(replace(PAYOUT, decided_at=7, rejected=True)) == 0
    assert due(SENT) == 3, "what broke off is gone on with"
    sent = replace(SENT, sent_at=5)
    assert (due(sent), due(replace(sent, asked_at=9))) == (5 + ASK_EVERY, 9 + ASK_EVERY)
    paid = replace(sent, paid_at=7)
    assert (due(paid), due(replace(paid, asked_at=9))) == (7 + DAY_MS, 9 + DAY_MS)
    assert due(replace(paid, asked_at=8 + (RETURN_DAYS - 1) * DAY_MS)) == 0
    assert due(replace(paid, returned_at=8)) == 0


def test_what_counts_towards_the_daily_maximum() -> None:
    assert counted(PAYOUT, 0) == PAYOUT.amount
    assert counted(PAYOUT, 1) == 0
    assert counted(add(SENT, Fact("sandbox", Kind.FAILED, 5)), 0) == 0
    assert counted(add(SENT, Fact("sandbox", Kind.PAID, 5)), 0) == PAYOUT.amount


@pytest.mark.parametrize(
    ("diamonds", "micros", "currency", "expected"),
    [
        (10_000_000, 5_000, "USD", (10_000_000, 50_00)),
        (12_345, 5_000, "USD", (12_000, 6)),
        (1_999, 5_000, "USD", (0, 0)),
        (2_000, 5_000, "USD", (2_000, 1)),
        (10_000, 333_333, "USD", (9_991, 333)),
        (1_000, 60_000_000, "KRW", (1_000, 60)),
        (17, 60_000_000, "KRW", (17, 1)),
        (1_000, 1, "KWD", (0, 0)),
        (0, 5_000, "USD", (0, 0)),
    ],
)
def test_diamonds_that_make_no_whole_cent_stay(
    diamonds: int, micros: int, currency: str, expected: tuple[int, int]
) -> None:
    assert payable(diamonds, micros, currency) == expected


@given(st.integers(0, 2**53 - 1), st.integers(1, 10**9), st.sampled_from(["USD", "JPY", "KWD"]))
def test_no_more_is_taken_than_the_cents_are_worth(diamonds: int, micros: int, currency: str) -> None:
    taken, amount = payable(diamonds, micros, currency)
    assert 0 <= taken <= diamonds
    assert payable(taken, micros, currency) == (taken, amount)
    worth = micros * {"USD": 100, "JPY": 1, "KWD": 1000}[currency]
    assert taken * worth >= amount * SETTLED > (diamonds * worth) - SETTLED or amount == diamonds * worth // SETTLED
    assert taken == 0 or payable(taken - 1, micros, currency)[1] < amount


def test_ids_and_keys_are_of_who_asks_and_what_for() -> None:
    key = parse_key(new_key())
    made = payout_id("hana", key)
    assert made == payout_id("hana", key) != payout_id("ann", key)
    assert key_time(parse_key(made)) == key_time(key)
    out, back = entry_keys(made)
    assert out == parse_key(made) != back
    assert key_time(back) == key_time(out)
