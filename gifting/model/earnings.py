"""What a creator has: how much of it is pending, reserved, available, or wanted for debt. All in milli-diamonds.

Days are UTC, counted from 1970. What was earned on day D is pending until day D + ``hold_days`` begins; of what is no
longer pending, a share is reserved until day D + ``reserve_days`` begins, rounded up. What leaves a balance are the
oldest earnings, so only the newest days tell what of it is held.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from gifting.model.calendar import DAY_MS
from gifting.model.creators import DAYS_MAX, Tier
from gifting.model.money import BASIS

KEPT_DAYS: Final = DAYS_MAX + 31
"""Days, today among them, for which it is kept what was earned on each: for as long as any hold or reserve, that a file
of creators may state, can ask for it, also by a clock that has gone back a month.
"""


class Split(NamedTuple):
    """The parts of a balance: ``pending + reserved + available + owed`` is the balance, and none is below 0.

    ``owed`` of it are wanted for ``debt``, which may be more. On ``next_day`` something is no longer pending; 0:
    nothing is pending.
    """

    pending: int
    reserved: int
    available: int
    owed: int
    debt: int
    next_day: int


def day_of(ms: int) -> int:
    """The UTC day of a time in ms since 1970."""
    return ms // DAY_MS


def split(balance: int, debt: int, days: Mapping[int, int], today: int, tier: Tier) -> Split:
    """What is what of a ``balance`` on a day; ``days`` → earned then."""
    held = {day: earned for day, earned in days.items() if earned > 0 and day + tier.hold_days > today}
    pending = min(sum(held.values()), balance)
    reserved = min(_reserved(days, today, tier), balance - pending)
    free = balance - pending - reserved
    owed = min(debt, free)
    next_day = min(held, default=0) + tier.hold_days if pending else 0
    return Split(pending, reserved, free - owed, owed, debt, next_day)


def _reserved(days: Mapping[int, int], today: int, tier: Tier) -> int:
    earned = sum(
        max(earned, 0)
        for day, earned in days.items()
        if day + tier.hold_days <= today < day + tier.reserve_days
    )  # fmt: skip
    return -(-earned * tier.reserve_bps // BASIS)


def matters_from(today: int, days: int) -> int:
    """Before this day, by tiers to which ``days`` matter, nobody needs to know any more when something was earned."""
    return max(today - days + 1, 0)
