"""The ledger in double entry: what each entry posts to which account. In every commodity its postings add up to 0.

Debits are above 0. Money is in minor units of its currency, ``COIN`` are coins, ``MDIA`` milli-diamonds. What users
owe is in ``Assets:Coins:Debt``, what a host owes after a reversal is in ``Assets:Diamonds:Debt``.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from gifting.model.deferred import Change, Lot, Purse

COIN: Final = "COIN"
DIAMOND: Final = "MDIA"

PAID: Final = "Liabilities:Coins:Paid"
BONUS: Final = "Liabilities:Coins:Bonus"
DEBT: Final = "Assets:Coins:Debt"
SOLD: Final = "Equity:Coins:Sold"
GRANTED: Final = "Equity:Coins:Granted"
SPENT: Final = "Equity:Coins:Spent"
TAKEN: Final = "Equity:Coins:Taken"

DEFERRED: Final = "Liabilities:Deferred"
INCOME: Final = "Income:Gifts"
RECEIVABLE: Final = "Assets:Receivable"
LOSS: Final = {
    "dispute": "Expenses:Chargebacks",
    "withdrawal": "Expenses:Withdrawals",
    "refund": "Expenses:Refunds",
    "": "Expenses:Refunds",
}
"""Where money goes that went back after it was earned, by why it did."""

PAYABLE: Final = "Liabilities:Diamonds"
EARNED: Final = "Expenses:Diamonds:Earned"
PAID_OUT: Final = "Equity:Diamonds:PaidOut"
OWED: Final = "Assets:Diamonds:Debt"
CREATORS: Final = "Expenses:Creators"
PAYERS: Final = "Assets:Payouts"

Account = tuple[str, str]
"""A name, and a commodity."""


class Journal:
    """Postings of one span of time, added up by account: debits above 0.

    By currency, and of coins by :data:`PAID` and :data:`BONUS`: what was ``sold`` (of bonus coins: handed out), and
    what is not there any more since it was ``spent``, or settled debt, or was ``refunded``.
    """

    def __init__(self) -> None:
        self.totals: Counter[Account] = Counter()
        self.sold: Counter[str] = Counter()
        self.spent: Counter[str] = Counter()
        self.refunded: Counter[str] = Counter()

    def post(self, commodity: str, *postings: tuple[str, int]) -> None:
        for name, amount in postings:
            if amount:
                self.totals[name, commodity] += amount

    def grant(self, purse: Purse, coins: int) -> None:
        before = purse.paid, purse.bonus, purse.debt
        purse.grant(coins)
        self._coins(before, purse, GRANTED)
        self._spend(before, purse, 0, coins)

    def purchase(self, purse: Purse, lot: Lot, bonus: int) -> None:
        before = purse.paid, purse.bonus, purse.debt
        changes = purse.buy(lot, bonus)
        self._coins(before, purse, SOLD)
        self._spend(before, purse, lot.coins, bonus)
        if lot.currency:
            self.post(lot.currency, (_of(RECEIVABLE, lot.provider), lot.price), (DEFERRED, -lot.price))
            self.sold[lot.currency] += lot.price
        self._earn(changes)

    def spend(self, purse: Purse, coins: int) -> None:
        before = purse.paid, purse.bonus, purse.debt
        changes = purse.spend(coins)
        self._coins(before, purse, SPENT)
        self._spend(before, purse)
        self._earn(changes)

    def give_back(self, purse: Purse, paid: int, bonus: int) -> None:
        """Coins of a gift that is reversed."""
        before = purse.paid, purse.bonus, purse.debt
        changes = purse.give_back(paid, bonus)
        self._coins(before, purse, SPENT)
        self._spend(before, purse)
        self._earn(changes)

    def reverse(
        self, purse: Purse, order: str, coins: tuple[int, int, int], of_lot: int, amount: int, why: str
    ) -> None:
        """``coins``: paid, bonus and debt, as the entry has them. What had been earned of the money is a loss."""
        before, lot = (purse.paid, purse.bonus, purse.debt), purse.lot(order)
        changes = purse.take_back(lot, *coins, of_lot, amount)
        self._coins(before, purse, TAKEN)
        self.refunded[PAID] += before[0] - purse.paid
        self.refunded[BONUS] += before[1] - purse.bonus
        account = LOSS.get(why, LOSS[""])
        if lot is not None and lot.currency:
            self.post(lot.currency, (account, amount), (_of(RECEIVABLE, lot.provider), -amount))
        for change in changes:
            self.post(change.lot.currency, (DEFERRED, change.released), (account, -change.released))
            self.refunded[change.lot.currency] += change.released

    def credit(self, diamonds: int) -> None:
        self.post(DIAMOND, (EARNED, diamonds), (PAYABLE, -diamonds))

    def claw_back(self, diamonds: int, debt: int) -> None:
        self.post(DIAMOND, (PAYABLE, diamonds), (OWED, debt), (EARNED, -diamonds - debt))

    def pay_out(self, diamonds: int, amount: int, currency: str, provider: str) -> None:
        self.post(DIAMOND, (PAYABLE, diamonds), (PAID_OUT, -diamonds))
        self.post(currency, (CREATORS, amount), (_of(PAYERS, provider), -amount))

    def _coins(self, before: tuple[int, int, int], purse: Purse, other: str) -> None:
        paid, bonus, debt = purse.paid - before[0], purse.bonus - before[1], purse.debt - before[2]
        self.post(COIN, (PAID, -paid), (BONUS, -bonus), (DEBT, debt), (other, paid + bonus - debt))

    def _spend(self, before: tuple[int, int, int], purse: Purse, paid: int = 0, bonus: int = 0) -> None:
        """Of what the user had, and ``paid`` and ``bonus`` coins that came in, what is not there now was spent."""
        self.sold[PAID] += paid
        self.sold[BONUS] += bonus
        self.spent[PAID] += before[0] + paid - purse.paid
        self.spent[BONUS] += before[1] + bonus - purse.bonus

    def _earn(self, changes: list[Change]) -> None:
        for change in changes:
            self.spent[change.lot.currency] += change.released
            self.post(change.lot.currency, (DEFERRED, change.released), (INCOME, -change.released))


def _of(account: str, provider: str) -> str:
    name = "".join(filter(str.isalnum, provider)).title()
    return f"{account}:{name or 'Unknown'}"
