"""What crosses partitions of a cluster, of which each is cut at a moment of its own: both sides of all gifts, proved.

At any moment: coins debited = coins credited + coins in outboxes that are not credited yet - coins fenced. Here with
what was entered between two cuts, on either side, which the ledger tells after them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

from gifting.ledger.audit import about
from gifting.ledger.audit.books import Books
from gifting.ledger.audit.known_keys import CREDITED
from gifting.ledger.audit.pairs import Blob, Fence, Given, Half, Mark, holes, pairs, passed, waits
from gifting.ledger.audit.report import Crossed, Findings
from gifting.ledger.entries import Credit, Debit, Entry, GiftReversal
from gifting.ledger.keys import Keys


class After(NamedTuple):
    """Of all partitions, by number: marks and fences as they were after the last cut, and then what was given."""

    marks: Sequence[dict[int, Mark]]
    fences: Sequence[Sequence[Fence]]
    given: Sequence[dict[int, Given]]
    ends: dict[str, str]
    """The last item of each ledger, by partition."""


class Crossing:
    """Of books that are entered up to the cuts; in this order: :meth:`check`, :meth:`take_under_way`, :meth:`enter`."""

    def __init__(self, keys: Keys, halves: Sequence[Half], after: After, findings: Findings) -> None:
        self._bases = keys.bases
        self._halves = halves
        self._after = after
        self._findings = findings
        self.crossed = Crossed()

    def check(self) -> None:
        """The numbers of each pair."""
        for base, half in zip(self._bases, self._halves, strict=True):
            if not half.born:
                self._found("partition_lost", f"{base} has lost its data.", about.stream(base))
        for source, destination in pairs(self._halves):
            self._check_numbers(source, destination)
            self._check_parked(source, destination)

    def _check_numbers(self, source: int, destination: int) -> None:
        half, mark = self._halves[source], self._after.marks[destination].get(source, Mark())
        base, other = self._bases[source], self._bases[destination]
        tags = about.pair(base, other), about.stream(base)
        for first, last in holes(half.outbox.get(destination, {}), half.given.get(destination, Given()), mark):
            told = f"{base} has given {other} numbers {first} to {last}, which are neither credited nor in its outbox."
            self._found("outbox_hole", told, *tags)
        given = self._after.given[source].get(destination, Given())
        if (reached := passed(mark, given.epochs)) > given.seq:
            told = f"{other} has credited up to number {reached} of {base}, which has given up to {given.seq}."
            self._found("mark_ahead", told, *tags)

    def _check_parked(self, source: int, destination: int) -> None:
        outbox = self._halves[source].outbox.get(destination, {})
        mark = self._halves[destination].marks.get(source, Mark())
        for seq, raw in self._halves[destination].parked.get(source, {}).items():
            blob = outbox.get(seq)
            if blob is not None and waits(blob, mark) and blob.raw != raw:
                base, other = self._bases[source], self._bases[destination]
                told = f"{other} has another number {seq} of {base} than its outbox."
                self._found("parked_differs", told, about.pair(base, other))

    def take_under_way(self, books: Books) -> None:
        """Debits whose credit is still to come."""
        for source, destination in pairs(self._halves):
            mark = self._halves[destination].marks.get(source, Mark())
            for blob in self._halves[source].outbox.get(destination, {}).values():
                if waits(blob, mark):
                    self._take(books, source, destination, blob)

    def _take(self, books: Books, source: int, destination: int, blob: Blob) -> None:
        base = self._bases[source]
        pair = about.pair(base, self._bases[destination])
        for gift in blob.gifts:
            name = books.known.name(base, gift.key)
            debit = books.debits.pop(name, None)
            tags = about.gift(base, gift.key), pair
            if debit is None:
                credited = books.known.is_entered(name, CREDITED)
                told = f"Gift {gift.key.hex()} of {gift.user} is under way to {gift.room} as number {blob.seq}"
                if credited:
                    self._found("mark_behind", f"{told}, and credited already.", *tags)
                else:
                    self._found("outbox_without_debit", f"{told}, and was never debited.", *tags)
                continue
            books.known.first(name, CREDITED)  # nothing more is asked of it
            self.crossed.gifts += 1
            self.crossed.under_way += gift.coins
            paid = debit.user, debit.room, debit.host, debit.coins
            if paid != gift[1:]:
                told = f"Gift {gift.key.hex()}: debit {paid}, under way {gift[1:]}."
                self._found("outbox_differs", told, *tags, shakes=about.payer(base, debit.user))

    async def enter(self, books: Books, later: AsyncIterator[tuple[str, Entry]]) -> None:
        """What was entered after the cuts. Where nothing is open, it is not read."""
        if not (books.debits or books.credits or books.reversals.clawed):
            return
        async for base, entry in later:
            match entry:
                case Debit() if books.meet(base, entry):
                    self.crossed.between -= entry.coins
                case Credit() if books.meet(base, entry):
                    self.crossed.between += entry.coins
                case GiftReversal():
                    books.reversals.later(entry)
                case _:
                    pass

    def close(self, books: Books) -> None:
        """All is entered and closed. The sums follow where nothing is wrong with any gift."""
        fences = books.fences
        fences.close(self._findings)
        crossed = self.crossed
        crossed.debited = books.balances.sent.total()
        crossed.credited = books.roomless + sum(room.coins for room in books.rooms.values())
        crossed.fenced, crossed.fenced_gifts, crossed.fenced_diamonds = fences.coins, fences.gifts, fences.diamonds
        crossed.fences = [one.sentence() for one in fences.noted]
        if crossed.open and not self._findings.problems:
            told = f"{crossed.debited} coins debited and {crossed.credited} credited: {crossed.open} are nowhere."
            self._found("conservation_broken", told, about.CONSERVATION)

    def _found(self, name: str, sentence: str, *tags: str, **shakes: Any) -> None:
        self._findings.found(name, sentence, *tags, **shakes)
