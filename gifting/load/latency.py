"""Latencies: counted cheaply while the load runs, kept as HDR histograms afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hdrh.histogram import HdrHistogram

LONGEST_US: Final = 120_000_000
"""Longest latency a histogram holds, in µs; what is longer counts as this."""

DIGITS: Final = 3
EXACT_BELOW_US: Final = 100_000
COARSE_US: Final = 100


class Latencies:
    """Microseconds and how often each was seen.

    A plain dict while the load runs, since a histogram's own record takes ten times as long in Python.
    From 100 ms up, values are rounded to 0.1 ms, which bounds it at 1.3 million and costs no digit of three.
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def add(self, ns: int, times: int = 1) -> None:
        """Count a latency of ``ns`` nanoseconds ``times`` times."""
        us = ns // 1000
        if us >= EXACT_BELOW_US:
            us -= us % COARSE_US
        self._counts[us] = self._counts.get(us, 0) + times

    def encode(self) -> str:
        """As an HDR histogram in its portable text form."""
        histogram = new_histogram()
        for us, times in self._counts.items():
            histogram.record_value(min(max(us, 1), LONGEST_US), times)
        return str(histogram.encode().decode())


def new_histogram() -> HdrHistogram:
    return HdrHistogram(1, LONGEST_US, DIGITS)


def merge(encoded: Iterable[str]) -> HdrHistogram:
    """The histograms of several processes as one."""
    histogram = new_histogram()
    for text in encoded:
        histogram.decode_and_add(text.encode())
    return histogram
