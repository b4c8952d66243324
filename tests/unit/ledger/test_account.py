"""The field in which a user's coins are, as Python reads it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple, replace

from gifting.ledger.account import RESTRICTIONS, Account, read_account, write_account
from gifting.model.money import MAX_AMOUNT


@given(st.builds(Account, **dict.fromkeys(Account.__struct_fields__, st.integers(0, MAX_AMOUNT))))
def test_what_is_written_is_read(account: Account) -> None:
    assert read_account(write_account(account)) == account


OF_ALL = struct.pack("<11d", *range(1, 12))
UNRESTRICTED = Account(
    coins=1,
    bonus=2,
    roll_at=3,
    since=4,
    day=5,
    month=6,
    run_coins=7,
    run_last=8,
    velocity=9,
    sent=10,
    purchased=11,
)


def test_a_record_says_nothing_of_what_restricts_nobody() -> None:
    assert read_account(OF_ALL) == UNRESTRICTED
    assert write_account(UNRESTRICTED) == OF_ALL


@pytest.mark.parametrize("name", sorted(RESTRICTIONS))
def test_who_is_restricted_has_a_record_of_all_fields(name: str) -> None:
    account = replace(UNRESTRICTED, **{name: 70})
    assert write_account(account) == struct.pack("<19d", *astuple(account))


def test_a_record_of_all_fields_is_read_of_whom_nothing_restricts_too() -> None:
    """The version that wrote the first records wrote all of everyone."""
    assert read_account(struct.pack("<19d", *astuple(UNRESTRICTED))) == UNRESTRICTED


@pytest.mark.parametrize(
    ("field", "coins"), [(None, 0), (b"0", 0), (b"17", 17), (b"9007199254740991", MAX_AMOUNT), (b"-1", -1)]
)
def test_plain_digits_are_coins_that_were_granted(field: bytes | None, coins: int) -> None:
    assert read_account(field) == Account(coins=coins, bonus=coins)


@pytest.mark.parametrize(
    "field", [b"", b"x", b"1.5", b"0x10", b"1e3", bytes(17), bytes(87), bytes(151), struct.pack("<19d", *[0.5] * 19)]
)
def test_anything_else_is_no_account(field: bytes) -> None:
    with pytest.raises(ValueError, match=r"digits|record|whole"):
        read_account(field)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_record_holds_whole_numbers(number: float) -> None:
    with pytest.raises(ValueError, match=r"record|whole"):
        read_account(struct.pack("<19d", number, *[0] * 18))
