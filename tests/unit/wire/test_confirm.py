"""Confirmations: good for one gift of one user for some minutes, and for nothing else."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gifting.wire.confirm import CONFIRMATION, Confirmed, confirms, make_confirmation

OLD, NEW = "an old secret for tests, 32 bytes+", "a new secret for tests, 32 bytes++"
NOW = 1_700_000_000_000
GIFT = Confirmed("ann", bytes(range(16)), b"8 bytes!", 500)
TOKEN = make_confirmation(NEW, GIFT, NOW + 1000)


def test_a_confirmation_is_good_until_its_time_is_over() -> None:
    assert re.match(CONFIRMATION, TOKEN)
    assert [confirms([NEW], TOKEN, GIFT, NOW + ms) for ms in (0, 999, 1000, 10**9)] == [True, True, False, False]


@pytest.mark.parametrize(
    "other",
    [{"user": "bob"}, {"key": bytes(16)}, {"digest": b"9 bytes!"}, {"coins": 501}, {"user": "ann\n"}, {"coins": 0}],
)
def test_it_is_for_nothing_else(other: dict[str, Any]) -> None:
    assert not confirms([NEW], TOKEN, replace(GIFT, **other), NOW)


def test_every_secret_that_is_believed_confirms_and_no_other() -> None:
    by_old = make_confirmation(OLD, GIFT, NOW + 1000)
    found = [
        confirms(secrets, token, GIFT, NOW) for secrets, token in product(([OLD, NEW], [NEW], []), (by_old, TOKEN))
    ]
    assert found == [True, True, False, True, False, False]


@given(st.integers(0, 31), st.sampled_from("AZaz09-_"))
def test_one_with_another_character(place: int, character: str) -> None:
    changed = TOKEN[:place] + character + TOKEN[place + 1 :]
    assert confirms([NEW], changed, GIFT, NOW) == (changed == TOKEN)


@given(st.text(max_size=60) | st.from_regex(CONFIRMATION))
def test_any_text_is_none(text: str) -> None:
    assert not confirms([NEW, OLD], text, GIFT, 0)
