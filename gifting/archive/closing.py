"""The state of one partition at the end of a period: every balance, and every lot, as the ledger's items say.

It is made by replaying the items, from the closing of the period before. Its hash is of all its amounts in the order of
their names, each with its length before it, so that equal hashes are of equal states.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from hashlib import sha256
from typing import Final

from gifting.archive.lots import Lots
from gifting.ledger.audit.balances import Balances
from gifting.ledger.audit.carried import ODD, Carried
from gifting.ledger.audit.replay import enter
from gifting.ledger.entries import Entry, Purchase, Reversal, plausible
from gifting.ledger.entry_parser import UNREADABLE, parse_entries

Name = tuple[str, str]
"""A book, and a name in it."""

_BOOKS: Final = tuple(field.name for field in fields(Balances))
_CARRIED: Final = tuple(field.name for field in fields(Carried))


class Closing:
    """A partition's books. One of balances, or of what an audit carries on, has the name of its field in
    :class:`Balances` or :class:`Carried`; totals have no partition in their names; ``lot`` and ``kept`` are of
    :class:`Lots`.
    """

    def __init__(self, amounts: Iterable[tuple[str, str, int]] = ()) -> None:
        self.balances = Balances()
        self.carried = Carried()
        self.lots = Lots()
        for book, name, amount in amounts:
            if book == "kept":
                self.lots.keep(name, amount)
            elif book == "totals":
                self.balances.totals[f" {name}"] = amount
            elif book in _BOOKS:
                getattr(self.balances, book)[name] = amount
            elif book in _CARRIED:
                getattr(self.carried, book)[name] = amount

    def enter(self, data: bytes) -> None:
        """All entries of an item; of one that can't be read, nothing."""
        found = _read(data)
        self.carried.counts[ODD] += found is None
        for entry in found or ():
            match entry:
                case Purchase():
                    self.lots.issue(entry, self.balances.purchased[entry.user])
                case Reversal():
                    self.lots.take_back(entry)
            self.carried.enter(entry, enter(self.balances, "", entry))

    def amounts(self) -> dict[Name, int]:
        """What is not 0, by book and name; and each lot that is taken back whole, since that may come again."""
        found = {
            (book, name.strip()): amount for book in _BOOKS for name, amount in getattr(self.balances, book).items()
        }
        found |= {(book, name): amount for book in _CARRIED for name, amount in getattr(self.carried, book).items()}
        found |= {("kept", name): amount for name, amount in self.lots.kept()}
        coins, bonus = self.balances.coins, self.balances.bonus
        paid = {user: coins[user] - bonus[user] for user in self.lots.users()}
        found |= {("lot", name): amount for name, amount in self.lots.unspent(paid)}
        return {name: amount for name, amount in found.items() if amount or name[0] == "kept"}


def _read(data: bytes) -> list[Entry] | None:
    try:
        found = list(parse_entries(data))
        return found if all(map(plausible, found)) else None
    except UNREADABLE:
        return None


def state_hash(amounts: Mapping[Name, int]) -> bytes:
    """The hash of a state."""
    hashed = sha256()
    for (book, name), amount in sorted(amounts.items()):
        for part in (book.encode(), name.encode(), b"%d" % amount):
            hashed.update(len(part).to_bytes(4, "big") + part)
    return hashed.digest()
