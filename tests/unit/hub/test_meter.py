"""What is metered beside messages."""

from __future__ import annotations

import pytest

from gifting.hub.meter import SWEPT_FROM, Meter


def test_a_burst_at_once_and_then_a_rate() -> None:
    meter = Meter(rate=2, burst=10)
    assert [meter.take("ann", 100.0) for _ in range(11)] == [True] * 10 + [False]
    assert meter.take("bob", 100.0, 10)
    assert not meter.take("ann", 100.4)
    assert meter.take("ann", 100.5)
    assert [meter.take("ann", 200.0) for _ in range(11)] == [True] * 10 + [False]


@pytest.mark.parametrize(("rate", "burst"), [(3, 10), (0.7, 7), (1e6, 3)])
def test_a_whole_burst_may_be_taken_in_any_pieces(rate: float, burst: int) -> None:
    assert Meter(rate, burst).take("ann", 1e6, burst)
    meter = Meter(rate, burst)
    assert all(meter.take("ann", 1e6) for _ in range(burst))
    assert not meter.take("ann", 1e6)


def test_what_was_had_already_is_paid_later() -> None:
    meter = Meter(rate=10, burst=100)
    meter.charge("ann", 0.0, 100)
    assert meter.wait("ann", 0.0) == 0.0
    meter.charge("ann", 0.0, 30)
    assert meter.wait("ann", 0.0) == pytest.approx(3.0)
    assert not meter.take("ann", 3.0)
    assert meter.take("ann", 3.1)
    meter.charge("ann", 3.1, 1e9)
    assert meter.wait("ann", 3.1) == pytest.approx(10.0), "a debt is a burst at most"
    assert meter.wait("bob", 3.1) == 0.0


def test_who_has_a_full_bucket_is_forgotten() -> None:
    meter = Meter(rate=1, burst=10)
    for number in range(20 * SWEPT_FROM):
        assert meter.take(number, number / 100)
    assert len(meter) < 2 * SWEPT_FROM


def test_who_has_none_left_is_remembered_however_many_come() -> None:
    meter = Meter(rate=1, burst=10)
    assert meter.take("ann", 0.0, 10)
    for number in range(3 * SWEPT_FROM):
        assert meter.take(number, 0.0)
    assert not meter.take("ann", 0.0)
