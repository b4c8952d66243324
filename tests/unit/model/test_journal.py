"""Random purchases, gifts, refunds and reversals: lots are those of the orders, and accounts add up to the cent."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gifting.model import journal as accounts
from gifting.model import lots
from gifting.model.deferred import Lot, Purse
from gifting.model.journal import COIN, Journal
from gifting.model.orders import Coins, Order
from tests.support.keys import new_key
from tests.support.orders import draft
from tests.support.reference_orders import Purse as Reference

CURRENCIES = ("EUR", "JPY")

steps = st.one_of(
    st.tuples(
        st.just("buy"), st.sampled_from(CURRENCIES), st.integers(1, 2000), st.integers(1, 300), st.integers(0, 50)
    ),
    st.tuples(st.just("gift"), st.integers(1, 400)),
    st.tuples(st.just("grant"), st.integers(1, 60)),
    st.tuples(st.just("back"), st.integers(0, 9), st.integers(0, 100), st.sampled_from(["refund", "dispute"])),
    st.tuples(st.just("gift back"), st.integers(0, 9)),
)


class Play:
    """One user, by the reference and by the journal at once; the orders are what ``lots`` asks for."""

    def __init__(self) -> None:
        self.known = Reference()
        self.purse = Purse()
        self.journal = Journal()
        self.orders: list[Order] = []
        self.money: Counter[str] = Counter()
        self.gifts: list[tuple[int, int]] = []
        self.issued = self.spent = 0

    def step(self, what: str, *how: Any) -> None:
        getattr(self, what.replace(" ", "_"))(*how)

    def buy(self, currency: str, price: int, coins: int, bonus: int) -> None:
        order = draft("ann", new_key(), currency=currency, price=price, coins=coins, bonus=bonus)
        self.orders.append(replace(order, issued=True, before=self.known.purchased, returned=0))
        self.known.put_in(coins, bonus)
        self.known.purchased += coins
        self.issued += coins + bonus
        self.money[currency] += price
        self.journal.purchase(self.purse, Lot(order.id, "sandbox", currency, price, coins), bonus)

    def gift(self, coins: int) -> None:
        coins = min(coins, self.known.coins)
        if coins:
            bonus = min(self.known.bonus, coins)
            self.gifts.append((coins - bonus, bonus))
            self.known.spend(coins)
            self.spent += coins
            self.journal.spend(self.purse, coins)

    def gift_back(self, which: int) -> None:
        if which < len(self.gifts):
            paid, bonus = self.gifts.pop(which)
            self.known.put_in(paid, bonus)
            self.spent -= paid + bonus
            self.journal.give_back(self.purse, paid, bonus)

    def grant(self, coins: int) -> None:
        self.known.put_in(0, coins)
        self.issued += coins
        self.journal.grant(self.purse, coins)

    def back(self, which: int, percent: int, why: str) -> None:
        """A share of an order is back, or comes again where that is less than before."""
        if which >= len(self.orders):
            return
        order = self.orders[which]
        money = order.price * percent // 100
        due = Coins(order.coins * money // order.price, order.bonus * money // order.price)
        paid, bonus = due.paid - order.taken.paid, due.bonus - order.taken.bonus
        was = self.known.paid, self.known.bonus, self.known.debt
        self.known.take_out(max(paid, 0), max(bonus, 0))
        self.known.put_in(max(-paid, 0), max(-bonus, 0))
        coins = was[0] - self.known.paid, was[1] - self.known.bonus, self.known.debt - was[2]
        amount = money - (order.returned or 0)
        self.orders[which] = replace(order, taken=due, returned=money)
        self.money[order.currency] -= amount
        self.journal.reverse(self.purse, order.id, coins, paid, amount, why)

    def check(self) -> None:
        known, totals = self.known, self.journal.totals
        assert (self.purse.paid, self.purse.bonus, self.purse.debt) == (known.paid, known.bonus, known.debt)
        for order, lot in zip(self.orders, self.purse.lots, strict=True):
            assert lot.left == lots.unspent(order, known.paid, self.orders)
            assert lot.deferred == min(lots.deferred(order, lot.left), order.price - (order.returned or 0))
        sums: Counter[str] = Counter()
        for (_, commodity), amount in totals.items():
            sums[commodity] += amount
        assert not any(sums.values())
        coins = {name: totals[name, COIN] for name in (accounts.PAID, accounts.BONUS, accounts.DEBT)}
        assert coins == {accounts.PAID: -known.paid, accounts.BONUS: -known.bonus, accounts.DEBT: known.debt}
        assert totals[accounts.SOLD, COIN] + totals[accounts.GRANTED, COIN] == self.issued
        assert totals[accounts.SPENT, COIN] == -self.spent
        journal = self.journal
        for kind, here in ((accounts.PAID, known.paid), (accounts.BONUS, known.bonus)):
            assert journal.sold[kind] - journal.spent[kind] - journal.refunded[kind] == here
        assert journal.sold[accounts.PAID] + journal.sold[accounts.BONUS] == self.issued
        for currency in CURRENCIES:
            assert journal.spent[currency] == -totals[accounts.INCOME, currency]
            assert totals["Assets:Receivable:Sandbox", currency] == self.money[currency]
            deferred = sum(lot.deferred for lot in self.purse.lots if lot.currency == currency)
            assert -totals[accounts.DEFERRED, currency] == deferred
            spent = -totals[accounts.INCOME, currency]
            assert self.journal.sold[currency] - spent - self.journal.refunded[currency] == deferred


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=25))
def test_whatever_is_bought_spent_and_taken_back_adds_up(all_steps: list[tuple[Any, ...]]) -> None:
    play = Play()
    for one in all_steps:
        play.step(*one)
        play.check()


def test_what_had_been_earned_of_money_that_goes_back_is_a_loss() -> None:
    """100 coins for 10.00, 70 spent: a lost dispute takes 3.00 that were deferred and 7.00 that were earned."""
    play = Play()
    play.buy("EUR", 1000, 100, 0)
    play.gift(70)
    play.back(0, 100, "dispute")
    play.check()
    totals = play.journal.totals
    assert totals["Expenses:Chargebacks", "EUR"] == 700
    assert (play.journal.refunded["EUR"], totals[accounts.INCOME, "EUR"]) == (300, -700)
    play.buy("EUR", 500, 100, 0)
    assert (play.purse.debt, totals[accounts.INCOME, "EUR"]) == (0, -700 - 350)


def test_bonus_coins_settle_a_debt_first() -> None:
    """70 coins are owed: 10 that are granted go to them, then the 30 bonus coins and 30 paid ones of the next 100."""
    play = Play()
    play.buy("EUR", 1000, 100, 0)
    play.gift(70)
    play.back(0, 100, "dispute")
    play.grant(10)
    play.check()
    play.buy("EUR", 500, 100, 30)
    play.check()
    assert (play.purse.paid, play.purse.bonus, play.purse.debt) == (70, 0, 0)
    assert (play.journal.spent[accounts.PAID], play.journal.spent[accounts.BONUS]) == (70 + 30, 10 + 30)


def test_creators_are_paid_and_reversed_in_balance() -> None:
    journal = Journal()
    journal.credit(500)
    journal.claw_back(200, 50)
    journal.pay_out(300, 150, "USD", "stripe")
    assert journal.totals[accounts.PAYABLE, "MDIA"] == 0
    assert journal.totals[accounts.OWED, "MDIA"] == 50
    assert sum(journal.totals.values()) == 0
