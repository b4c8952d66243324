"""What an audit that begins after a closing must know of a partition's ledger before it, beside balances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from gifting.ledger.audit.room_book import RoomBook
from gifting.ledger.entries import Credit, Debit, Entry, Grant

ROUND: Final = 1 << 62
"""Sums of sides go round, so that a database has them."""

GRANTS, GIFTS, ODD = "grants", "gifts", "odd"
DEBITED, CREDITED = "debited", "credited"


@dataclass(slots=True)
class Carried:
    """How many entries there were of a kind, and how many that are not as they must be by the books of their partition;
    sums of the debits and of the credits of gifts, which are the same over all partitions if each gift has both its
    sides; and the rooms of hosts here (``room\\nhost``): milli-diamonds and coins credited there, and the last seq.
    """

    counts: Counter[str] = field(default_factory=Counter)
    sides: Counter[str] = field(default_factory=Counter)
    room_coins: Counter[str] = field(default_factory=Counter)
    room_diamonds: Counter[str] = field(default_factory=Counter)
    room_seq: Counter[str] = field(default_factory=Counter)

    def enter(self, entry: Entry, fits: bool) -> None:
        """``fits``: it is what the balances before it make of it."""
        self.counts[ODD] += not fits
        match entry:
            case Grant():
                self.counts[GRANTS] += 1
            case Debit():
                self.counts[GIFTS] += 1
                self._add(DEBITED, entry)
            case Credit():
                self._add(CREDITED, entry)
                self._credit(entry)
            case _:
                pass

    def _add(self, side: str, entry: Debit | Credit) -> None:
        self.sides[side] = (self.sides[side] + side_of(entry)) % ROUND

    def _credit(self, entry: Credit) -> None:
        name = f"{entry.room}\n{entry.host}"
        self.counts[ODD] += entry.seq <= self.room_seq[name]
        self.room_coins[name] += entry.coins
        self.room_diamonds[name] += entry.diamonds
        self.room_seq[name] = max(self.room_seq[name], entry.seq)

    def join(self, other: Carried) -> None:
        """Add those of another partition."""
        self.counts.update(other.counts)
        for side, total in other.sides.items():
            self.sides[side] = (self.sides[side] + total) % ROUND
        for book in ("room_coins", "room_diamonds", "room_seq"):
            getattr(self, book).update(getattr(other, book))

    def rooms(self) -> dict[str, RoomBook] | None:
        """The books of rooms; None if two hosts have had a room's credits."""
        found: dict[str, RoomBook] = {}
        for name, seq in self.room_seq.items():
            room, _, host = name.partition("\n")
            book = found.setdefault(room, RoomBook(host))
            if book.host != host:
                return None
            book.begin(seq, self.room_coins[name], self.room_diamonds[name])
        return found

    def meet(self, debits: Mapping[bytes, Debit], credits: Mapping[bytes, tuple[Credit, int]]) -> bool:
        """Whether entries without another side since have it among those before."""
        debited = self.sides[DEBITED] + sum(map(side_of, debits.values()))
        credited = self.sides[CREDITED] + sum(side_of(credit) for credit, _ in credits.values())
        return (debited - credited) % ROUND == 0


def side_of(entry: Debit | Credit) -> int:
    """What both sides of a gift have in common, in 7 bytes."""
    told = f"{entry.user}\n{entry.room}\n{entry.host}\n{entry.coins}\n".encode()
    return int.from_bytes(blake2b(told + entry.key, digest_size=7).digest(), "big")
