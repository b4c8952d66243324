"""What the ledger tells of one room."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import Final

from gifting.ledger.entries import Credit

UNKNOWN: Final = 0
"""Digest of a credit whose gift is not known."""


def gift_digest(user: str, gift: str, gifts: int, coins: int, diamonds: int) -> int:
    """What an event and its debit and credit must agree on, in 8 bytes; of this process only."""
    return hash((user, gift, gifts, coins, diamonds)) or 1


class RoomBook:
    """The credits of one room: their seqs, which ascend, and digests; and their sums."""

    __slots__ = ("coins", "diamonds", "digests", "host", "ranked", "seqs")

    def __init__(self, host: str) -> None:
        self.host = host
        self.seqs = array("Q")
        self.digests = array("q")
        self.coins = 0
        self.diamonds = 0
        self.ranked: Counter[str] = Counter()

    def enter(self, credit: Credit) -> int:
        """Returns the credit's place, or -1 if it has none because it comes after a later one."""
        self.coins += credit.coins
        self.diamonds += credit.diamonds
        self.ranked[credit.user] += credit.coins
        if self.seqs and credit.seq <= self.seqs[-1]:
            return -1
        self.seqs.append(credit.seq)
        self.digests.append(UNKNOWN)
        return len(self.seqs) - 1
