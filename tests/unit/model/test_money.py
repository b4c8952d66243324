"""The rules of money: keys, digests, diamonds and remainders."""

from __future__ import annotations

import os
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gifting import errors
from gifting.model.money import content_digest, diamonds_for, key_time, make_key, parse_key


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


@given(st.integers(1, 10**10), st.integers(1, 10**5), st.integers(1, 10**5), st.data())
def test_a_remainder_is_less_than_one(coins: int, numerator: int, denominator: int, data: st.DataObject) -> None:
    carried = data.draw(st.integers(0, denominator - 1))
    diamonds, carry = diamonds_for(coins, (numerator, denominator), carried)
    assert 0 <= carry < denominator
    assert diamonds * denominator + carry == coins * numerator + carried
