"""What one user may do: pure, the time is an argument."""

from __future__ import annotations

import pytest

from gifting.errors import RateLimited, TooManyConnections
from gifting.hub import limits
from gifting.hub.limits import Bucket, Limits


def test_a_bucket_fills_at_its_rate_up_to_its_burst() -> None:
    bucket = Bucket(2.0, 3, 0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(0.4), bucket.take(0.5), bucket.take(0.5)] == [False, True, False]
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_connections_are_counted_per_user_and_in_all() -> None:
    allowed = Limits(1.0, 10, user_connections=2, connections=3)
    allowed.enter("ann", 0.0)
    allowed.enter("ann", 0.0)
    with pytest.raises(TooManyConnections, match="2 connections"):
        allowed.enter("ann", 0.0)
    allowed.enter("bob", 0.0)
    with pytest.raises(TooManyConnections, match="full"):
        allowed.enter("cleo", 0.0)
    allowed.leave("ann")
    allowed.enter("cleo", 0.0)
    assert allowed.connected == 3


def test_to_go_and_come_back_gives_no_new_allowance() -> None:
    allowed = Limits(1.0, 3, user_connections=9, connections=9)
    for _ in range(3):
        allowed.enter("ann", 0.0)
        allowed.leave("ann")
    with pytest.raises(RateLimited):
        allowed.enter("ann", 0.0)
    assert not allowed.visit("ann", 0.0)
    assert allowed.enter("ann", 1.0).take(1.0) is False
    assert allowed.connected == 1


def test_those_who_have_gone_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "VISITORS_MAX", 2)
    allowed = Limits(1.0, 1, user_connections=9, connections=9)
    assert [allowed.visit(user, 0.0) for user in ("ann", "bob", "ann", "cleo", "bob")] == [
        True,
        True,
        False,
        True,
        True,
    ]
