"""What is known of a user's coins, in one field that is read and written with them: ``include/accounts.lua`` in Python.

A field is plain digits, as the first version wrote it: coins, all of them granted. Else it is a record of doubles, in
the order of :class:`Account`, which keep every amount and time exactly: of all fields, or of those whom nothing
restricts without :data:`RESTRICTIONS`.
"""

from __future__ import annotations

import re
import struct
from enum import IntFlag
from typing import Final

from msgspec import Struct

from gifting.model.money import MAX_AMOUNT

DIGITS_MAX: Final = 16
"""A longer field is a record."""

_DIGITS: Final = re.compile(rb"-?\d{1,16}")


class Frozen(IntFlag):
    """Why an account is frozen."""

    DEBT = 1
    WARNING = 2
    DISPUTE = 4
    BANNED = 8


class Account(Struct):
    """Amounts in coins, times in ms since 1970. Of limits 0 is none, but for ``left``.

    ``coins`` has ``bonus`` in it, which are spent first; ``debt`` is what could not be taken back.
    ``blocked_until`` ends a break. At ``roll_at`` the cold record must be looked at again; ``since`` was spent
    after that was done last, and is in ``day`` and ``month`` (24 h and 30 days), too. ``left`` is what own and
    guardian's limits leave until then, and once it is down to ``notice_at`` a share of a limit is passed.
    ``run_coins`` were spent in gifts each soon after the one before, the last of them at ``run_last``. ``velocity``
    is when the bucket is full again. ``sent`` and ``purchased`` are all coins that were ever spent, and ever issued
    for money.
    """

    coins: int = 0
    bonus: int = 0
    debt: int = 0
    frozen: int = 0
    blocked_until: int = 0
    roll_at: int = 0
    since: int = 0
    day: int = 0
    month: int = 0
    left: int = MAX_AMOUNT
    notice_at: int = 0
    gift_cap: int = 0
    streak_cap: int = 0
    confirm_above: int = 0
    run_coins: int = 0
    run_last: int = 0
    velocity: int = 0
    sent: int = 0
    purchased: int = 0


RESTRICTIONS: Final = frozenset(
    ("debt", "frozen", "blocked_until", "left", "notice_at", "gift_cap", "streak_cap", "confirm_above")
)
"""The fields that only the accounts have which something restricts, as ``include/restrictions.lua`` says."""

_BRIEF: Final = tuple(name for name in Account.__struct_fields__ if name not in RESTRICTIONS)
_LAYOUTS: Final = {8 * len(names): names for names in (_BRIEF, Account.__struct_fields__)}
_NONE: Final = Account()


def read_account(field: bytes | None) -> Account:
    """A user's account; that of one who never had coins is empty. Raises ValueError: it is no such thing."""
    if field is None:
        return Account()
    if len(field) > DIGITS_MAX:
        return _read_record(field)
    if not _DIGITS.fullmatch(field):
        raise ValueError("neither digits nor a record")
    coins = int(field)
    return Account(coins=coins, bonus=coins)


def _read_record(field: bytes) -> Account:
    names = _LAYOUTS.get(len(field))
    if names is None:
        raise ValueError(f"a record of {len(field)} bytes")
    return Account(**dict(zip(names, map(_whole, _doubles(names).unpack(field)), strict=True)))


def write_account(account: Account) -> bytes:
    """As the scripts write it."""
    restricted = any(getattr(account, name) != getattr(_NONE, name) for name in RESTRICTIONS)
    names = Account.__struct_fields__ if restricted else _BRIEF
    return _doubles(names).pack(*(getattr(account, name) for name in names))


def _doubles(names: tuple[str, ...]) -> struct.Struct:
    return struct.Struct(f"<{len(names)}d")


def _whole(number: float) -> int:
    if not number.is_integer():
        raise ValueError(f"{number} is no whole number")
    return int(number)
