"""Money in, specified: what orders do to their users' coins, as plain Python over sets of what was said.

An order is the set of what providers have said of it, so that neither order nor repetition can matter; all else is read
off that set. The tests hold the ledger to this, change by change.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

from gifting.model.effects import Effect, Kind


@dataclass
class Purse:
    """What one user has: bonus coins are among the coins, and go first; what can't be taken back is debt."""

    coins: int = 0
    bonus: int = 0
    debt: int = 0
    purchased: int = 0
    sent: int = 0

    @property
    def paid(self) -> int:
        return self.coins - self.bonus

    def put_in(self, paid: int, bonus: int) -> None:
        """One coin after the other, bonus coins first, each settling debt while there is some."""
        for is_bonus in [True] * bonus + [False] * paid:
            if self.debt:
                self.debt -= 1
            else:
                self.coins += 1
                self.bonus += is_bonus

    def take_out(self, paid: int, bonus: int) -> None:
        """One coin after the other: bonus coins of bonus, as long as there are some, all else of paid ones."""
        for is_bonus in [True] * bonus + [False] * paid:
            if is_bonus and self.bonus:
                self.bonus -= 1
                self.coins -= 1
            elif self.paid:
                self.coins -= 1
            else:
                self.debt += 1

    def spend(self, coins: int) -> None:
        self.coins -= coins
        self.bonus = max(self.bonus - coins, 0)
        self.sent += coins

    def unspend(self, coins: int, kept: int) -> tuple[int, int, int]:
        """A gift comes back to who has bought ``kept`` coins that were not taken back: as paid ones while there are
        fewer of these, else as bonus coins. Returns how many of both, and how many of them settled debt.
        """
        paid = 0
        while paid < coins and self.paid + paid < kept:
            paid += 1
        owed = self.debt
        self.put_in(paid, coins - paid)
        return paid, coins - paid, owed - self.debt


@dataclass
class Withdrawn:
    coins: int
    bonus: int
    amount: int
    ended: str = ""
    """``done`` or ``failed``."""


@dataclass
class Bought:
    """One order: what it is for, and all that was said of it."""

    user: str
    price: int
    coins: int
    bonus: int
    said: set[Effect] = field(default_factory=set)
    withdrawn: dict[str, Withdrawn] = field(default_factory=dict)
    out: tuple[int, int] = (0, 0)
    """Paid and bonus coins that are taken back."""
    returned: int = 0
    """The money that went back with them."""
    place: int = -1
    """Its place among the orders of its user that were issued."""

    def times(self, what: str, kind: Kind) -> int:
        """When something was said of an object, at last; 0 for never."""
        return max((one.at for one in self.said if (one.object, one.kind) == (what, kind)), default=0)

    def objects(self, *kinds: Kind) -> set[str]:
        return {one.object for one in self.said if one.kind in kinds}

    def amount(self, what: str, kinds: set[Kind]) -> int:
        named = [one.amount or self.price for one in self.said if one.object == what and one.kind in kinds]
        return min(max(named, default=0), self.price)

    @property
    def payments(self) -> int:
        return len(self.objects(Kind.PAID))

    def refunds(self) -> dict[str, tuple[int, str]]:
        """Those that count: their amounts, and the withdrawals that they carry out."""
        return {
            what: (self.amount(what, {Kind.REFUNDED}), self.withdrawal_of(what))
            for what in self.objects(Kind.REFUNDED)
            if self.times(what, Kind.REFUNDED) > self.times(what, Kind.REFUND_FAILED)
        }

    def withdrawal_of(self, what: str) -> str:
        return max((one.withdrawal for one in self.said if one.object == what), default="")

    def lost(self) -> int:
        kinds = {Kind.DISPUTED, Kind.DISPUTE_LOST}
        return sum(
            self.amount(what, kinds)
            for what in self.objects(*kinds)
            if self.times(what, Kind.DISPUTE_LOST) > self.times(what, Kind.DISPUTE_WON)
        )

    def in_dispute(self) -> bool:
        decided = self.objects(Kind.DISPUTE_WON, Kind.DISPUTE_LOST)
        return bool(self.payments and self.objects(Kind.DISPUTED) - decided)

    def suspicious(self) -> bool:
        """Warned of and not cleared since, while there is money to lose."""
        warned = max((one.at for one in self.said if one.kind == Kind.FRAUD_WARNING), default=0)
        cleared = max((one.at for one in self.said if one.kind == Kind.WARNING_CLEARED), default=0)
        safe = self.in_dispute() or self.lost() or self.gone_back() >= self.price
        return bool(self.payments and warned > cleared and not safe)

    def gone_back(self) -> int:
        """Money, to the buyer, by refunds; of what was paid once."""
        refunds = self.refunds()
        named = sum(amount for amount, name in refunds.values() if name in self.withdrawn)
        others = sum(amount for amount, name in refunds.values() if name not in self.withdrawn)
        told_of = {self.withdrawal_of(what) for what in self.objects(Kind.REFUNDED, Kind.REFUND_FAILED)}
        done = sum(one.amount for name, one in self.withdrawn.items() if one.ended == "done" and name not in told_of)
        return within(named + max(others, done) - self.price * (self.payments - 1), self.price)

    def due_back(self) -> tuple[int, int, int]:
        """Paid and bonus coins that must be out, and the money that is said to have gone back for them."""
        if not self.payments:
            return 0, 0, 0
        refunds = self.refunds()
        told_of = {self.withdrawal_of(what) for what in self.objects(Kind.REFUNDED, Kind.REFUND_FAILED)}
        counting = {name for _, name in refunds.values()}
        taken = {
            name: one
            for name, one in self.withdrawn.items()
            if (name in counting if name in told_of else one.ended != "failed")
        }
        money = sum(amount for amount, name in refunds.values() if name not in self.withdrawn)
        money -= sum(one.amount for name, one in taken.items() if name not in told_of)
        money -= self.price * (self.payments - 1)
        money = within(max(money, 0) + self.lost(), self.price)
        before = sum(one.amount for one in taken.values())
        paid = floor(self.coins * Fraction(money, self.price)) + sum(one.coins for one in taken.values())
        bonus = floor(self.bonus * Fraction(within(before + money, self.price), self.price))
        bonus -= floor(self.bonus * Fraction(before, self.price))
        bonus = max(bonus, 0) + sum(one.bonus for one in taken.values())
        return min(paid, self.coins), min(bonus, self.bonus), min(before + money, self.price)


