"""Lots: which paid coins of a user are of which purchase. Bonus coins are spent first, then what was bought first.

Nothing is counted when a gift is sent. What is left of a lot follows from the paid coins that the user has and from the
lots that were issued after it: those are spent last, so what the user has more than them is of this lot or before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from gifting.errors import NotWithdrawable
from gifting.model.consequences import State, issued_in_order, state
from gifting.model.effects import WHOLE
from gifting.model.money_back import money_promised, plain
from gifting.model.orders import FACTS_MAX, Order, Withdrawal, part

DAY_MS: Final = 86_400_000


def kept(order: Order) -> int:
    """The paid coins of a lot that were not taken back: spent or not."""
    return order.coins - order.taken.paid if order.issued else 0


def spread(paid: int, orders: Iterable[Order]) -> Iterator[tuple[Order, int]]:
    """The lots of a user who has ``paid`` coins, the last first, each with those of its coins that are not spent."""
    for order in reversed(issued_in_order(orders)):
        here = min(paid, kept(order))
        paid -= here
        yield order, here


def unspent(order: Order, paid: int, orders: Iterable[Order]) -> int:
    """The paid coins of one lot that are not spent: what the user has more than those issued later."""
    return next((left for one, left in spread(paid, orders) if one.id == order.id), 0)


def consumed(order: Order, left: int) -> int:
    """The share of a lot that is spent, of :data:`WHOLE`, if ``left`` of its paid coins are not: what Apple asks."""
    return part(WHOLE, kept(order) - left, order.coins)


def deferred(order: Order, left: int) -> int:
    """The money for which nothing was given yet: the price of what is left of a lot, rounded down."""
    return part(order.price, left, order.coins)


# Withdrawal: unspent coins for money.


def withdrawable_until(order: Order) -> int:
    """When the buyer's right to withdraw ends, ms; 0 where the region has none, or nothing was paid."""
    if not order.withdraw_days or not order.payments:
        return 0
    return min(order.payments.values()) + order.withdraw_days * DAY_MS


def withdrawable(order: Order, now: int) -> bool:
    """Whether unspent coins may be given back now. Not while the buyer's bank is asking for the money."""
    good = state(order) in (State.PAID, State.PARTLY_REFUNDED, State.WON)
    return good and now < withdrawable_until(order)


def withdrawal_amount(order: Order, coins: int) -> int:
    """The money for ``coins`` paid coins of a lot that are given back.

    The share of all that is then gone, rounded down, less what went back before: so the sum is never more than the
    price, however often and in what parts.
    """
    gone = part(order.price, order.taken.paid + coins, order.coins)
    return max(min(gone, order.price) - money_promised(order), 0)


def withdrawal_bonus(order: Order, coins: int, bonus: int) -> int:
    """The bonus coins that go with ``coins`` of a lot: its share of the lot's, as far as the user has them (``bonus``).

    What is spent of a bonus is not owed: who withdraws never comes into debt.
    """
    share = part(order.bonus, order.taken.paid + coins, order.coins) - order.taken.bonus
    return min(max(share, 0), bonus)


def withdrawal(order: Order, paid: int, bonus: int, orders: Iterable[Order], now: int) -> Withdrawal:
    """What would go back now of a lot, to a user with ``paid`` and ``bonus`` coins. Raises NotWithdrawable: nothing."""
    if not withdrawable(order, now):
        raise NotWithdrawable(f"It is {state(order)}, and the right to withdraw from it is over, or never was.")
    if len(order.withdrawals) >= FACTS_MAX:
        raise NotWithdrawable(f"It has {FACTS_MAX} withdrawals and refunds already.")
    coins = unspent(order, paid, orders)
    amount = withdrawal_amount(order, coins)
    if not coins or not amount:
        raise NotWithdrawable(f"{coins} coins of {order.coins} are left, worth {amount}.")
    return Withdrawal(coins, withdrawal_bonus(order, coins, bonus), amount, now, known=plain(order))
