"""Which paid coins of whom are of which purchase, as the ledger's entries say: ``model/lots.py`` without its orders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gifting.ledger.entries import Purchase, Reversal


@dataclass(slots=True)
class _Lot:
    """``before``: the paid coins issued to its user before it; ``kept``: those of its own that were not taken back."""

    before: int
    kept: int


class Lots:
    """By user and order."""

    def __init__(self) -> None:
        self._lots: dict[str, dict[str, _Lot]] = {}

    def issue(self, entry: Purchase, before: int) -> None:
        self._lots.setdefault(entry.user, {})[entry.order] = _Lot(before, entry.paid)

    def take_back(self, entry: Reversal) -> None:
        """Or give back. What became debt is of the lot as well, as far as it goes."""
        if lot := self._lots.get(entry.user, {}).get(entry.order):
            lot.kept = max(lot.kept - taken_of_lot(entry), 0)

    def users(self) -> Iterable[str]:
        return self._lots

    def keep(self, name: str, kept: int) -> None:
        """One of :meth:`kept`."""
        user, before, order = name.rsplit("\n", 2)
        self._lots.setdefault(user, {})[order] = _Lot(int(before), kept)

    def kept(self) -> Iterator[tuple[str, int]]:
        """``user\\nbefore\\norder`` → the coins of each lot that were not taken back, spent or not."""
        for user, lots in self._lots.items():
            yield from ((f"{user}\n{lot.before}\n{order}", lot.kept) for order, lot in lots.items())

    def unspent(self, paid: Mapping[str, int]) -> Iterator[tuple[str, int]]:
        """``user\\norder`` → the coins of each lot that are not spent, of users who have so many paid coins."""
        for user, lots in self._lots.items():
            left = paid[user]
            for order, lot in sorted(lots.items(), key=lambda item: -item[1].before):
                here = max(min(left, lot.kept), 0)
                left -= here
                yield f"{user}\n{order}", here


def taken_of_lot(entry: Reversal) -> int:
    """The paid coins of its order that a reversal took back (below 0: gave back); by guess, of older versions."""
    if entry.currency:
        return entry.lot
    return entry.paid + entry.debt if entry.paid >= 0 else entry.paid
