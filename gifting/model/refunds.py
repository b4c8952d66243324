"""Refunds that an operator asks for, of coins that may be spent: what may go back of an order, and what is taken for
it.

It is kept as a withdrawal that an operator asked for, and takes what a refund by the provider of that money would.
Gifts that are chosen with it are reversed afterwards, so that their coins settle what the buyer then owes.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from gifting.errors import NotReversible
from gifting.model.consequences import State, owed, state
from gifting.model.money_back import money_promised, plain
from gifting.model.orders import FACTS_MAX, Asked, Order, Withdrawal

GIFTS_MAX: Final = 50
"""Gifts that are reversed with one refund: as many as one request may name."""

CLOCKS: Final = 60_000
"""ms by which a provider's clock, which says when it was paid, may be ahead of ours."""

REFUNDABLE: Final = (State.PAID, State.PARTLY_REFUNDED, State.WON, State.FRAUD_WARNING)
"""Not while the buyer's bank asks for the money, nor once it has it."""


def spendable_since(order: Order) -> int:
    """When the coins of an order can have been there at first, ms by our clock; gifts of before were paid by others."""
    return max(min(order.payments.values(), default=0) - CLOCKS, order.created)


def refund(order: Order, name: str, amount: int, asked: Asked, now: int) -> Withdrawal:
    """The refund ``name`` of ``amount`` (minor units), or, if the whole is asked for, of all that has not gone back.

    Raises:
        NotReversible: the order is not :data:`REFUNDABLE`, so much is not left of its price, or it has
            :data:`FACTS_MAX` withdrawals.
    """
    if state(order) not in REFUNDABLE:
        raise NotReversible(f"The purchase is {state(order)}.")
    if len(order.withdrawals) >= FACTS_MAX:
        raise NotReversible(f"It has {FACTS_MAX} withdrawals and refunds already.")
    left = order.price - money_promised(order)
    money = left if asked.whole else amount
    if not 0 < money <= left:
        raise NotReversible(f"{money} can't go back: {left} of {order.price} are left.")
    one = Withdrawal(0, 0, money, now, known=plain(order), asked=asked)
    then = owed(replace(order, withdrawals=order.withdrawals | {name: one}))
    return replace(one, coins=then.paid - order.taken.paid, bonus=then.bonus - order.taken.bonus)


def is_same(one: Withdrawal, amount: int, asked: Asked) -> bool:
    """Whether a withdrawal is the refund that is asked for, by whichever operator."""
    if one.asked is None or (one.asked.reason, one.asked.gifts, one.asked.whole) != (
        asked.reason,
        asked.gifts,
        asked.whole,
    ):
        return False
    return asked.whole or one.amount == amount
