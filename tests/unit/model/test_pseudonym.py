"""Pseudonyms: one per user and room, and nothing to be learnt from them."""

from __future__ import annotations

import re
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from gifting.model.events import decode_user
from gifting.model.ids import valid_id
from gifting.model.packing import pack
from gifting.model.pseudonym import Unmasked, profile, pseudonym

SALT = bytes(range(16))
IDS = st.from_regex(r"\A[A-Za-z0-9_.:@-]{1,64}\Z")


@given(st.binary(min_size=16, max_size=16), IDS, IDS)
def test_a_pseudonym_is_the_same_for_a_user_in_a_room_and_no_users_id(salt: bytes, room: str, user: str) -> None:
    shown = pseudonym(salt, room, user)
    assert shown == pseudonym(salt, room, user)
    assert re.fullmatch("~[0-9a-f]{16}", shown)
    assert not valid_id(shown)


def test_another_room_user_or_salt_is_another_pseudonym() -> None:
    salts, ids = (SALT, bytes(16)), ("a", "b", "aa", "ab", "a.b", "A")
    made = {pseudonym(*what) for what in product(salts, ids, ids)}
    assert len(made) == len(salts) * len(ids) ** 2


def test_the_profile_shows_nothing_of_the_user() -> None:
    user = decode_user(pack(profile("~0")))
    assert (user.id, user.name, user.picture, user.level) == ("~0", "Anonymous", "", 0)


def test_who_has_the_salt_knows_who_it_is() -> None:
    unmasked = Unmasked(SALT, "r1", ["ann", "bob"])
    assert [unmasked.real(pseudonym(SALT, "r1", user)) for user in ("ann", "bob")] == ["ann", "bob"]
    for other in ("ann", "eve", pseudonym(SALT, "r2", "ann"), pseudonym(bytes(16), "r1", "ann"), "~"):
        assert unmasked.real(other) == other
