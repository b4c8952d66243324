"""Kinds of ledger entries: those that scripts write are those that are read, and each has its place everywhere."""

from __future__ import annotations

import re
from importlib import resources
from typing import get_args

import pytest
from msgspec.structs import fields

from gifting.ledger import entries
from gifting.ledger.entries import Credit, Debit, Entry, owner, parse_entries
from gifting.model.packing import pack

LUA = resources.files("gifting.ledger").joinpath("lua")
KEY = bytes(16)


def test_scripts_write_the_kinds_that_are_read() -> None:
    names = [*LUA.iterdir(), *LUA.joinpath("include").iterdir()]
    text = "".join(path.read_text(encoding="utf-8") for path in names if path.name.endswith(".lua"))
    written = set(re.findall(r"'\\1\d\d\\1\d\d(\w+)'", text))
    assert written == {kind.__struct_config__.tag for kind in get_args(Entry)}


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
