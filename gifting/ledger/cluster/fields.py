"""What the fields of a gift say, as :mod:`gifting.ledger.gifts` packs them: its user first, then its key."""

from __future__ import annotations

from typing import Final

KEY_SIZE: Final = 16

_SHORT: Final = 0xC0


def user_of(fields: bytes) -> bytes:
    """Who gives."""
    start, end = _user(fields)
    return fields[start:end]


def key_of(fields: bytes) -> bytes:
    """The 16 bytes of its key."""
    start = _user(fields)[1] + 1
    return fields[start : start + KEY_SIZE]


def _user(fields: bytes) -> tuple[int, int]:
    """Where it begins and ends: behind one byte that says how long it is, or behind two."""
    head = fields[0]
    return (1, 1 + (head & 0x1F)) if head < _SHORT else (2, 2 + fields[1])
