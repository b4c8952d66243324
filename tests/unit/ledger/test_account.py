"""The field in which a user's coins are, as Python reads it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gifting.ledger.account import Account, read_account, write_account
from gifting.model.money import MAX_AMOUNT


@given(st.builds(Account, **dict.fromkeys(Account.__struct_fields__, st.integers(0, MAX_AMOUNT))))
def test_what_is_written_is_read(account: Account) -> None:
    assert read_account(write_account(account)) == account


@pytest.mark.parametrize(
    ("field", "coins"), [(None, 0), (b"0", 0), (b"17", 17), (b"9007199254740991", MAX_AMOUNT), (b"-1", -1)]
)
def test_plain_digits_are_coins_that_were_granted(field: bytes | None, coins: int) -> None:
    assert read_account(field) == Account(coins=coins, bonus=coins)


@pytest.mark.parametrize(
    "field", [b"", b"x", b"1.5", b"0x10", b"1e3", bytes(17), bytes(151), struct.pack("<19d", *[0.5] * 19)]
)
def test_anything_else_is_no_account(field: bytes) -> None:
    with pytest.raises(ValueError, match=r"digits|record|whole"):
        read_account(field)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_record_holds_whole_numbers(number: float) -> None:
    with pytest.raises(ValueError, match=r"record|whole"):
        read_account(struct.pack("<19d", number, *[0] * 18))
