"""Who may stay: sockets in all, per address, and within the limit of open files. Pure but for the last."""

from __future__ import annotations

import logging
from collections import Counter

import pytest

from gifting.config import load
from gifting.errors import BadSetting, ServerFull, TooManyConnections
from gifting.logs import Refusals
from gifting.transport.lobby import FILES_RESERVED, TURNED_AWAY_AT_ONCE, Lobby


class Waiting:
    deadline: float | None = None

    def expire(self) -> None: ...


def lobby(**settings: object) -> Lobby:
    return Lobby(load(settings, environ={}), lambda: 0.0, Refusals(Counter(), lambda: 0.0))


def test_sockets_are_counted_in_all_whatever_they_become() -> None:
    made, first, second = lobby(connections=2), Waiting(), Waiting()
    assert made.enter(first, "192.0.2.1")[1] is None
    made.upgrade(first)
    assert made.enter(second, "192.0.2.2")[1] is None
    address, why = made.enter(Waiting(), "192.0.2.3")
    assert isinstance(why, ServerFull)
    made.gone(address)
    made.leave(second, None)
    assert (made.sockets, len(made)) == (1, 1)


def test_an_address_is_forgotten_with_its_last_socket() -> None:
    made = lobby(address_connections=1)
    address, why = made.enter(Waiting(), "192.0.2.1")
    assert why is None
    late, why = made.enter(Waiting(), "192.0.2.1")
    assert isinstance(why, TooManyConnections)
    assert late is address
    made.gone(late)
    made.gone(address)
    assert not made._addresses
    assert made.enter(Waiting(), "192.0.2.1")[1] is None


@pytest.mark.parametrize("host", ["127.0.0.1", "::ffff:127.0.0.1", "::1", "10.1.2.3", ""])
def test_proxies_that_are_trusted_have_no_cap(host: str) -> None:
    made = lobby(address_connections=1, forwarded_allow_ips="127.0.0.1, ::1, 10.0.0.0/8")
    assert [made.enter(Waiting(), host) for _ in range(3)] == [(None, None)] * 3


def test_there_are_no_more_sockets_than_files(caplog: pytest.LogCaptureFixture) -> None:
    made, reserved = lobby(connections=100), FILES_RESERVED + TURNED_AWAY_AT_ONCE
    with caplog.at_level(logging.WARNING):
        made.fit(files=100 + 20 + reserved, in_use=20)
    assert (made.most, caplog.text) == (100, "")
    made.fit(files=50 + 20 + reserved, in_use=20)
    assert made.most == 50
    assert "at most 50 sockets" in caplog.text
    with pytest.raises(BadSetting, match="ulimit"):
        made.fit(files=reserved, in_use=1)
