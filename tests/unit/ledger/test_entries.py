"""Kinds of ledger entries: those that scripts write are those that are read, and each has its place everywhere."""

from __future__ import annotations

import re
from importlib import resources
from typing import get_args

import pytest
from msgspec.structs import astuple, fields

from gifting.ledger import entries
from gifting.ledger.entries import (
    Clawback,
    Credit,
    Debit,
    Entry,
    GiftReversal,
    Payout,
    Purchase,
    Reversal,
    owner,
    plausible,
)
from gifting.ledger.entry_parser import parse_entries
from gifting.model.packing import pack

LUA = resources.files("gifting.ledger").joinpath("lua")
KEY = bytes(16)
COMING: set[str] = set()
"""Kinds that are read, and which no script writes yet."""


def test_scripts_write_the_kinds_that_are_read() -> None:
    names = [*LUA.iterdir(), *LUA.joinpath("include").iterdir()]
    text = "".join(path.read_text(encoding="utf-8") for path in names if path.name.endswith(".lua"))
    written = set(re.findall(r"'\\1\d\d\\1\d\d(\w+)'", text))
    assert written | COMING == {kind.__struct_config__.tag for kind in get_args(Entry)}


@pytest.mark.parametrize("kind", get_args(Entry))
def test_the_documentation_of_entries_names_their_fields(kind: type[Entry]) -> None:

    documentation = " ".join((entries.__doc__ or "").split())
    said = ", ".join(field.name for field in fields(kind)).replace(
        "numerator, denominator", "rate numerator, rate denominator"
    )
    assert f"``{kind.__struct_config__.tag}``: {said} —" in documentation


def test_kinds_are_told_apart_whatever_they_have_in_common() -> None:
    paid = pack(("debit", 1, KEY, "ann", "r", "host", "spark", 1, 1))
    earned = pack(("credit", 1, KEY, "ann", "r", "host", 1, 1, 500, 500, 1))
    debit, credit = parse_entries(paid + earned)
    assert (type(debit), type(credit)) == (Debit, Credit)
    assert (owner(debit), owner(credit)) == ("ann", "host")
    with pytest.raises(KeyError):
        list(parse_entries(earned.replace(b"credit", b"refund")))


def test_entries_of_before_a_field_was_there_have_nothing_in_it() -> None:
    old = pack(("purchase", 1, KEY, "ann", "o1", 100, 20, 0)) + pack(("reversal", 2, KEY, "ann", "o1", 60, 12, 22))
    purchase, reversal = parse_entries(old)
    assert purchase == Purchase(1, KEY, "ann", "o1", 100, 20, 0, 0, "", "")
    assert reversal == Reversal(2, KEY, "ann", "o1", 60, 12, 22, 0, "", "", 0)
    earned = pack(("credit", 1, KEY, "ann", "r", "host", 1, 1, 450, 450, 1, 1000))
    assert [entry.commission for entry in parse_entries(earned) if isinstance(entry, Credit)] == [1000]


@pytest.mark.parametrize(
    "entry",
    [
        Purchase(1, KEY, "ann", "o1", 100, 20, 0, 1000, "EUR", "stripe"),
        Reversal(1, KEY, "ann", "o1", -60, -12, 0, -600, "EUR", "refund", -60),
        GiftReversal(1, KEY, "ann", bytes(range(16)), "r", "host", 50, 20, 10, "case 7"),
        Clawback(1, KEY, "host", bytes(range(16)), "ann", 35_000, 0, 0, "case 7", 20_000),
        Payout(1, KEY, "host", "p1", -100_000, -50_00, "USD", "sandbox"),
    ],
)
def test_what_is_packed_is_read(entry: Entry) -> None:
    values = (entry.__struct_config__.tag, *astuple(entry))
    assert list(parse_entries(pack(values))) == [entry]
    assert plausible(entry)
