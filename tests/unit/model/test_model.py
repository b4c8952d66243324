"""The rules on floor 0: catalog, keys, money, events, and the specification of the ledger."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gifting import errors
from gifting.model import events
from gifting.model.catalog import MAX_GIFTS, load_catalog, parse_catalog
from gifting.model.money import MAX_AMOUNT, content_digest, diamonds_for, key_time, make_key, parse_key
from gifting.wire.codec import unpack
from tests.support.reference import Reference, Rules, Sent

ROSE = '[[gift]]\nid = "rose"\nname = "Rose"\ncoins = 1\ntier = "small"\n'

# Keys.


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_a_key_is_a_uuid_of_version_7(now: int, random: bytes) -> None:
    text = make_key(now, random)
    made = uuid.UUID(text)
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert str(made) == text
    assert parse_key(text) == parse_key(text.upper()) == made.bytes
    assert key_time(made.bytes) == now


@given(st.one_of(st.text(max_size=40), st.uuids().map(str), st.uuids(version=4).map(str)))
def test_only_uuids_of_version_7_are_keys(text: str) -> None:
    try:
        key = parse_key(text)
    except errors.BadKey:
        return
    assert str(uuid.UUID(bytes=key)) == text.lower()
    assert uuid.UUID(bytes=key).version == 7


@pytest.mark.parametrize("place", range(36))
def test_a_key_with_one_wrong_character(place: int) -> None:
    text = make_key(1_700_000_000_000, os.urandom(10))
    for wrong in ("g", " ", "_", "٣", "" if place else "-"):
        with pytest.raises(errors.BadKey):
            parse_key(text[:place] + wrong + text[place + 1 :])


@given(st.lists(st.text(alphabet="ab1", max_size=3), min_size=2, max_size=2, unique=True))
def test_other_content_has_another_digest(contents: list[str]) -> None:
    first, second = (content_digest("ann", "room", content) for content in contents)
    assert first != second
    assert len(first) == 8


# Money.


@given(st.integers(1, 10**10), st.integers(1, 10**5), st.integers(1, 10**5), st.data())
def test_a_remainder_is_less_than_one(coins: int, numerator: int, denominator: int, data: st.DataObject) -> None:
    carried = data.draw(st.integers(0, denominator - 1))
    diamonds, carry = diamonds_for(coins, (numerator, denominator), carried)
    assert 0 <= carry < denominator
    assert diamonds * denominator + carry == coins * numerator + carried


# Catalog.


def test_the_catalog_of_the_package() -> None:
    catalog = load_catalog()
    for gift in catalog:
        assert catalog[gift.id] is gift
        assert unpack(b"\x81" + catalog.wire(gift.id)) == {"gift": gift.public()}
    assert any(gift.streakable for gift in catalog)
    assert any(not gift.streakable for gift in catalog)
    with pytest.raises(errors.UnknownGift, match="'nothing'"):
        catalog["nothing"]


def test_streakable_follows_from_the_price_unless_said() -> None:
    table = '[[gift]]\nid = "{0}"\nname = "N"\ncoins = {1}\ntier = "small"\n{2}\n'
    said = [("a", 99, ""), ("b", 100, ""), ("c", 100, "streakable = true"), ("d", 1, "streakable = false")]
    catalog = parse_catalog("".join(table.format(*row) for row in said), "test")
    assert [gift.streakable for gift in catalog] == [True, False, True, False]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "line 1: there is no"),
        ("gift = 3", "line 1: there is no"),
        ("[[gift]\n", "line 1"),
        (ROSE + ROSE, "line 7: the id 'rose' is there twice"),
        (ROSE + ROSE.replace("rose", "Rose!"), "line 7: "),
        (ROSE + ROSE.replace("coins = 1", "coins = 0"), "line 9: "),
        (ROSE + ROSE.replace("coins = 1", "coins = 1000001"), "line 9: "),
        (ROSE + ROSE.replace("coins = 1", "coins = 1.5"), "line 9: "),
        (ROSE + ROSE.replace("coins = 1", 'coins = "1"'), "line 9: "),
        (ROSE.replace("small", "tiny"), "line 5: "),
        (ROSE.replace('"Rose"', '""'), "line 3: "),
        (ROSE + 'colour = "red"\n', "line 6: "),
        (ROSE + ROSE.replace('name = "Rose"\n', ""), "line 6: .*name"),
        ("# one gift\n\n" + ROSE.replace("tier", "# tier"), "line 3: .*tier"),
        (ROSE * (MAX_GIFTS + 1), f"more than {MAX_GIFTS}"),
    ],
)
def test_what_is_wrong_in_a_catalog_and_where(text: str, where: str) -> None:
    with pytest.raises(errors.BadCatalog, match=f"^bad_catalog: gifts.toml.*{where}"):
        parse_catalog(text, "gifts.toml")


def test_a_catalog_that_can_not_be_read(tmp_path: Path) -> None:
    for content in (None, b"\xff"):
        path = tmp_path / f"{content is None}.toml"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(errors.BadCatalog, match=path.name):
            load_catalog(str(path))
    good = tmp_path / "good.toml"
    good.write_text(ROSE)
    assert [gift.id for gift in load_catalog(str(good))] == ["rose"]


# Events.


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
    blob = events.encode_event("comment", {"user": user, "text": "hi"})
    stamp = b"".join(bytes((0xA1, 97 + at, at)) for at in range(len(events.STAMP)))
    assert unpack(blob + stamp) == {
        "type": "comment",
        "user": {"id": "ann"},
        "text": "hi",
        "a": 0,
        "b": 1,
        "c": 2,
    }


# The specification of the ledger, read as an example.


def test_the_specification_by_example() -> None:
    ledger = Reference(Rules(rate=(500, 1)))
    rose = load_catalog()["spark"]
    host = {"id": "host", "name": "Host"}
    keys = [make_key(1000, bytes(9) + bytes((number,))) for number in range(3)]
    assert ledger.open_room("r1", host, "A title") == "ok"
    assert ledger.grant(1000, "ann", 10, keys[0], "bought").coins == 10
    sent = Sent({"id": "ann"}, "r1", host, rose, 2, None)
    assert ledger.gift(1000, keys[1], sent) == (False, "ok", 1, 8, 2, 1)
    assert ledger.gift(4000, keys[1], sent) == (True, "ok", 1, 8, 2, 1)
    assert ledger.gift(4000, keys[2], sent) == (False, "ok", 2, 6, 4, 1)
    assert ledger.sweep(7000) == 0
    assert ledger.sweep(7001) == 1
    end = ledger.rooms["r1"].log[-1].event
    assert (end["repeat_count"], end["repeat_end"], end["count"]) == (4, True, 0)
    assert (ledger.diamonds["host"], ledger.rooms["r1"].top(1)[0]["coins"]) == (2000, 4)
