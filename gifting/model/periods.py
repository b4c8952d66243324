"""Periods: months of UTC as whole numbers, 202611 for November 2026; which one an item of the ledger belongs to.

An item's period is the month of its id, or the one that is open where that is later. So what is entered late, after its
month was sealed, belongs to the next one, and periods never go back in a stream.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

from gifting.model.money import key_time

DAY_MS: Final = 86_400_000

FIRST_PERIOD: Final = 197_001
LAST_PERIOD: Final = 999_911
"""The last one that has an end. What claims to be later belongs to it."""

KEY_AGE_MAX: Final = 3653 * DAY_MS
KEY_LEAD_MAX: Final = DAY_MS
"""How long before or after its entry a key may have been made: more than the settings allow (``grant_window``,
``key_lead``). One that claims another time is no UUIDv7 but the hash of something, which may look like one."""

_EPOCH: Final = date(1970, 1, 1)


def month_of(ms: int) -> int:
    """The month of a time in ms since 1970."""
    return _month_of_day(ms // DAY_MS)


@lru_cache(4096)
def _month_of_day(day: int) -> int:
    try:
        found = _EPOCH + timedelta(days=day)
    except OverflowError:
        return LAST_PERIOD if day > 0 else FIRST_PERIOD
    return min(max(found.year * 100 + found.month, FIRST_PERIOD), LAST_PERIOD)


def month_of_item(item_id: str) -> int:
    """The month of a stream's item, by the time in its id."""
    return month_of(item_time(item_id))


def month_of_key(key: bytes, entered: int) -> int:
    """The month of a UUIDv7's own time; that of its entry (ms) for any other key."""
    is_v7 = len(key) == 16 and key[6] >> 4 == 7 and key[8] >> 6 == 2
    made = key_time(key) if is_v7 else entered
    return month_of(made if -KEY_AGE_MAX <= made - entered <= KEY_LEAD_MAX else entered)


def item_time(item_id: str) -> int:
    """The ms since 1970 in the id of a stream's item."""
    return int(item_id.partition("-")[0])


def period_of(item_id: str, opened: int) -> int:
    """The period of the next item of a partition whose open period is ``opened``."""
    return max(month_of_item(item_id), opened)


def following(period: int) -> int:
    year, month = divmod(period, 100)
    return period + 1 if month < 12 else (year + 1) * 100 + 1


def preceding(period: int) -> int:
    year, month = divmod(period, 100)
    return period - 1 if month > 1 else (year - 1) * 100 + 12


def starts(period: int) -> int:
    """Its first ms since 1970."""
    return (date(*divmod(period, 100), 1) - _EPOCH).days * DAY_MS


def ends(period: int) -> int:
    """The first ms after it, up to :data:`LAST_PERIOD`."""
    return starts(following(period))


def is_period(period: int) -> bool:
    return FIRST_PERIOD <= period <= LAST_PERIOD and 1 <= period % 100 <= 12


def parse_period(text: str) -> int:
    """A month as it is written, ``2026-11``. Raises ValueError."""
    try:
        return month_of(int(datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).timestamp()) * 1000)
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:20]!r} is no month, as 2026-11 is one") from None


def show_period(period: int) -> str:
    year, month = divmod(period, 100)
    return f"{year:04}-{month:02}"
