"""A creator's statement, as pure numbers: periods, what was earned before commission, and that it ties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gifting.model.payout_times import as_of
from gifting.model.payouts import Payout, State, state
from gifting.model.periods import ends, starts
from gifting.model.statement import Movement, Standing, make_statement, read_period

MONTH, YEAR = read_period("2025-12"), read_period("2025")
FIRST, LAST = starts(202512), ends(202512) - 1

amounts = st.integers(0, 10**12)


def moved(kind: str, diamonds: int, ts: int = FIRST, *, commission: int = 0, debt: int = 0) -> Movement:
    payout = "p" if kind == "payout" else ""
    return Movement(ts, kind, debt < 0, commission, payout, "", "", 1, diamonds, debt, 0, 0)


movements = st.builds(
    moved,
    st.sampled_from(["credit", "clawback", "payout"]),
    st.integers(-(10**12), 10**12),
    st.integers(FIRST - 10**10, LAST + 10**10),
    commission=st.integers(0, 9999),
    debt=st.integers(-(10**9), 10**9),
)


@given(st.builds(Standing, amounts, amounts), st.lists(movements), st.sampled_from([MONTH, YEAR]))
def test_the_opening_and_all_movements_are_the_closing(opening: Standing, made: list[Movement], period: object) -> None:
    told = make_statement("host", MONTH if period is MONTH else YEAR, opening, made, {}, LAST)
    between = told.total("earned", "taken_back", "settled", "paid_out", "returned")
    assert told.opening.diamonds + between.diamonds == told.closing.diamonds
    assert told.opening.debt + between.debt == told.closing.debt
    assert between.count == len(made)
    assert between.gross - between.commission == told.total("earned").diamonds
    assert all(told.opening.at <= line.at < told.period.ends for line in told.lines[:-1] if not line.payout)


@given(st.integers(1, 10**9), st.integers(0, 9999))
def test_gross_is_what_the_commission_was_taken_off(gross: int, commission: int) -> None:
    earned = round(gross * (10_000 - commission) / 10_000)
    told = moved("credit", earned, commission=commission).gross
    assert abs(told * (10_000 - commission) / 10_000 - earned) <= 0.5


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [("2026-11", 202611, 202611), ("2026", 202601, 202612), ("1970", 197001, 197012), ("9998", 999801, 999812)],
)
def test_periods(text: str, first: int, last: int) -> None:
    period = read_period(text)
    assert (period.first, period.last, period.name) == (first, last, text)
    assert period.starts < period.ends


@pytest.mark.parametrize(
    "text", ["", "2026-00", "2026-13", "2026-1", "٢٠٢٦", "1969", "9999", "9999-01", "2026\n", "-2026"]
)
def test_what_is_no_period(text: str) -> None:
    with pytest.raises(ValueError, match="is no month"):
        read_period(text)


def test_a_payout_as_it_was() -> None:
    money = {"provider": "sandbox", "account": "a", "diamonds": 10, "amount": 1, "currency": "USD", "created": 1}
    paid = Payout(id="p", host="h", digest=b"", **money, review="why", decided_at=2, sending_at=3, paid_at=5)  # type: ignore[arg-type]
    stood = [state(as_of(paid, at)) for at in (2, 3, 4, 6)]
    assert stood == [State.REVIEW, State.REQUESTED, State.PROCESSING, State.PAID]
    rejected = Payout(id="p", host="h", digest=b"", **money, decided_at=2, rejected=True, back=True)  # type: ignore[arg-type]
    assert [state(as_of(rejected, at)) for at in (2, 3)] == [State.REQUESTED, State.FAILED]


def test_of_a_year_the_months_that_have_begun_are_read() -> None:
    assert [month.first for month in YEAR.months(starts(202503))] == [202501, 202502, 202503]
    assert [month.first for month in YEAR.months(ends(203012))] == [*range(202501, 202513)]
    assert [month.first for month in YEAR.months(starts(202412))] == [202501]
    assert MONTH.months(ends(202512)) == [MONTH]
