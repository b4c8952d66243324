"""Which keys the ledger tells of, and which of them are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from zlib import crc32

from gifting.ledger.keys import Keys

DEBITED, CREDITED, GRANTED, GIFT_KEPT, GRANT_KEPT, PURCHASED, REVERSED, PAID_OUT = 1, 2, 4, 8, 16, 32, 64, 128
"""What is known of a key."""

_COINS, _DIAMONDS, _AMOUNT = 8, 61, (1 << 53) - 1
"""Where a gift's amounts are beside that, and the bits of one."""

_PLACE: Final = 114
"""Where it is told to which room and host a gift was given."""


def place_of(room: str, host: str) -> int:
    """Of a room and its host 32 bits, by which others are told from them; never 0."""
    return crc32(f"{host}\n{room}".encode()) or 1


class KnownKeys:
    """Bits by key and partition, with what a gift cost and earned: one number of each: as many as gifts."""

    def __init__(self, keys: Keys) -> None:
        self._bases = keys.bases
        self._numbers = {base: bytes((number,)) for number, base in enumerate(keys.bases)}
        self._known: dict[bytes, int] = {}

    def name(self, base: str, key: bytes) -> bytes:
        """The key as it is told from those of other partitions."""
        return key + self._numbers[base]

    def first(self, name: bytes, entered: int) -> bool:
        """Whether a key is entered so for the first time; from now on it is."""
        before = self._known.get(name, 0)
        self._known[name] = before | entered
        return not before & entered

    def is_entered(self, name: bytes, entered: int) -> bool:
        return bool(self._known.get(name, 0) & entered)

    def note(self, name: bytes, *, coins: int = 0, diamonds: int = 0, place: int = 0) -> None:
        """What a gift cost, or earned (milli-diamonds), of a key that was entered, and its :func:`place_of`."""
        self._known[name] |= (coins & _AMOUNT) << _COINS | (diamonds & _AMOUNT) << _DIAMONDS | place << _PLACE

    def recall(self, name: bytes, entered: int, **noted: int) -> None:
        """One that was entered before what is read."""
        if self.first(name, entered):
            self.note(name, **noted)

    def names(self) -> frozenset[bytes]:
        return frozenset(self._known)

    def entered(self, entered: int, but: frozenset[bytes]) -> Iterator[tuple[str, bytes]]:
        """The keys that were entered so, each with its partition, but for some."""
        for name, known in self._known.items():
            if known & entered and name not in but:
                yield self._bases[name[-1]], name[:-1]

    def amounts(self, name: bytes) -> tuple[int, int]:
        """The coins and milli-diamonds of a gift, 0 where that side of it was not entered."""
        known = self._known.get(name, 0)
        return known >> _COINS & _AMOUNT, known >> _DIAMONDS & _AMOUNT

    def place(self, name: bytes) -> int:
        """As it was noted; 0 where the gift's debit was not entered."""
        return self._known.get(name, 0) >> _PLACE

    def keep(self, name: bytes, entered: int, kept: int) -> int:
        """Note that a key is kept, if it was entered; returns what is known of it."""
        known = self._known.get(name, 0)
        if known & entered:
            self._known[name] = known | kept
        return known

    def unkept(self, entered: int, kept: int) -> Iterator[tuple[str, bytes]]:
        """The keys that were entered and are not kept, each with its partition."""
        for name, known in self._known.items():
            if known & (entered | kept) == entered:
                yield self._bases[name[-1]], name[:-1]
