"""Latencies, counted as cheaply as can be while the load runs."""

from __future__ import annotations

from typing import Final

EXACT_BELOW_US: Final = 100_000
COARSE_US: Final = 100


class Latencies:
    """Microseconds and how often each was seen.

    A plain dict while the load runs, since a histogram's own record takes ten times as long in Python.
    From 100 ms up, values are rounded to 0.1 ms, which bounds it at 1.3 million and costs no digit of three.
    """

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}

    def add(self, ns: int, times: int = 1) -> None:
        """Count a latency of ``ns`` nanoseconds ``times`` times."""
        us = ns // 1000
        if us >= EXACT_BELOW_US:
            us -= us % COARSE_US
        self.counts[us] = self.counts.get(us, 0) + times

    def percentile(self, percent: float) -> float:
        """The latency in ms that so many percent do not exceed; 0.0 where none was counted."""
        left, us = sum(self.counts.values()) * percent / 100, 0
        for us in sorted(self.counts):
            left -= self.counts[us]
            if left <= 0:
                break
        return us / 1000
