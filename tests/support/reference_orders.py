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
    known: frozenset[str] = frozenset()
    """Refunds without its name that were told of before."""
    asked: bool = False
    """By an operator: it takes what a refund by the provider would."""
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

    def others(self) -> dict[str, int]:
        """Refunds that count and carry out no withdrawal by name."""
        return {what: amount for what, (amount, name) in self.refunds().items() if name not in self.withdrawn}

    def told_of(self) -> set[str]:
        return {self.withdrawal_of(what) for what in self.objects(Kind.REFUNDED, Kind.REFUND_FAILED)}

    def beside(self) -> list[int]:
        """Money of :meth:`others`, by how many withdrawals were made before it was told of, without what is believed
        to carry one of them out: the last withdrawal first, by the refund that was told of soonest after it.
        """
        made = list(self.withdrawn.items())
        left = [0] * (len(made) + 1)
        for what, amount in self.others().items():
            left[sum(1 for _, one in made if what not in one.known)] += amount
        for place, (name, one) in reversed(list(enumerate(made))):
            if name not in self.told_of() and one.ended != "failed":
                for _ in range(one.amount):
                    if later := next((at for at in range(place + 1, len(left)) if left[at]), 0):
                        left[later] -= 1
        return left

    def gone_back(self) -> int:
        """Money, to the buyer, by refunds; of what was paid once."""
        refunds = self.refunds()
        named = sum(amount for amount, name in refunds.values() if name in self.withdrawn)
        unnamed = [one for name, one in self.withdrawn.items() if name not in self.told_of()]
        done = sum(one.amount for one in unnamed if one.ended == "done")
        others = max(sum(self.others().values()), done + sum(self.beside()))
        return within(named + others - self.price * (self.payments - 1), self.price)

    def counts(self, name: str) -> bool:
        """Whether a withdrawal has not come to nothing."""
        if name in self.told_of():
            return name in {named for _, named in self.refunds().values()}
        return self.withdrawn[name].ended != "failed"

    def due_back(self) -> tuple[int, int, int]:
        """Paid and bonus coins that must be out, and the money that is said to have gone back for them."""
        if not self.payments:
            return 0, 0, 0
        beside, twice = self.beside(), self.price * (self.payments - 1)
        while twice and any(beside):
            beside[max(at for at, money in enumerate(beside) if money)] -= 1
            twice -= 1
        gone, paid, bonus, refunded = 0, 0, 0, 0
        for money, (name, one) in zip(beside, self.withdrawn.items(), strict=False):
            refunded += money
            bonus += self.bonus_of(gone + money) - self.bonus_of(gone)
            gone += money
            if self.counts(name):
                share = self.bonus_of(gone + one.amount) - self.bonus_of(gone)
                paid, bonus = paid + one.coins * (not one.asked), bonus + (share if one.asked else one.bonus)
                refunded += one.amount * one.asked
                gone += one.amount
        last = within(beside[-1] + self.lost(), self.price)
        bonus += self.bonus_of(gone + last) - self.bonus_of(gone)
        refunded = min(refunded + beside[-1] + self.lost(), self.price)
        paid += floor(self.coins * Fraction(refunded, self.price))
        return min(paid, self.coins), min(bonus, self.bonus), min(gone + last, self.price)

    def bonus_of(self, money: int) -> int:
        """The bonus coins of so much of the price."""
        return floor(self.bonus * Fraction(within(money, self.price), self.price))


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
        coins, promised = self.left(order), max(order.due_back()[2], order.gone_back())
        whole = floor(order.price * Fraction(order.out[0] + coins, order.coins))
        amount = max(whole - promised, 0)
        if order.in_dispute() or order.lost() or order.suspicious() or not coins or not amount:
            return None
        share = floor(order.bonus * Fraction(order.out[0] + coins, order.coins)) - order.out[1]
        bonus = within(share, self.purse(order.user).bonus)
        order.withdrawn[name] = Withdrawn(coins, bonus, amount, frozenset(self.unnamed(order)))
        self._follow(order)
        return order.withdrawn[name]

    def unnamed(self, order: Bought) -> set[str]:
        told = order.objects(Kind.REFUNDED, Kind.REFUND_FAILED)
        return {what for what in told if order.withdrawal_of(what) not in order.withdrawn}

    def refund(self, order: Bought, name: str, amount: int) -> bool:
        """An operator's, of ``amount`` (0: all that is left); whether it may be."""
        left = order.price - max(order.due_back()[2], order.gone_back())
        money = amount or left
        if not order.payments or order.in_dispute() or order.lost() or not 0 < money <= left:
            return False
        if order.gone_back() >= order.price:
            return False
        order.withdrawn[name] = Withdrawn(0, 0, money, frozenset(self.unnamed(order)), asked=True)
        self._follow(order)
        return True

    def end_withdrawal(self, order: Bought, name: str, ended: str) -> None:
        one = order.withdrawn[name]
        one.ended = one.ended or ended
        self._follow(order)
