"""What the reference knows against what the masters hold: read from the nodes themselves, past all that is tested."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from benchmarks.chaos.giver import Gift
from gifting.ledger.entries import Credit, Debit, Entry

NAMED_MAX: Final = 5
"""Of one kind of violation so many are named."""


class Place(NamedTuple):
    """Where an entry stands in its partition's ledger."""

    partition: str
    item: tuple[int, int]
    entry: int


@dataclass(slots=True)
class Books:
    """Debits and credits by key, each with its place, in the order of their ledgers."""

    debits: dict[bytes, list[tuple[Place, Debit]]] = field(default_factory=lambda: defaultdict(list))
    credits: dict[bytes, list[tuple[Place, Credit]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, partition: str, item: tuple[int, int], entries: Iterable[Entry]) -> None:
        """All entries of an item."""
        for number, entry in enumerate(entries):
            place = Place(partition, item, number)
            if isinstance(entry, Debit):
                self.debits[entry.key].append((place, entry))
            elif isinstance(entry, Credit):
                self.credits[entry.key].append((place, entry))


@dataclass(slots=True)
class Verdict:
    """Counts of what was checked, and each violation in words."""

    acked: int = 0
    pending: int = 0
    lost: int = 0
    double: int = 0
    disordered: int = 0
    phantom: int = 0
    problems: list[str] = field(default_factory=list)

    def blame(self, what: str, which: Sequence[str]) -> int:
        """One line for all of a kind; how many they are."""
        if which:
            self.problems.append(f"{len(which):,} {what}: {', '.join(which[:NAMED_MAX])}")
        return len(which)


def judge(gifts: Sequence[Gift], books: Books) -> Verdict:
    """Hold what the senders were told against the books."""
    acked = [gift for gift in gifts if gift.accepted]
    verdict = Verdict(acked=len(acked), pending=sum(not gift.seq for gift in acked))
    _check_each(verdict, gifts, acked, books)
    _check_order(verdict, acked, books)
    return verdict


def _check_each(verdict: Verdict, gifts: Sequence[Gift], acked: Sequence[Gift], books: Books) -> None:
    debits, credits = books.debits, books.credits
    undebited = [gift.key for gift in acked if gift.id not in debits]
    uncredited = [gift.key for gift in acked if gift.id in debits and gift.id not in credits]
    verdict.lost = verdict.blame("acked gifts were not debited", undebited)
    verdict.lost += verdict.blame("acked gifts were not credited", uncredited)
    for what, found in (("debited", debits), ("credited", credits)):
        twice = [key.hex() for key, entries in found.items() if len(entries) > 1]
        verdict.double += verdict.blame(f"gifts were {what} more than once", twice)
    moved = [gift.key for gift in acked if gift.seq and _seqs(books, gift) not in ([], [gift.seq])]
    verdict.disordered += verdict.blame("gifts are not where their senders were told", moved)
    refused = [gift.key for gift in gifts if gift.refused and gift.id in debits]
    verdict.phantom += verdict.blame("refused gifts were charged", refused)
    unpaid = [key.hex() for key in credits if key not in debits]
    verdict.phantom += verdict.blame("gifts were credited and never paid", unpaid)
    unearned = [key.hex() for key in debits if key not in credits]
    verdict.phantom += verdict.blame("gifts were paid and never credited", unearned)
    known = {gift.id for gift in gifts}
    verdict.phantom += verdict.blame("gifts are nobody's", [key.hex() for key in debits if key not in known])


def _seqs(books: Books, gift: Gift) -> list[int]:
    return [credit.seq for _, credit in books.credits.get(gift.id, [])]


def _check_order(verdict: Verdict, acked: Sequence[Gift], books: Books) -> None:
    """Of each sender and room: as sent over one connection, so debited; as debited, so credited and numbered."""
    pairs: dict[tuple[str, str], list[Gift]] = defaultdict(list)
    for gift in acked:
        if gift.id in books.debits and gift.id in books.credits:
            pairs[gift.user, gift.room].append(gift)
    sent, debited = [], []
    for found in pairs.values():
        found.sort(key=lambda gift: books.debits[gift.id][0][0])
        once = [gift for gift in found if gift.times == 1]
        sent += [after.key for before, after in pairwise(once) if _swapped(before, after)]
        placed = [(books.credits[gift.id][0], gift.key) for gift in found]
        debited += [key for (before, _), (after, key) in pairwise(placed) if not _follows(before, after)]
    verdict.disordered += verdict.blame("gifts overtook one that their sender had sent before", sent)
    verdict.disordered += verdict.blame("gifts were credited before one that was debited before", debited)


def _swapped(before: Gift, after: Gift) -> bool:
    return before.connection == after.connection and before.number > after.number


def _follows(before: tuple[Place, Credit], after: tuple[Place, Credit]) -> bool:
    return before[0] < after[0] and before[1].seq < after[1].seq


def check_seen(verdict: Verdict, room: str, seen: Mapping[int, str], books: Books) -> None:
    """What a viewer was shown since its last gap was credited, under that seq, to that sender."""
    credited = {
        credit.seq: credit.user for found in books.credits.values() for _, credit in found if credit.room == room
    }
    wrong = [f"{room} {seq}" for seq, user in seen.items() if credited.get(seq) != user]
    verdict.phantom += verdict.blame("gifts were shown that were not credited so", wrong)
