"""The part of an event that is encoded before the ledger has seen it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gifting.model import events
from gifting.model.catalog import load_catalog
from gifting.model.money import MAX_AMOUNT
from gifting.model.packing import unpack


@given(st.integers(1, 9_999), st.integers(1, MAX_AMOUNT), st.one_of(st.none(), st.text(max_size=200)))
def test_a_gift_event_is_made_of_its_parts(count: int, coins: int, message: str | None) -> None:
    user, host = {"id": "ann", "name": "Änn", "picture": "", "level": 3}, {"id": "host", "name": "Host"}
    static = events.encode_about(events.encode_host(host), load_catalog().wire("spark")) + events.encode_user(user)
    decided = b"".join(bytes((0xA1, 97 + at, 0xC0)) for at in range(7))
    made = unpack(static + events.encode_sent(count, coins, message) + decided)
    assert list(made)[: len(events.GIFT_STATIC)] == list(events.GIFT_STATIC)
    assert (made["user"], made["to_user"], made["gift"]["id"]) == (user, host, "spark")
    assert (made["count"], made["coins"], made["message"]) == (count, coins, message)
    assert len(made) == events.GIFT_FIELDS


def test_other_events_are_open_at_the_end() -> None:
    user = events.encode_user({"id": "ann"})
    blob = events.encode_post("comment", user, "hi")
    stamp = b"".join(bytes((0xA1, 97 + at, at)) for at in range(len(events.STAMP)))
    assert unpack(blob + stamp) == {
        "type": "comment",
        "user": {"id": "ann"},
        "text": "hi",
        "a": 0,
        "b": 1,
        "c": 2,
    }


def test_what_a_user_posts_is_an_event_like_others() -> None:
    user = {"id": "ann", "name": "Ann", "picture": "", "level": 1}
    wire = events.encode_user(user)
    assert events.encode_post("comment", wire, "hi") == events.encode_event("comment", {"user": user, "text": "hi"})
    assert events.encode_post("comment", wire, "") == events.encode_event("comment", {"user": user, "text": ""})
    assert events.encode_post("share", wire) == events.encode_event("share", {"user": user})
