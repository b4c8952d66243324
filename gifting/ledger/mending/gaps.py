"""Numbers that a source gave to a destination, and that are neither credited nor in its outbox; and whose gifts those
are. Pure.

A call of ``debit`` enters its gifts as one item of the source's ledger, and gives each destination among them its next
number. So items that have gifts for a destination, counted back from the last number that it was given, have their
numbers. That this is true of a ledger is held against what else is known: what the outbox still has, and the *footing*,
the last number that the destination has credited.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gifting.errors import Unmendable
from gifting.ledger.audit.pairs import Blob, Epoch, Epochs, Given, Half, Mark, holes, pairs, passed
from gifting.ledger.entries import Debit

UNKNOWN: Final = Epoch(1, 0)
"""Stands for what was numbered before all epochs that are known: earlier than any of them, as these are times in ms."""


@dataclass(slots=True)
class Gap:
    """All that is missing between a source and a destination. ``found`` has the debits of the footing and of what is
    behind it, by number, up to the ``last`` one that is missing.
    """

    source: int
    destination: int
    given: Given
    mark: Mark
    fenced: bool
    """Whether credits of this source may be there whose debit is lost, and whose keys may so have been given again."""
    outbox: Mapping[int, Blob]
    missing: Sequence[tuple[int, int]]
    found: dict[int, list[Debit]] = field(default_factory=dict)

    @property
    def footing(self) -> int:
        """The last number that is credited; 0: none is."""
        return passed(self.mark, self.given.epochs)

    @property
    def last(self) -> int:
        return self.missing[-1][1]

    def numbers(self) -> Iterable[int]:
        """Those that are missing."""
        return (number for first, last in self.missing for number in range(first, last + 1))

    def gifts(self) -> list[Debit]:
        """Those that are missing, in order."""
        return [debit for number in self.numbers() for debit in self.found[number]]

    def epochs(self, number: int) -> Epochs:
        """In which histories a number was given, as ``lua/include/epochs.lua`` has it.

        ``line`` may have forgotten epochs that the mark still knows. One that began where a later one did, or above, is
        no part of this history.
        """
        since = self.given.epochs[0]
        older = [one for one in self.mark.epochs if one.epoch < since.epoch and one.base < since.base]
        return tuple(one for one in (*older, *self.given.epochs) if one.base < number) or (UNKNOWN,)


def find_gaps(halves: Sequence[Half], destinations: Sequence[Half]) -> list[Gap]:
    """Those of all pairs, by partitions as they are as sources, and then as destinations."""
    found = []
    for source, destination in pairs(halves):
        half, other = halves[source], destinations[destination]
        given, mark = half.given.get(destination, Given()), other.marks.get(source, Mark())
        outbox = half.outbox.get(destination, {})
        if missing := holes(outbox, given, mark):
            fenced = passed(mark, given.epochs) < mark.seq or any(fence.source == source for fence in other.fences)
            found.append(Gap(source, destination, given, mark, fenced, outbox, missing))
    return found


class Count:
    """Gives the debits of a gap their numbers, :meth:`take` by :meth:`take`, the newest item first.

    ``done``: the footing was found; where there is none, the ledger has to be read to its beginning.
    """

    def __init__(self, gap: Gap) -> None:
        self._gap = gap
        self._next = gap.given.seq
        self.done = False

    def take(self, debits: list[Debit]) -> None:
        """All debits of an item for this destination. Raises Unmendable: they are not what the outbox has, or have no
        number.
        """
        gap, number = self._gap, self._next
        self._next -= 1
        if number < 1:
            raise Unmendable(f"{_gift(debits[0])} was debited before number 1.")
        blob = gap.outbox.get(number)
        if blob is not None and [gift.key for gift in blob.gifts] != [debit.key for debit in debits]:
            raise Unmendable(f"{_gift(debits[0])} is not what the outbox has as number {number}.")
        if gap.footing <= number <= gap.last:
            gap.found[number] = debits
        self.done = 0 < number <= gap.footing

    def close(self) -> None:
        """The ledger is read to its beginning. Raises Unmendable: it lacks some."""
        if not self.done and self._next > 0:
            raise Unmendable(f"The ledger has no more gifts than those from number {self._next + 1} on.")


class Proof:
    """That of gaps of one destination just those are credited that are at the footing. ``credited`` are keys of gifts
    that its ledger has credited, of the sources by their numbers.

    ``since`` and ``footed_since``: ms, when the oldest gift was debited that is missing, or is at a footing.
    """

    def __init__(self, gaps: Sequence[Gap]) -> None:
        self._gaps = gaps
        self._missing = {(gap.source, debit.key): gap for gap in gaps for debit in gap.gifts()}
        feet = [(gap.source, debit) for gap in gaps if gap.footing for debit in gap.found[gap.footing]]
        self._footed = {(source, debit.key) for source, debit in feet}
        self.since = min(debit.ts for gap in gaps for debit in gap.gifts())
        self.footed_since = min([debit.ts for _, debit in feet], default=self.since)

    def take(self, source: int, key: bytes) -> None:
        """A credit. Raises Unmendable: it is of what is missing, and no fence explains that."""
        self._footed.discard((source, key))
        gap = self._missing.get((source, key))
        if gap is not None and not gap.fenced:
            raise Unmendable(f"Gift {key.hex()} is credited already.")

    def needs(self, at: int) -> bool:
        """Whether what was entered at ``at`` (ms), or before, matters."""
        return at >= self.since or bool(self._footed and at >= self.footed_since)

    def close(self) -> None:
        """Raises Unmendable: what should be is not credited."""
        for source, key in self._footed:
            raise Unmendable(f"Gift {key.hex()} of partition {source} is before what is missing, and not credited.")


def _gift(debit: Debit) -> str:
    return f"Gift {debit.key.hex()} of {debit.user}"
