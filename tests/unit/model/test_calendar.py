from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gifting.errors import BadZone
from gifting.model.calendar import CALENDAR, DAY_MS, HOUR_MS, Calendar, offsets, same_end, window_end, window_start

ZONES = (
    "UTC",
    "America/New_York",
    "America/Havana",  # midnight comes twice
    "America/Santiago",  # midnight is skipped, or comes an hour late
    "Asia/Beirut",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # changes by half an hour
    "Pacific/Kiritimati",
    "Etc/GMT+12",
)
BEGIN = int(datetime(2026, 11, 26, tzinfo=UTC).timestamp() * 1000)
times = st.integers(BEGIN, BEGIN + 4 * 365 * DAY_MS)


def local(zone: str, at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def at(zone: str, year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return int(datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def after(kind: Calendar, day: date) -> date:
    """The first day of the window that follows the one of ``day``."""
    if kind == "day":
        return day + timedelta(days=1)
    if kind == "week":
        return day + timedelta(days=7 - day.weekday())
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


@given(st.sampled_from(ZONES), st.sampled_from(CALENDAR), times)
def test_a_window_ends_when_the_clock_on_the_wall_first_says_the_next_day(zone: str, kind: Calendar, now: int) -> None:
    end = window_end(kind, now, offsets(zone, BEGIN))
    midnight = datetime.combine(after(kind, local(zone, now).date()), datetime.min.time())
    assert end > now
    assert local(zone, end) >= midnight > local(zone, end - 1)
    assert all(local(zone, hour) < midnight for hour in range(now, end, HOUR_MS))


@given(st.sampled_from(ZONES), st.sampled_from(CALENDAR), times)
def test_a_window_begins_where_the_one_before_ended(zone: str, kind: Calendar, now: int) -> None:
    known = offsets(zone, BEGIN)
    start = window_start(kind, now, known)
    assert start <= now
    if start > BEGIN:  # before that no change is known
        assert window_end(kind, start - 1, known) == start


@given(st.sampled_from(ZONES), st.sampled_from(ZONES), st.sampled_from(CALENDAR), times)
def test_who_moves_has_the_longer_of_two_windows(old: str, new: str, kind: Calendar, now: int) -> None:
    before, known = offsets(old, BEGIN), offsets(new, BEGIN)
    end = window_end(kind, now, before)
    moved = same_end(end, before, known)
    assert moved >= end
    midnight = datetime.combine(after(kind, local(old, now).date()), datetime.min.time())
    assert local(new, moved) >= midnight, "the same date has ended there, too"


@pytest.mark.parametrize(
    ("zone", "kind", "now", "end"),
    [
        ("America/Santiago", "day", (2027, 9, 4, 12), (2027, 9, 5, 1)),  # 0:00 is skipped
        ("America/Santiago", "day", (2027, 4, 3, 12), (2027, 4, 4, 0)),
        ("Europe/Berlin", "month", (2026, 12, 31, 23), (2027, 1, 1)),
        ("Europe/Berlin", "month", (2028, 2, 29, 1), (2028, 3, 1)),
        ("Europe/Berlin", "week", (2026, 12, 31, 23), (2027, 1, 4)),
        ("Asia/Kolkata", "day", (2026, 12, 31, 23, 59), (2027, 1, 1)),
    ],
)
def test_edges(zone: str, kind: Calendar, now: tuple[int, int, int], end: tuple[int, int, int]) -> None:
    assert window_end(kind, at(zone, *now), offsets(zone, BEGIN)) == at(zone, *end)


def test_a_day_has_23_or_25_hours_when_clocks_change() -> None:
    known = offsets("Europe/Berlin", BEGIN)
    lengths = [
        (window_end("day", noon, known) - window_start("day", noon, known)) // HOUR_MS
        for noon in (at("Europe/Berlin", 2027, 3, 28, 12), at("Europe/Berlin", 2027, 10, 31, 12))
    ]
    assert lengths == [23, 25]


@pytest.mark.parametrize("zone", ["", "Nowhere/Town", "../etc/passwd", "localtime", "Europe", "A\0", "Z" * 65, "Ä"])
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(BadZone):
        offsets(zone, BEGIN)
