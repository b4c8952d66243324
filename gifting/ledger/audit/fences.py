"""Credits without a debit that are known as such: their source came back without them, and the destination has said so.

What a blob had that is fenced is not known, so its credits are recognised by their pair and by when it was noted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import inf
from typing import Final, NamedTuple

from gifting.ledger.audit import about
from gifting.ledger.audit.pairs import Fence, Half, Mark, passed, waits
from gifting.ledger.audit.report import Findings
from gifting.ledger.entries import Credit
from gifting.ledger.keys import Keys

SKEW: Final = 1000
"""Ms by which the clocks of a cluster's nodes may differ."""

Pair = tuple[str, str]
"""The partitions of who sent and of who got it."""


class Noted(NamedTuple):
    """A fence, and the partition that has noted it; ``at`` is infinite where the blob that brings it is on its way."""

    destination: str
    source: str
    first: int
    last: int
    at: float

    def sentence(self) -> str:
        when = "to be noted with the next" if self.at == inf else f"noted at {int(self.at)}"
        return f"{self.destination} has credited numbers {self.first} to {self.last} of {self.source}, {when}"


class Fences:
    """What is fenced in the books, and what of their credits is explained by it."""

    def __init__(self, keys: Keys, noted: Sequence[Noted] = ()) -> None:
        self._keys = keys
        self.noted = list(noted)
        self._until: dict[Pair, float] = {}
        self._found = Counter[Pair]()
        self.gifts = self.coins = self.diamonds = 0
        for one in noted:
            pair = one.source, one.destination
            self._until[pair] = max(self._until.get(pair, 0), one.at)

    def take(self, credit: Credit) -> bool:
        """Whether a credit, of which there is no debit, is fenced; it is counted then."""
        pair = self._keys.base(credit.user), self._keys.base(credit.host)
        if credit.ts > self._until.get(pair, -inf) + SKEW:
            return False
        self._found[pair] += 1
        self.gifts += 1
        self.coins += credit.coins
        self.diamonds += credit.diamonds
        return True

    def close(self, findings: Findings) -> None:
        """Each number had a gift at least."""
        for pair in self._until:
            numbers = sum(one.last - one.first + 1 for one in self.noted if (one.source, one.destination) == pair)
            if numbers > self._found[pair]:
                source, destination = pair
                told = f"{destination} has fenced {numbers} numbers of {source}, and {self._found[pair]} such credits."
                findings.found("fence_differs", told, about.pair(source, destination))


def read_fences(keys: Keys, halves: Sequence[Half], noted: Sequence[Sequence[Fence]]) -> Fences:
    """Those that destinations have ``noted``, by partition, and those that blobs in ``halves`` will bring."""
    found = []
    for base, half, fences in zip(keys.bases, halves, noted, strict=True):
        for one in fences:
            found.append(Noted(base, keys.bases[one.source], one.first, one.last, one.at))
        known = {(one.source, one.last) for one in fences}
        for source, mark in half.marks.items():
            floor = _due(halves[source], keys.bases.index(base), mark)
            if floor < mark.seq and (source, mark.seq) not in known:
                found.append(Noted(base, keys.bases[source], floor + 1, mark.seq, inf))
    return Fences(keys, found)


def _due(source: Half, destination: int, mark: Mark) -> int:
    """Where the mark will be set back to by what is on its way."""
    blobs = source.outbox.get(destination, {}).values()
    return min([mark.seq, *(passed(mark, blob.epochs) for blob in blobs if waits(blob, mark))])
