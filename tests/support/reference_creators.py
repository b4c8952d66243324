"""Money out, specified: what creators have earned and when, what reversed gifts take of it, and what is paid out.

In milli-diamonds, and in arithmetic of its own: fractions, and days one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from gifting.model.payouts import Kind, State

KNOWN_DAYS = 400
"""Days, today among them, of which it is known what was earned."""

AHEAD = 400
"""Days to come of which that is known, too, where a clock has gone back."""


class Terms(NamedTuple):
    """Of a tier. Days of earning count."""

    hold: int
    reserve: int = 0
    share: Fraction = Fraction(0)


class Parts(NamedTuple):
    pending: int
    reserved: int
    available: int


@dataclass
class Earner:
    """One creator. ``kept_back`` is the share of each gift that the platform keeps."""

    balance: int = 0
    debt: int = 0
    days: Counter[int] = field(default_factory=Counter)
    kept_back: Fraction = Fraction(0)
    remainders: dict[int, Fraction] = field(default_factory=dict)
    earned: int = 0
    taken: int = 0
    paid: int = 0

    def earn(self, coins: int, per_coin: Fraction, day: int) -> int:
        """What is less than one remains for the next gift by a rate of that denominator."""
        rate = per_coin * (1 - self.kept_back)
        exact = coins * rate + self.remainders.get(rate.denominator, 0)
        diamonds = floor(exact)
        self.remainders[rate.denominator] = exact - diamonds
        self.balance += diamonds
        self.earned += diamonds
        self.days[day] += diamonds
        return diamonds

    def claw_back(self, diamonds: int, day: int, today: int) -> tuple[int, int]:
        """One after the other: of the gift's day, then of the newest. Returns what was there, and what is owed."""
        here = min(diamonds, self.balance)
        left = here
        known = range(today - KNOWN_DAYS + 1, today + 1)
        for one in [day, *reversed(known)]:
            part = min(left, self.days[one]) if one in known else 0
            self.days[one] -= part
            left -= part
        self.balance -= here
        self.taken += here
        self.debt += diamonds - here
        return here, diamonds - here

    def settle(self) -> int:
        settled = min(self.debt, self.balance)
        self.balance -= settled
        self.debt -= settled
        self.taken += settled
        return settled

    def parts(self, terms: Terms, today: int) -> Parts:
        """What was earned in the hold, or later than today, is pending; of what was before, a share is reserved."""
        held = sum(n for day, n in self.days.items() if today - terms.hold < day <= today + AHEAD)
        pending = min(held, self.balance)
        older = sum(n for day, n in self.days.items() if today - terms.reserve < day <= today - terms.hold)
        reserved = min(ceil(older * terms.share), self.balance - pending)
        return Parts(pending, reserved, max(self.balance - pending - reserved - self.debt, 0))

    def pay(self, diamonds: int) -> None:
        self.balance -= diamonds
        self.paid += diamonds

    @property
    def adds_up(self) -> bool:
        """All that was ever earned is here, was taken back, or is paid out."""
        return self.earned == self.balance + self.taken + self.paid and self.balance >= 0 <= self.debt


@dataclass
class Asked:
    """A payout as the set of what was said of it."""

    host: str
    diamonds: int
    review: bool
    decided: str = ""
    """``approved`` or ``rejected``."""
    sending: bool = False
    said: set[Kind] = field(default_factory=set)
    back: bool = False

    @property
    def state(self) -> State:
        if self.came_back:
            return State.RETURNED if self.said & {Kind.PAID, Kind.RETURNED} else State.FAILED
        if Kind.PAID in self.said:
            return State.PAID
        if self.sending:
            return State.PROCESSING
        return State.REVIEW if self.review and not self.decided else State.REQUESTED

    @property
    def came_back(self) -> bool:
        return self.decided == "rejected" or bool(self.said & {Kind.FAILED, Kind.RETURNED})


class Office:
    """All creators, and all payouts by id."""

    def __init__(self, per_coin: Fraction) -> None:
        self.per_coin = per_coin
        self.earners: dict[str, Earner] = {}
        self.payouts: dict[str, Asked] = {}

    def earner(self, host: str) -> Earner:
        return self.earners.setdefault(host, Earner())

    def request(self, name: str, asked: Asked, terms: Terms, today: int) -> bool:
        """Whether so much is available; once by each name."""
        if name not in self.payouts:
            earner = self.earner(asked.host)
            if earner.parts(terms, today).available < asked.diamonds:
                return False
            earner.pay(asked.diamonds)
            self.payouts[name] = asked
        return True

    def decide(self, name: str, how: str) -> bool:
        """Whether that is how it was decided."""
        asked = self.payouts[name]
        if asked.decided or asked.state not in (State.REQUESTED, State.REVIEW):
            return asked.decided == how
        asked.decided = how
        self._follow(asked)
        return True

    def send(self, name: str) -> None:
        asked = self.payouts[name]
        asked.sending = asked.sending or asked.state is State.REQUESTED

    def say(self, name: str, kind: Kind) -> bool:
        """Whether it can be: nothing is said of what was never sent."""
        asked = self.payouts[name]
        if asked.sending:
            asked.said.add(kind)
            self._follow(asked)
        return asked.sending

    def _follow(self, asked: Asked) -> None:
        """What came back is the creator's again, once."""
        if asked.came_back and not asked.back:
            asked.back = True
            self.earner(asked.host).pay(-asked.diamonds)

    def add_up(self) -> bool:
        return all(earner.adds_up for earner in self.earners.values()) and self.out() == {
            host: earner.paid for host, earner in self.earners.items()
        }

    def out(self) -> dict[str, int]:
        """What payouts have that did not come back."""
        return {host: sum(_kept(host, self.payouts.values())) for host in self.earners}


def _kept(host: str, payouts: Iterable[Asked]) -> Iterable[int]:
    return (one.diamonds for one in payouts if one.host == host and not one.back)
