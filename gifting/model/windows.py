"""What was spent in which window, from the record; the scripts do the same once an hour, and after each change of it.

An hour counts in a rolling window until all of it is out, so that never too little counts. Calendar windows are exact.
A clock that goes back finds them longer, never forgotten.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from gifting.model.calendar import DAY_MS, HOUR_MS, offsets, same_end, window_end
from gifting.model.protection import CALENDAR, UNLIMITED, WIDTHS, WINDOWS, Protection, Window

KEPT: Final = WIDTHS["d30"] + DAY_MS
"""Ms for which hours are kept: a clock that goes a day ahead and back again makes no window forget."""

WRITTEN_WITHIN: Final = 60_000
"""Ms until a record that is made now is written at the latest. A window that may end meanwhile counts as over for who
moves, since the one that begins then must not end where it did before the move."""


def rolled(record: Protection, since: int, roll_at: int, now: int) -> Protection:
    """The record at ``now``, when ``since`` coins were spent after it was written, all before ``roll_at``."""
    hours = dict(record.hours)
    if since:
        hour = (roll_at - 1) // HOUR_MS
        hours[hour] = hours.get(hour, 0) + since
    kept = {hour: coins for hour, coins in sorted(hours.items()) if (hour + 1) * HOUR_MS > now - KEPT}
    return replace(_renewed(_added(record, since), now), hours=tuple(kept.items()))


def _added(record: Protection, since: int) -> Protection:
    *ends, day, week, month = record.calendar
    return replace(record, calendar=(*ends, day + since, week + since, month + since))


def _renewed(record: Protection, now: int) -> Protection:
    ends, sums = list(record.calendar[:3]), list(record.calendar[3:])
    for place, kind in enumerate(CALENDAR):
        if ends[place] <= now:
            ends[place], sums[place] = window_end(kind, now, record.offsets), 0
    return replace(record, calendar=(*ends, *sums))


def next_roll(record: Protection, now: int) -> int:
    """When a record that is rolled must be rolled again."""
    return min((now // HOUR_MS + 1) * HOUR_MS, *record.calendar[:3])


def moved(record: Protection, zone: str, now: int) -> Protection:
    """The record of who lives in another zone from ``now`` on; no running window ends sooner. Raises BadZone.

    Of ``calendar`` it is the ends that count: what was spent by then, the scripts know.
    """
    known = offsets(zone, now)
    record = _renewed(record, now + WRITTEN_WITHIN)
    ends = [same_end(end, record.offsets, known) for end in record.calendar[:3]]
    return replace(record, zone=zone, offsets=known, calendar=(*ends, *record.calendar[3:]))


def spent_in(record: Protection, window: Window, now: int) -> int:
    """Coins spent in a window; of a record that is rolled."""
    if window not in WIDTHS:
        return record.calendar[3 + CALENDAR.index(window)]
    since = now - WIDTHS[window]
    return sum(coins for hour, coins in record.hours if (hour + 1) * HOUR_MS > since)


def spent_since(record: Protection, began: int) -> int:
    """Coins spent from the start of an hour on (ms since 1970); of a record that is rolled."""
    return sum(coins for hour, coins in record.hours if hour * HOUR_MS >= began)


def falls_at(record: Protection, window: Window, now: int) -> int:
    """When a window's sum next gets less; 0: it is nothing. Of a record that is rolled."""
    if window not in WIDTHS:
        return record.calendar[CALENDAR.index(window)] if spent_in(record, window, now) else 0
    ends = ((hour + 1) * HOUR_MS + WIDTHS[window] for hour, _ in record.hours)
    return next((end for end in ends if end > now), 0)


def limit_of(record: Protection, window: Window) -> int:
    """The smaller of the user's own limit and the guardian's."""
    return min(record.limits.get(window, UNLIMITED), record.guard.get(window, UNLIMITED))


def left(record: Protection, now: int) -> int:
    """Coins that may be spent now, by all windows; of a record that is rolled."""
    return max(0, min(limit_of(record, window) - spent_in(record, window, now) for window in WINDOWS))


def frees_at(record: Protection, window: Window, now: int, coins: int) -> int:
    """When ``coins`` more will fit into a window, if nothing else is spent; 0: never, since the limit is less."""
    over = spent_in(record, window, now) + coins - limit_of(record, window)
    if coins > limit_of(record, window) or over <= 0:
        return 0 if over > 0 else now
    if window not in WIDTHS:
        return record.calendar[CALENDAR.index(window)]
    for hour, spent in record.hours:
        gone = (hour + 1) * HOUR_MS + WIDTHS[window]
        if gone > now and (over := over - spent) <= 0:
            return gone
    raise AssertionError("All that was spent leaves the window some day.")
