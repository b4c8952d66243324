"""Months, at their edges, and which one an item belongs to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gifting.model.money import make_key, parse_key
from gifting.model.periods import (
    FIRST_PERIOD,
    KEY_AGE_MAX,
    KEY_LEAD_MAX,
    LAST_PERIOD,
    ends,
    following,
    is_period,
    month_of,
    month_of_item,
    month_of_key,
    parse_period,
    period_of,
    preceding,
    show_period,
    starts,
)

times = st.integers(0, ends(LAST_PERIOD) - 1)
periods = times.map(month_of)


def ms(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type, misc]


@given(times)
def test_a_time_lies_in_its_month_and_in_no_other(at: int) -> None:
    month = month_of(at)
    assert starts(month) <= at < ends(month)
    assert is_period(month)
    assert month == int(datetime.fromtimestamp(at // 1000, UTC).strftime("%Y%m"))


@given(periods)
def test_months_follow_each_other_without_a_hole(period: int) -> None:
    assert ends(period) == starts(following(period))
    assert preceding(following(period)) == period
    assert (month_of(ends(period) - 1), month_of(starts(period))) == (period, period)
    assert parse_period(show_period(period)) == period


@pytest.mark.parametrize(
    ("at", "month"),
    [
        (ms(2026, 12, 31, 23, 59, 59) + 999, 202612),
        (ms(2027, 1, 1), 202701),
        (ms(2028, 2, 29, 23, 59, 59) + 999, 202802),
        (ms(2028, 3, 1), 202803),
        (0, FIRST_PERIOD),
        (-1, FIRST_PERIOD),
        (ends(LAST_PERIOD), LAST_PERIOD),
        (1 << 62, LAST_PERIOD),
        (-(1 << 62), FIRST_PERIOD),
    ],
)
def test_edges_of_months_and_years(at: int, month: int) -> None:
    assert month_of(at) == month


@given(st.lists(st.tuples(times, st.integers(0, 99)), max_size=30), periods)
def test_periods_of_a_stream_never_go_back(ids: list[tuple[int, int]], opened: int) -> None:
    """Whatever the clock does: an id before the open period belongs to it."""
    for at, number in ids:
        found = period_of(f"{at}-{number}", opened)
        assert found == max(month_of(at), opened)
        opened = found


def test_a_late_item_belongs_to_the_open_month() -> None:
    assert month_of_item("1764547199999-0") == 202511
    assert period_of("1764547199999-0", 202512) == 202512
    assert period_of("1764547200000-0", 202511) == 202512


@given(times, st.integers(-KEY_AGE_MAX, KEY_LEAD_MAX), st.binary(min_size=10, max_size=10))
def test_a_key_has_the_month_of_its_own_time(made: int, lead: int, random: bytes) -> None:
    key = parse_key(make_key(made, random))
    assert month_of_key(key, made - lead) == month_of(made)


def test_a_key_that_is_no_uuid_has_the_month_of_its_entry() -> None:
    entered = ms(2026, 11, 27)
    v7 = parse_key(make_key(ms(2026, 10, 31), bytes(10)))
    for other in (
        bytes(16),
        v7[:6] + b"\x40" + v7[7:],  # version 4
        v7[:8] + b"\xc0" + v7[9:],  # another variant
        v7[:15],
        parse_key(make_key(entered + KEY_LEAD_MAX + 1, bytes(10))),
        parse_key(make_key(entered - KEY_AGE_MAX - 1, bytes(10))),
    ):
        assert month_of_key(other, entered) == 202611
    assert month_of_key(v7, entered) == 202610


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "2026-00", "0000-01", "26-11", "2026-11-27", "x" * 99])
def test_what_is_no_month_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="is no month"):
        parse_period(text)


@pytest.mark.parametrize("number", [0, 202600, 202613, 196912, 999912, -202611])
def test_what_is_no_period(number: int) -> None:
    assert not is_period(number)
