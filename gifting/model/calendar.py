"""Calendar days, weeks and months in a user's time zone, as the ledger's scripts reckon them: by a list of offsets.

A script knows no time zones. So each account has the offsets of its zone for the next years, made here when they are
set, and ``lua/include/protection.lua`` finds the end of a window in them as :func:`window_end` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

from gifting.errors import BadZone

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
WEEK_MS: Final = 7 * DAY_MS

YEARS: Final = 5
"""How far ahead offsets are known; the last one is then taken to stay, until the zone is set again."""

ZONE: Final = r"\A[A-Z][A-Za-z0-9_+/-]{0,63}\Z"
"""What a zone's name looks like. All of the database begin with a capital; "localtime" is another on each machine."""

_is_name: Final = re.compile(ZONE).match

Calendar = Literal["day", "week", "month"]
CALENDAR: Final[tuple[Calendar, ...]] = get_args(Calendar)


class Offset(NamedTuple):
    """From a time (ms since 1970) on, local time is so much (ms) ahead of UTC."""

    start: int
    ahead: int


Offsets = tuple[Offset, ...]

UTC_ONLY: Final[Offsets] = (Offset(0, 0),)


def offsets(zone: str, now: int) -> Offsets:
    """The offsets of an IANA zone from ``now`` on, for :data:`YEARS`. Raises BadZone."""
    return _offsets(zone, now // DAY_MS * DAY_MS)


@lru_cache(256)
def _offsets(zone: str, start: int) -> Offsets:
    place = _zone(zone)
    found = [Offset(start, _ahead(place, start))]
    for week in range(start, start + YEARS * 366 * DAY_MS, WEEK_MS):
        if _ahead(place, week + WEEK_MS) != found[-1].ahead:
            changed = _change(place, week, week + WEEK_MS)
            found.append(Offset(changed, _ahead(place, changed)))
    return tuple(found)


def _zone(name: str) -> ZoneInfo:
    if not _is_name(name):
        raise BadZone(f"{name[:40]!r} is no name of a zone.")
    try:
        return ZoneInfo(name)
    except (ValueError, LookupError, OSError):
        raise BadZone(f"{name!r} is not known.") from None


def _ahead(zone: ZoneInfo, at: int) -> int:
    ahead = datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).utcoffset()
    return (ahead or timedelta()) // timedelta(milliseconds=1)


def _change(zone: ZoneInfo, before: int, after: int) -> int:
    """The first ms at which the offset is no longer that of ``before``."""
    was = _ahead(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (middle, after) if _ahead(zone, middle) == was else (before, middle)
    return after


def window_end(kind: Calendar, now: int, known: Offsets) -> int:
    """When the local day, week (from Monday) or month that ``now`` is in ends, in ms since 1970."""
    return _first_at(_next_midnight(kind, now + _in_force(now, known).ahead), now, known)


def window_start(kind: Calendar, now: int, known: Offsets) -> int:
    """When it began; by the offset of ``now`` where no older one is known, so up to an hour off after a DST change."""
    return _first_at(_last_midnight(kind, now + _in_force(now, known).ahead), 0, known)


def same_end(end: int, old: Offsets, new: Offsets) -> int:
    """When a window that ends at ``end`` by the ``old`` offsets ends for who has moved: at the later midnight of that
    date. So each date gives its allowance once, wherever it is spent.
    """
    local = end + _in_force(end, old).ahead
    return max(end, _first_at(local // DAY_MS * DAY_MS, 0, new))


def _in_force(at: int, known: Offsets) -> Offset:
    return next((one for one in reversed(known) if one.start <= at), known[0])


def _first_at(midnight: int, now: int, known: Offsets) -> int:
    """The first moment after ``now`` at which local time is ``midnight`` or later: a change may skip or repeat it."""
    for one, following in _segments(known):
        reached = max(one.start, midnight - one.ahead)
        if following > now and reached < following:
            return reached
    raise AssertionError("The last offset has no end.")


def _segments(known: Offsets) -> Iterator[tuple[Offset, int]]:
    first, *others = known
    ends = [*(one.start for one in others), 1 << 62]
    yield from zip((Offset(-(1 << 62), first.ahead), *others), ends, strict=True)


def _next_midnight(kind: Calendar, local: int) -> int:
    day = date(1970, 1, 1) + timedelta(days=local // DAY_MS)
    match kind:
        case "day":
            return (local // DAY_MS + 1) * DAY_MS
        case "week":
            return (local // DAY_MS + 7 - day.weekday()) * DAY_MS
        case "month":
            first = date(day.year + day.month // 12, day.month % 12 + 1, 1)
            return (first - date(1970, 1, 1)).days * DAY_MS


def _last_midnight(kind: Calendar, local: int) -> int:
    day = date(1970, 1, 1) + timedelta(days=local // DAY_MS)
    back = {"day": 0, "week": day.weekday(), "month": day.day - 1}[kind]
    return (local // DAY_MS - back) * DAY_MS
