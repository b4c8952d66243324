"""What the ledger tells of one room."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from gifting.ledger.entries import Credit

UNKNOWN: Final = 0
"""Digest of a credit whose gift is not known."""


def gift_digest(user: str, gift: str, gifts: int, coins: int, diamonds: int) -> int:
    """What an event and its debit and credit must agree on, in 8 bytes; of this process only."""
    return hash((user, gift, gifts, coins, diamonds)) or 1


class RoomBook:
    """The credits of one room: their seqs, which ascend, and digests; and their sums.

    Of one that begins after others (:meth:`begin`) seqs, digests and ranking are those since, until it has the rest
    (:meth:`complete`).
    """

    __slots__ = ("coins", "diamonds", "digests", "host", "ranked", "seqs", "since")

    def __init__(self, host: str) -> None:
        self.host = host
        self.seqs = array("Q")
        self.digests = array("q")
        self.coins = 0
        self.diamonds = 0
        self.ranked: Counter[str] = Counter()
        self.since = 0

    def begin(self, seq: int, coins: int, diamonds: int) -> None:
        """Coins and milli-diamonds were credited before, the last by the event of that seq."""
        self.since = seq
        self.coins += coins
        self.diamonds += diamonds

    def complete(self, older: Iterable[tuple[int, int]], ranked: Mapping[str, int]) -> None:
        """Seqs and digests of credits before, in order, from the first on that is asked for; and coins by user."""
        found = list(older)
        self.seqs = array("Q", (seq for seq, _ in found)) + self.seqs
        self.digests = array("q", (digest for _, digest in found)) + self.digests
        self.ranked.update(ranked)

    def enter(self, credit: Credit) -> int:
        """Returns the credit's place, or -1 if it has none because it comes after a later one."""
        self.coins += credit.coins
        self.diamonds += credit.diamonds
        self.ranked[credit.user] += credit.coins
        if credit.seq <= (self.seqs[-1] if self.seqs else self.since):
            return -1
        self.seqs.append(credit.seq)
        self.digests.append(UNKNOWN)
        return len(self.seqs) - 1
