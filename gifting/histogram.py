"""How long something takes, as Prometheus counts it: how often it took at most so long, and the sum."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds."""


class Histogram:
    """Observations by the first of :data:`BOUNDS` that is not below them; ``total`` is their sum in seconds."""

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float, count: int = 1) -> None:
        """``count`` things took so long."""
        self._counts[bisect_left(BOUNDS, seconds)] += count
        self.total += seconds * count

    def observe_run(self, longest: float, shortest: float, count: int) -> None:
        """``count`` things that began one after another and ended together: taken to be spread evenly in between.

        It costs one step for each bucket that they fall into, not one for each of them.
        """
        bucket = bisect_left(BOUNDS, longest)
        if bucket == bisect_left(BOUNDS, shortest):
            self._counts[bucket] += count
            self.total += (longest + shortest) / 2 * count
        elif count < 3:
            self.observe(longest)
            self.observe(shortest, count - 1)
        else:
            middle = (longest + shortest) / 2
            self.observe_run(longest, middle, count // 2)
            self.observe_run(middle, shortest, count - count // 2)

    def buckets(self) -> Iterator[tuple[str, float]]:
        """Each bound, and how many were at most so long."""
        return zip((*map(str, BOUNDS), "+Inf"), accumulate(self._counts), strict=True)
