"""What the ledger tells of orders: coins issued, taken back and given back, and the debt that this left or settled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gifting.ledger.audit import about
from gifting.ledger.audit.balances import Balances
from gifting.ledger.audit.known_keys import PURCHASED, REVERSED, KnownKeys
from gifting.ledger.audit.report import Findings
from gifting.ledger.entries import Purchase, Reversal


class Issue(NamedTuple):
    """What was issued for an order: coins, and the paid coins that its user had been issued before."""

    paid: int
    bonus: int
    before: int


@dataclass(slots=True)
class OrderBook:
    """What the entries tell of an order: what was issued, at last, and the coins taken back, debt included.

    Of an order that is issued twice the second has more paid coins before it, so it is not what the order says.
    """

    user: str
    issued: Issue | None = None
    taken: int = 0

    def add(self, moved: Issue | int) -> None:
        if isinstance(moved, int):
            self.taken += moved
        else:
            self.issued = moved


class OrderBooks:
    """Enters purchases and reversals into the book of their order, and into the balances of their user."""

    def __init__(self, known: KnownKeys, balances: Balances, findings: Findings) -> None:
        self._known = known
        self._balances = balances
        self._findings = findings
        self.books: dict[str, OrderBook] = {}

    def purchase(self, base: str, entry: Purchase) -> None:
        issue = Issue(entry.paid, entry.bonus, self._balances.purchased[entry.user])
        if not self._enter(base, entry, PURCHASED, issue):
            return
        settled = self._balances.issue(base, entry.user, entry.paid, entry.bonus)
        if settled != entry.settled:
            self._debt_wrong(base, entry, f"it settled {entry.settled} of {settled} coins of debt")

    def reversal(self, base: str, entry: Reversal) -> None:
        paid, bonus, debt = entry.paid, entry.bonus, entry.debt
        if not self._enter(base, entry, REVERSED, paid + bonus + debt):
            return
        balances, user = self._balances, entry.user
        balances.take_back(base, user, paid, bonus, debt)
        if told := balances.wrong(user):
            self._debt_wrong(base, entry, f"it leaves {told}")
        elif debt > 0 and balances.coins[user] > balances.bonus[user]:
            self._debt_wrong(base, entry, f"{debt} coins became debt, and there were some to take")
        elif min(paid, bonus) < 0 and balances.debt[user]:
            self._debt_wrong(base, entry, f"coins were given back, and {balances.debt[user]} of debt left")

    def _enter(self, base: str, entry: Purchase | Reversal, side: int, moved: Issue | int) -> bool:
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
