"""When and where a client connects again. Pure."""

from __future__ import annotations

import msgspec
from websockets.exceptions import ConnectionClosedOK
from websockets.frames import Close

from gifting import errors
from gifting.client.reconnect import (
    LONGEST_PAUSE,
    backoff,
    error_from_reply,
    hinted_pause,
    read_problem,
    socket_url,
)
from gifting.wire.replies import problem, refusal


def test_pauses_grow_up_to_a_bound_and_never_agree() -> None:
    pauses = backoff()
    found = [next(pauses) for _ in range(200)]
    assert all(0 <= pause <= LONGEST_PAUSE for pause in found)
    assert max(found[:3]) <= 1 < LONGEST_PAUSE / 2 < max(found)
    assert len(set(found)) == 200


def test_a_server_that_shuts_down_says_how_long_to_wait() -> None:
    assert hinted_pause(ConnectionClosedOK(Close(4000, "retry in 1.25 s"), None)) == 1.25
    assert hinted_pause(ConnectionClosedOK(Close(4000, "retry in 99999 s"), None)) == LONGEST_PAUSE
    assert hinted_pause(ConnectionClosedOK(Close(4001, "too slow"), None)) == 0
    assert hinted_pause(OSError()) == 0


def test_addresses() -> None:
    assert socket_url("http://127.0.0.1:80") == ("ws://127.0.0.1:80/v1/ws", None)
    assert socket_url("https://example.org/") == ("wss://example.org/v1/ws", True)
    assert socket_url("wss://example.org/gifts/ws?x=1") == ("wss://example.org/gifts/ws?x=1", True)


def test_an_unknown_code_keeps_its_text() -> None:
    assert "brand_new: It broke." in str(error_from_reply({"code": "brand_new", "message": "It broke."}))


def test_an_error_keeps_when_it_ends_and_what_helps() -> None:
    sent = [
        errors.OnBreak("Until tomorrow.", until=1_900_000_000_000),
        errors.GiftCap(cap=500),
        errors.ConfirmRequired(until=1_900_000_000_000, confirm="abc", price=(499, "USD")),
        errors.RoomEnded(),
    ]
    for error in sent:
        for found in (
            error_from_reply(msgspec.to_builtins(refusal(1, error).error)),
            read_problem(msgspec.json.encode(problem(error))),
        ):
            assert type(found) is type(error)
            assert (found.until, found.cap, found.confirm) == (error.until, error.cap, error.confirm)
            assert found.price == error.price
            assert str(found) == str(error)
    assert "until" not in msgspec.to_builtins(refusal(1, errors.RoomEnded()).error)
