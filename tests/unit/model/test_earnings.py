"""What of a balance is pending, reserved, available, wanted for debt; and what a commission leaves."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gifting.model.creators import Tier
from gifting.model.earnings import Split, day_of, matters_from, split
from gifting.model.money import MAX_AMOUNT, diamonds_for, effective_rate

TODAY = 20_000
AMOUNTS = st.integers(0, MAX_AMOUNT)
DAYS = st.dictionaries(st.integers(TODAY - 30, TODAY + 3), AMOUNTS, max_size=12)


@st.composite
def tiers(draw: st.DrawFn) -> Tier:
    days = st.integers(0, 20)
    return Tier(
        id="t", hold_days=draw(days), reserve_bps=draw(st.integers(0, 10_000)), reserve_days=draw(days)
    )  # fmt: skip


def tier(hold: int, reserve_bps: int = 0, reserve_days: int = 0) -> Tier:
    return Tier(id="t", hold_days=hold, reserve_bps=reserve_bps, reserve_days=reserve_days)


@given(AMOUNTS, AMOUNTS, DAYS, tiers())
def test_the_parts_are_the_whole_and_none_is_below_nothing(
    balance: int, debt: int, days: dict[int, int], terms: Tier
) -> None:
    parts = split(balance, debt, days, TODAY, terms)
    assert parts.pending + parts.reserved + parts.available + parts.owed == balance
    assert min(parts) >= 0
    assert parts.available == 0 or parts.owed == debt
    assert parts.available == max(0, balance - parts.pending - parts.reserved - debt)


@given(AMOUNTS, AMOUNTS, DAYS, tiers())
def test_what_is_available_only_grows_with_time(balance: int, debt: int, days: dict[int, int], terms: Tier) -> None:
    each = [split(balance, debt, days, today, terms) for today in range(TODAY - 35, TODAY + 30)]
    for before, after in pairwise(each):
        assert after.available >= before.available
        assert after.pending <= before.pending
    assert each[-1].pending == each[-1].reserved == each[-1].next_day == 0


@given(AMOUNTS, AMOUNTS, DAYS, st.integers(1, MAX_AMOUNT), tiers())
def test_what_is_earned_today_makes_nothing_available_that_is_held(
    balance: int, debt: int, days: dict[int, int], more: int, terms: Tier
) -> None:
    before = split(balance, debt, days, TODAY, terms)
    after = split(balance + more, debt, {**days, TODAY: days.get(TODAY, 0) + more}, TODAY, terms)
    if terms.hold_days:
        assert after.available <= before.available
    assert after.pending + after.reserved + after.available + after.owed == balance + more


@given(AMOUNTS, AMOUNTS, DAYS, tiers())
def test_days_before_those_that_matter_change_nothing(
    balance: int, debt: int, days: dict[int, int], terms: Tier
) -> None:
    first = matters_from(TODAY, terms.days)
    kept = {day: earned for day, earned in days.items() if day >= first}
    for today in (TODAY, TODAY + 1, TODAY + 7):
        assert split(balance, debt, kept, today, terms) == split(balance, debt, days, today, terms)


@pytest.mark.parametrize(
    ("today", "parts"),
    [
        (99, Split(1000, 0, 0, 0, 0, 107)),  # as a clock that has gone back sees it
        (100, Split(1000, 0, 0, 0, 0, 107)),
        (106, Split(1000, 0, 0, 0, 0, 107)),
        (107, Split(0, 101, 899, 0, 0, 0)),  # a tenth of 1001, rounded up, of what was earned that day
        (109, Split(0, 101, 899, 0, 0, 0)),
        (110, Split(0, 0, 1000, 0, 0, 0)),
    ],
)
def test_earnings_of_a_day_by_day(today: int, parts: Split) -> None:
    assert split(1000, 0, {100: 1001}, today, tier(7, 1000, 10)) == parts  # one of them was paid out before


def test_debt_goes_before_what_is_available_and_waits_for_what_is_held() -> None:
    days = {100: 400, 101: 100}
    assert split(500, 300, days, 101, tier(2)) == Split(500, 0, 0, 0, 300, 102)
    assert split(500, 300, days, 102, tier(2)) == Split(100, 0, 100, 300, 300, 103)
    assert split(500, 700, days, 103, tier(2)) == Split(0, 0, 0, 500, 700, 0)


def test_without_a_hold_all_is_available_at_once() -> None:
    assert split(500, 0, {100: 500}, 100, tier(0)) == Split(0, 0, 500, 0, 0, 0)


def test_the_day_of_a_time() -> None:
    assert [day_of(ms) for ms in (0, 86_399_999, 86_400_000)] == [0, 0, 1]


@given(
    st.integers(1, 1_000_000_000),
    st.integers(1, 1_000_000),
    st.integers(0, 9_999),
    st.lists(st.integers(1, 10_000), min_size=1, max_size=20),
)
def test_a_commission_takes_its_share_and_the_rest_loses_less_than_one(
    numerator: int, denominator: int, commission: int, gifts: list[int]
) -> None:
    rate = effective_rate((numerator, denominator), commission)
    assert Fraction(*rate) == Fraction(numerator, denominator) * (10_000 - commission) / 10_000
    if commission == 0:
        assert rate == (numerator, denominator)
    earned = carry = 0
    for coins in gifts:
        diamonds, carry = diamonds_for(coins, rate, carry)
        earned += diamonds
    assert 0 <= sum(gifts) * Fraction(*rate) - earned < 1
