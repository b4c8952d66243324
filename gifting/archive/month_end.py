"""Whether a month is over: by Redis' clock, this machine's, and what was entered last.

What is sealed is sealed for good, so no clock is believed at once where it has jumped ahead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

STEP: Final = 60_000
"""Ms by which a clock may be ahead of where it should be since the last look."""

AWAY: Final = 35 * 86_400_000
"""Ms by which the first look may be ahead of what was entered last."""

HOLD: Final = 86_400.0
"""Seconds that a clock must go on after it has jumped ahead, until it is believed."""


class MonthEnd:
    """Two clocks, each held against the monotonic one, which never steps."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._redis, self._own = _Clock(), _Clock()

    def passed(self, redis_ms: int, newest: int) -> int:
        """The time, in ms since 1970, that has come by both; ``newest`` is that of the newest item (0: there is none,
        and nothing to seal).
        """
        if not newest:
            return 0
        at = self._monotonic()
        own_ms = round(self._wall() * 1000)
        return min(self._redis.believe(redis_ms, at, newest), self._own.believe(own_ms, at, newest))


class _Clock:
    """One that is believed at once where it goes on or back."""

    def __init__(self) -> None:
        self._offset: float | None = None
        self._ahead_since: float | None = None

    def believe(self, ms: int, at: float, newest: int) -> int:
        """What it says (ms) at a monotonic time (s), or where it would be had it not jumped ahead."""
        offset = ms - at * 1000
        if self._offset is None:
            self._offset = min(offset, newest + AWAY - at * 1000)
        if offset <= self._offset + STEP:
            self._offset, self._ahead_since = offset, None
        elif self._ahead_since is None:
            self._ahead_since = at
        elif at - self._ahead_since >= HOLD:
            self._offset, self._ahead_since = offset, None
        return round(at * 1000 + self._offset)
