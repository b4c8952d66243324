"""What one user may do: pure, the time is an argument."""

from __future__ import annotations

import pytest

from gifting.errors import RateLimited, TooManyConnections
from gifting.hub import limits
from gifting.hub.limits import Allowance, Bucket, Limits, Rates
from gifting.wire.tokens import Identity, Role


def who(user: str, role: Role = "viewer", room: str = "") -> Identity:
    return Identity(user, role, f"token of {user}", 1e12, room)


def rates(
    message_rate: float = 1.0, message_burst: float = 10, byte_rate: float = 1e9, byte_burst: float = 1e9
) -> Rates:
    return Rates(message_rate, message_burst, byte_rate, byte_burst)


def test_a_bucket_fills_at_its_rate_up_to_its_burst() -> None:
    bucket = Bucket(2.0, 3, 0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(0.4), bucket.take(0.5), bucket.take(0.5)] == [False, True, False]
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_an_allowance_of_messages_fills_at_its_rate_up_to_its_burst() -> None:
    allowance = Allowance(rates(2.0, 3))
    assert [allowance.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert allowance.used_up(0.0)
    assert [allowance.take(0.5), allowance.take(0.5)] == [True, False]
    assert [allowance.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_what_is_heavy_counts_as_many_messages() -> None:
    allowance = Allowance(rates(1.0, 10))
    assert [allowance.take(0.0, messages=cost) for cost in (4, 5.5, 20, 1)] == [True, True, True, False]
    assert allowance.used_up(19.0)
    assert allowance.take(20.0)


def test_an_allowance_of_bytes_can_be_overdrawn_by_the_last() -> None:
    """Else what is larger than the burst could never be sent."""
    allowance = Allowance(rates(1e9, 1e9, byte_rate=100, byte_burst=50))
    assert [allowance.take(0.0, 49), allowance.take(0.0, 100), allowance.take(0.0, 1)] == [True, True, False]
    assert not allowance.take(0.98, 1)
    assert allowance.take(1.0, 1)
    assert [allowance.take(100.0, 49), allowance.take(100.0, 1), allowance.take(100.0, 1)] == [True, True, False]


def test_what_is_refused_takes_nothing() -> None:
    allowance = Allowance(rates(1.0, 1))
    assert allowance.take(0.0)
    assert not any(allowance.take(0.0) for _ in range(1000))
    assert allowance.take(1.0)


def test_a_charge_makes_a_debt_of_one_burst_at_most() -> None:
    allowance = Allowance(rates(10.0, 20))
    allowance.charge(0.0, 10**12)
    assert allowance.used_up(1.99)
    assert not allowance.used_up(2.01)


def test_connections_are_counted_per_user() -> None:
    allowed = Limits(rates(), user_connections=2)
    allowed.enter(who("ann"), 0.0)
    allowed.enter(who("ann"), 0.0)
    with pytest.raises(TooManyConnections, match="2 connections"):
        allowed.enter(who("ann"), 0.0)
    allowed.enter(who("bob"), 0.0)
    allowed.leave(who("ann"))
    allowed.enter(who("ann"), 0.0)
    assert allowed.connected == 3


def test_each_role_and_room_of_a_user_has_an_allowance_of_its_own() -> None:
    """An overlay's link is for others' eyes: who has it can't use up what the host has."""
    allowed = Limits(rates(message_burst=3), user_connections=3)
    overlay, other = who("host", "overlay", "r1"), who("host", "overlay", "r2")
    for _ in range(3):
        allowed.enter(overlay, 0.0)
    with pytest.raises(TooManyConnections):
        allowed.enter(overlay, 0.0)
    for host in (who("host", "creator"), who("host"), who("host", room="r1"), other):
        assert allowed.enter(host, 0.0).take(0.0)
        assert allowed.visit(host, 0.0)


def test_to_go_and_come_back_gives_no_new_allowance() -> None:
    allowed = Limits(rates(message_burst=3), user_connections=9)
    for _ in range(3):
        allowed.enter(who("ann"), 0.0)
        allowed.leave(who("ann"))
    with pytest.raises(RateLimited):
        allowed.enter(who("ann"), 0.0)
    assert not allowed.visit(who("ann"), 0.0)
    assert allowed.enter(who("ann"), 1.0).take(1.0) is False
    assert allowed.connected == 1


def test_those_who_have_gone_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "VISITORS_MAX", 2)
    allowed = Limits(rates(message_burst=1), user_connections=9)
    assert [allowed.visit(who(user), 0.0) for user in ("ann", "bob", "ann", "cleo", "bob")] == [
        True,
        True,
        False,
        True,
        True,
    ]
