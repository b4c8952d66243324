"""Latencies of several processes as HDR histograms, in their portable text form. Needs the extra ``bench``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hdrh.histogram import HdrHistogram

from gifting.load.latency import Latencies

LONGEST_US: Final = 120_000_000
"""Longest latency a histogram holds, in µs; what is longer counts as this."""

DIGITS: Final = 3


def new_histogram() -> HdrHistogram:
    return HdrHistogram(1, LONGEST_US, DIGITS)


def encode(latencies: Latencies) -> str:
    """What one process counted."""
    histogram = new_histogram()
    for us, times in latencies.counts.items():
        histogram.record_value(min(max(us, 1), LONGEST_US), times)
    return str(histogram.encode().decode())


def merge(encoded: Iterable[str]) -> HdrHistogram:
    """The histograms of several processes as one."""
    histogram = new_histogram()
    for text in encoded:
        histogram.decode_and_add(text.encode())
    return histogram
