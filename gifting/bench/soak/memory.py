"""Resident memory over time, and the line through it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from gifting.bench.soak.options import Memory, Slope
from gifting.bench.usage import Meter

MIB: Final = 1 << 20
WARM_UP: Final = 0.2
"""Share of a process' time that is not in the slope: caches and rings fill, and the allocator finds its size."""

SAMPLES_LEAST: Final = 8
"""Fewer samples make no line."""

CONFIDENCE: Final = 1.96
"""Standard errors to either side, for 95 %."""

CORRELATION_MAX: Final = 0.99
"""More would leave no independent sample at all."""


class Life:
    """One server process while the load lasts."""

    def __init__(self, node: str, pid: int) -> None:
        self._node = node
        self._meter = Meter(pid)
        self._samples: list[tuple[float, float]] = []

    def sample(self, seconds: float) -> None:
        """Take its memory now, ``seconds`` after the load began."""
        if rss := self._meter.read().server_rss:  # 0: it has just ended
            self._samples.append((seconds, rss / MIB))

    def report(self) -> Memory:
        values = [mib for _, mib in self._samples] or [0.0]
        times = [seconds for seconds, _ in self._samples] or [0.0]
        warm = times[0] + (times[-1] - times[0]) * WARM_UP
        return Memory(
            node=self._node,
            seconds=times[-1] - times[0],
            first_mib=values[0],
            last_mib=values[-1],
            peak_mib=max(values),
            slope=fit([sample for sample in self._samples if sample[0] >= warm]),
            series=[(round(seconds, 2), round(mib, 3)) for seconds, mib in self._samples],
        )


def fit(samples: Sequence[tuple[float, float]]) -> Slope | None:
    """The least-squares line through (seconds, MiB); None for too few samples.

    Memory goes up and down in waves, so a sample says little that its neighbour has not said. The standard error is
    widened by how much the distance from the line goes on from one sample to the next.
    """
    count = len(samples)
    if count < SAMPLES_LEAST:
        return None
    middle = sum(seconds for seconds, _ in samples) / count
    mean = sum(mib for _, mib in samples) / count
    spread = sum((seconds - middle) ** 2 for seconds, _ in samples)
    if not spread:
        return None
    slope = sum((seconds - middle) * (mib - mean) for seconds, mib in samples) / spread
    off = [mib - mean - slope * (seconds - middle) for seconds, mib in samples]
    squares = sum(one * one for one in off)
    correlation = _correlation(off, squares)
    error = math.sqrt(squares / (count - 2) / spread * (1 + correlation) / (1 - correlation))
    return Slope(
        mib_per_hour=slope * 3600,
        plus_minus=CONFIDENCE * error * 3600,
        noise_mib=math.sqrt(squares / count),
        samples=count,
    )


def _correlation(off: Sequence[float], squares: float) -> float:
    """Of neighbouring distances from the line; 0 to :data:`CORRELATION_MAX`."""
    if not squares:
        return 0.0
    found = sum(one * other for one, other in pairwise(off)) / squares
    return min(max(found, 0.0), CORRELATION_MAX)
