"""What the ledger tells of orders: coins issued, taken back and given back, their money, and the debt that this left or
settled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from gifting.ledger.audit import about
from gifting.ledger.audit.balances import Balances
from gifting.ledger.audit.known_keys import PURCHASED, REVERSED, KnownKeys
from gifting.ledger.audit.report import Findings
from gifting.ledger.entries import Purchase, Reversal


class Price(NamedTuple):
    """What was paid for an order, in minor units; of entries of older versions nothing is known."""

    amount: int
    currency: str
    provider: str


class Issue(NamedTuple):
    """What was issued for an order: coins, and the paid coins that its user had been issued before."""

    paid: int
    bonus: int
    before: int
    price: Price | None


class Reversed(NamedTuple):
    """What went back for an order: coins, debt included; those of them that were paid for (None where an entry of an
    older version does not tell); and money, in the currencies that entries named.
    """

    coins: int = 0
    lot: int | None = 0
    amount: int = 0
    currency: str = ""

    def joined(self, other: Reversed) -> Reversed:
        lot = None if self.lot is None or other.lot is None else self.lot + other.lot
        currencies = sorted({*filter(None, (self.currency, other.currency))})
        return Reversed(self.coins + other.coins, lot, self.amount + other.amount, " ".join(currencies))


NOTHING: Final = Reversed()


@dataclass(slots=True)
class OrderBook:
    """What the entries tell of an order: what was issued, at last, and what was taken back.

    Of an order that is issued twice the second has more paid coins before it, so it is not what the order says.
    """

    user: str
    issued: Issue | None = None
    taken: Reversed = NOTHING

    def add(self, moved: Issue | Reversed) -> None:
        if isinstance(moved, Issue):
            self.issued = moved
        else:
            self.taken = self.taken.joined(moved)


def issue_of(entry: Purchase, before: int) -> Issue:
    """``before``: the paid coins that the user had been issued by then."""
    price = Price(entry.price, entry.currency, entry.provider) if entry.currency else None
    return Issue(entry.paid, entry.bonus, before, price)


def reversed_of(entry: Reversal) -> Reversed:
    lot = entry.lot if entry.currency else None
    return Reversed(entry.paid + entry.bonus + entry.debt, lot, entry.amount, entry.currency)


def wrong_reversal(balances: Balances, entry: Reversal) -> str:
    """What is wrong with a reversal that was entered into the balances just now, or ''."""
    user, debt = entry.user, entry.debt
    if told := balances.wrong(user):
        return f"it leaves {told}"
    if debt > 0 and balances.coins[user] > balances.bonus[user]:
        return f"{debt} coins became debt, and there were some to take"
    if min(entry.paid, entry.bonus) < 0 and balances.debt[user]:
        return f"coins were given back, and {balances.debt[user]} of debt left"
    return ""


class OrderBooks:
    """Enters purchases and reversals into the book of their order, and into the balances of their user."""

    def __init__(self, known: KnownKeys, balances: Balances, findings: Findings) -> None:
        self._known = known
        self._balances = balances
        self._findings = findings
        self.books: dict[str, OrderBook] = {}

    def purchase(self, base: str, entry: Purchase) -> None:
        issue = issue_of(entry, self._balances.purchased[entry.user])
        if not self._enter(base, entry, PURCHASED, issue):
            return
        settled = self._balances.issue(base, entry.user, entry.paid, entry.bonus)
        if settled != entry.settled:
            self._debt_wrong(base, entry, f"it settled {entry.settled} of {settled} coins of debt")

    def reversal(self, base: str, entry: Reversal) -> None:
        if not self._enter(base, entry, REVERSED, reversed_of(entry)):
            return
        self._balances.take_back(base, entry.user, entry.paid, entry.bonus, entry.debt)
        if told := wrong_reversal(self._balances, entry):
            self._debt_wrong(base, entry, told)

    def _enter(self, base: str, entry: Purchase | Reversal, side: int, moved: Issue | Reversed) -> bool:
        """Whether the key is new; then what an order's coins did is noted."""
        if not self._known.first(self._known.name(base, entry.key), side):
            sentence = f"{entry.key.hex()} of order {entry.order} of {entry.user} is entered again."
            shakes = (*about.payer(base, entry.user), about.order(entry.order))
            self._findings.found("key_twice", sentence, about.gift(base, entry.key), shakes=shakes)
            return False
        self.books.setdefault(entry.order, OrderBook(entry.user)).add(moved)
        return True

    def _debt_wrong(self, base: str, entry: Purchase | Reversal, what: str) -> None:
        sentence = f"Order {entry.order} of {entry.user}: {what}."
        tags = (about.order(entry.order), about.stream(base))
        self._findings.found("debt_wrong", sentence, *tags, shakes=about.payer(base, entry.user))
