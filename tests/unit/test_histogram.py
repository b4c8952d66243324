"""Histograms: each observation is counted once, in the right bucket, also where a run is counted in one step."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gifting.histogram import BOUNDS, Histogram


def counts(histogram: Histogram) -> list[float]:
    """Of each bucket alone."""
    upto = [0.0, *(count for _, count in histogram.buckets())]
    return [after - before for before, after in pairwise(upto)]


def test_a_bound_belongs_to_its_own_bucket() -> None:
    histogram = Histogram()
    histogram.observe(BOUNDS[0])
    histogram.observe(BOUNDS[0] * 1.01, 3)
    histogram.observe(BOUNDS[-1] * 2)
    assert counts(histogram) == [1, 3, *[0] * (len(BOUNDS) - 2), 1]
    assert [bound for bound, _ in histogram.buckets()] == [*map(str, BOUNDS), "+Inf"]


@given(st.floats(0, 20), st.floats(0, 20), st.integers(1, 600))
def test_a_run_counts_all_of_its_own_and_nothing_outside_its_ends(one: float, other: float, count: int) -> None:
    histogram = Histogram()
    shortest, longest = sorted((one, other))
    histogram.observe_run(longest, shortest, count)
    found = counts(histogram)
    assert sum(found) == count
    first, last = bisect_left(BOUNDS, shortest), bisect_left(BOUNDS, longest)
    assert not any(found[:first])
    assert not any(found[last + 1 :])
    assert shortest * count * 0.999 <= histogram.total <= longest * count * 1.001 + 1e-9


def test_a_run_is_spread_evenly() -> None:
    histogram = Histogram()
    histogram.observe_run(0.1, 0.0, 1000)
    expected = [low_high[1] - low_high[0] for low_high in pairwise((0.0, *BOUNDS[:7]))]
    assert all(abs(found - 10_000 * width) <= 20 for found, width in zip(counts(histogram), expected, strict=False))
    assert abs(histogram.total - 50) < 1
