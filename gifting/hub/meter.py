"""Token buckets by name, for what is metered beside messages: replayed bytes, likes, comments."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

SLACK: Final = 1e-6
"""Seconds by which sums of times may be off."""

SWEPT_FROM: Final = 1_000
"""Buckets from which on those that are full again are looked for, each time there are twice as many."""


class Meter:
    """Who may have how much: ``rate`` per second, ``burst`` at once. Times are seconds.

    A bucket is kept as the time at which it is full again, which says all, and only until then: so there are no more
    buckets than were used within the time that an empty one takes to fill.
    """

    __slots__ = ("_cost", "_full_at", "_span", "_sweep_from")

    def __init__(self, rate: float, burst: float) -> None:
        self._cost = 1 / rate
        self._span = burst / rate
        self._full_at: dict[Hashable, float] = {}
        self._sweep_from = SWEPT_FROM

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, who: Hashable, now: float, amount: float = 1) -> bool:
        """Whether there was as much as ``amount``; it is taken then."""
        full_at = self._full_at.get(who, now)
        full_at = (full_at if full_at > now else now) + amount * self._cost
        if full_at - now > self._span + SLACK:
            return False
        self._keep(who, now, full_at)
        return True

    def charge(self, who: Hashable, now: float, amount: float) -> None:
        """Take what was had already, though it be more than there is. A debt is a burst at most."""
        full_at = max(self._full_at.get(who, now), now) + amount * self._cost
        self._keep(who, now, min(full_at, now + 2 * self._span))

    def wait(self, who: Hashable, now: float) -> float:
        """Seconds until there is something again; 0 if there is."""
        return max(self._full_at.get(who, now) - now - self._span, 0.0)

    def _keep(self, who: Hashable, now: float, full_at: float) -> None:
        self._full_at[who] = full_at
        if len(self._full_at) >= self._sweep_from:
            self._full_at = {name: at for name, at in self._full_at.items() if at > now}
            self._sweep_from = max(SWEPT_FROM, 2 * len(self._full_at))
