"""What a user's coins are worth as the ledger goes by: which lots they are of, and what money is deferred for them.

Bonus coins go first and carry no money; paid coins are spent oldest first. As in :mod:`gifting.model.lots` nothing is
kept of what was spent: the paid coins that a user has are of the newest lots, as far as these were not taken back. So
coins of a gift that are given back are of the newest lot of which some were spent.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from gifting.model.orders import part


@dataclass(slots=True)
class Lot:
    """The paid coins of one order: ``taken`` were taken back, with the money ``back``, and ``left`` are not spent.

    ``issued`` is in ms since 1970.
    """

    order: str
    provider: str
    currency: str
    price: int
    coins: int
    issued: int = 0
    taken: int = 0
    back: int = 0
    left: int = 0

    @property
    def kept(self) -> int:
        return max(self.coins - self.taken, 0)

    @property
    def deferred(self) -> int:
        """The money for which nothing was given yet: rounded down, and never more than what was kept of it."""
        return max(min(part(self.price, self.left, self.coins), self.price - self.back), 0)


@dataclass(slots=True)
class Change:
    """What one entry did to a lot: ``released`` is what is no longer deferred; below 0 what is again."""

    lot: Lot
    released: int


@dataclass(slots=True)
class Purse:
    """What one user has. Each method returns what it did to lots; ``paid`` and ``bonus`` are coins there, not spent."""

    paid: int = 0
    bonus: int = 0
    debt: int = 0
    lots: list[Lot] = field(default_factory=list)
    _oldest: int = 0

    def grant(self, coins: int) -> None:
        self._put_in(0, coins)

    def buy(self, lot: Lot, bonus: int) -> list[Change]:
        """The whole price is deferred first; what settles debt is released at once."""
        self.lots.append(lot)
        lot.left = lot.coins
        owed, before = self.debt, {len(self.lots) - 1: lot.deferred}
        self._put_in(lot.coins, bonus)
        return self._spread(before) if owed else []  # else no other lot changes: however many there are

    def spend(self, coins: int) -> list[Change]:
        of_bonus = min(self.bonus, coins)
        self.bonus -= of_bonus
        coins -= of_bonus
        self.paid -= coins
        changes = []
        while coins > 0 and self._oldest < len(self.lots):
            lot = self.lots[self._oldest]
            here = min(coins, lot.left)
            if here:
                before, lot.left = lot.deferred, lot.left - here
                changes.append(Change(lot, before - lot.deferred))
                coins -= here
            if not lot.left:
                self._oldest += 1
        return changes

    def take_back(self, lot: Lot | None, paid: int, bonus: int, debt: int, of_lot: int, money: int) -> list[Change]:
        """Coins that were there or became debt; below 0 they are given back. ``of_lot`` of all were the lot's."""
        before = self._deferred()
        self.paid, self.bonus, self.debt = self.paid - paid, self.bonus - bonus, self.debt + debt
        if lot is not None:
            lot.taken, lot.back = lot.taken + of_lot, lot.back + money
        return self._spread(before)

    def give_back(self, paid: int, bonus: int) -> list[Change]:
        """Coins of a gift; bonus coins settle debt first."""
        before = self._deferred()
        self._put_in(paid, bonus)
        return self._spread(before)

    def lot(self, order: str) -> Lot | None:
        return next((lot for lot in self.lots if lot.order == order), None)

    def unspent_since(self, before: int) -> tuple[int, Counter[str]]:
        """Of lots issued before a time (ms): the paid coins that are not spent, and the money deferred for them."""
        old = [lot for lot in self.lots if lot.issued < before]
        money: Counter[str] = Counter()
        for lot in old:
            money[lot.currency] += lot.deferred
        return sum(lot.left for lot in old), money

    def _put_in(self, paid: int, bonus: int) -> None:
        settled = min(self.debt, paid + bonus)
        self.debt -= settled
        of_bonus = max(bonus - settled, 0)
        self.bonus += of_bonus
        self.paid += paid + bonus - settled - of_bonus

    def _deferred(self) -> dict[int, int]:
        return {place: lot.deferred for place, lot in enumerate(self.lots)}

    def _spread(self, before: dict[int, int]) -> list[Change]:
        paid = self.paid
        for place in reversed(range(len(self.lots))):
            lot = self.lots[place]
            before.setdefault(place, lot.deferred)
            lot.left = min(max(paid, 0), lot.kept)
            paid -= lot.left
        self._oldest = next((place for place, lot in enumerate(self.lots) if lot.left), len(self.lots))
        changes = [Change(self.lots[place], was - self.lots[place].deferred) for place, was in before.items()]
        return [change for change in changes if change.released]
