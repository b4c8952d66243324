"""Redis' clock, by which keys and streaks are judged, as this process knows it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from gifting.ledger.floors import HOLD_MAX

log = logging.getLogger(__name__)

STEP: Final = 1000
"""Ms by which Redis' clock and this process' monotonic one part, from one measurement to the next, in a step."""

SLEW: Final = 0.05
"""Seconds a measurement may take for its time to be taken over; a slower one only tells of a step."""


def in_ms(time: tuple[int, int]) -> int:
    """What Redis' TIME answers, seconds and microseconds, as ms since 1970."""
    seconds, micros = time
    return seconds * 1000 + micros // 1000


class Clock:
    """How far Redis' clock is ahead of this process' monotonic one, which never steps.

    ``steps`` counts how often the two have parted at once, whichever way.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.monotonic = monotonic
        self.steps = 0
        self._offset: float | None = None
        self._since = 0.0
        self._before: tuple[float, ...] = ()

    def now_ms(self) -> int:
        """Redis' time; before the first measurement this machine's."""
        if self._offset is None:
            return time.time_ns() // 1_000_000
        return round(self.monotonic() * 1000 + self._offset)

    def span_ms(self) -> tuple[int, int]:
        """The earliest and the latest that it may be, by a clock that has stepped and has not held for
        :data:`HOLD_MAX` since: what waits for a time to come goes by the one, what lasts from now on by the other.
        """
        if self._offset is None:
            unmeasured = self.now_ms()
            return unmeasured, unmeasured
        offsets = (self._offset,) if self.held >= HOLD_MAX else (self._offset, *self._before)
        now = self.monotonic() * 1000
        return round(now + min(offsets)), round(now + max(offsets))

    @property
    def held(self) -> float:
        """Seconds for which the clock has been seen to go on without a step; 0 before the first measurement."""
        return 0.0 if self._offset is None else self.monotonic() - self._since

    def measure(self, redis_ms: int, asked: float) -> float:
        """Redis answered ``redis_ms`` to a question of the monotonic time ``asked``. Returns the step in ms, or 0."""
        answered = self.monotonic()
        earliest, latest = redis_ms - answered * 1000, redis_ms - asked * 1000
        middle = (earliest + latest) / 2
        if self._offset is None:
            self._offset, self._since = middle, answered
            return 0.0
        if self._offset - STEP <= latest and earliest <= self._offset + STEP:
            if answered - asked <= SLEW:
                self._offset = middle
            return 0.0
        step = middle - self._offset
        before = () if self.held >= HOLD_MAX else self._before
        known = (self._offset, *before)
        self._before = min(known), max(known)
        self._offset, self._since = middle, answered
        self.steps += 1
        log.warning("Redis' clock stepped by %+.1f s: no key is forgotten until it has held", step / 1000)
        return step