def within(value: int, most: int) -> int:
    return min(max(value, 0), most)


class Shop:
    """All orders, and the purses of their users."""

    def __init__(self) -> None:
        self.purses: dict[str, Purse] = {}
        self.orders: dict[str, Bought] = {}

    def purse(self, user: str) -> Purse:
        return self.purses.setdefault(user, Purse())

    def of(self, user: str) -> Iterable[Bought]:
        return [order for order in self.orders.values() if order.user == user]

    def say(self, effect: Effect) -> None:
        order = self.orders[effect.order]
        order.said.add(effect)
        self._follow(order)

    def _follow(self, order: Bought) -> None:
        purse = self.purse(order.user)
        if order.payments and order.place < 0:
            order.place = sum(1 for one in self.of(order.user) if one.place >= 0)
            purse.put_in(order.coins, order.bonus)
            purse.purchased += order.coins
        *due, order.returned = order.due_back()
        paid, bonus = due[0] - order.out[0], due[1] - order.out[1]
        order.out = due[0], due[1]
        purse.take_out(max(paid, 0), max(bonus, 0))
        purse.put_in(max(-paid, 0), max(-bonus, 0))

    def kept(self, user: str) -> int:
        """Paid coins that were issued and not taken back."""
        return sum(one.coins - one.out[0] for one in self.of(user) if one.place >= 0)

    def frozen(self, user: str) -> int:
        """1 debt, 2 warning, 4 dispute."""
        debt = self.purse(user).debt > 0
        warned = any(order.suspicious() for order in self.of(user))
        return debt + 2 * warned + 4 * any(order.in_dispute() for order in self.of(user))

    def left(self, order: Bought) -> int:
        """The paid coins of an order that are not spent: what its user has beyond what came later."""
        later = sum(one.coins - one.out[0] for one in self.of(order.user) if one.place > order.place)
        return within(self.purse(order.user).paid - later, order.coins - order.out[0]) if order.place >= 0 else 0

    def withdraw(self, order: Bought, name: str) -> Withdrawn | None:
        """None if nothing can be given back."""
        if name in order.withdrawn:
            return order.withdrawn[name]
        coins, waiting = self.left(order), sum(one.amount for one in order.withdrawn.values() if not one.ended)
        whole = floor(order.price * Fraction(order.out[0] + coins, order.coins))
        amount = max(whole - order.gone_back() - waiting, 0)
        if order.in_dispute() or order.lost() or order.suspicious() or not coins or not amount:
            return None
        share = floor(order.bonus * Fraction(order.out[0] + coins, order.coins)) - order.out[1]
        bonus = within(share, self.purse(order.user).bonus)
        order.withdrawn[name] = Withdrawn(coins, bonus, amount)
        self._follow(order)
        return order.withdrawn[name]

    def end_withdrawal(self, order: Bought, name: str, ended: str) -> None:
        one = order.withdrawn[name]
        one.ended = one.ended or ended
        self._follow(order)
