"""What follows from an order's facts: its state, the coins that must be out, and what freezes its user."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from msgspec.structs import replace

from gifting.model.money_back import (
    Returned,
    clamp,
    failed,
    in_order,
    money_back,
    money_out,
    returned,
    told_money,
)
from gifting.model.orders import Coins, Order, part

WARNED, DISPUTED = 2, 4
"""What an order can freeze its user for: bits of the account."""


class State(StrEnum):
    CREATED = "created"
    PAYING = "paying"
    PAID = "paid"
    PARTLY_REFUNDED = "partly_refunded"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    WON = "won"
    LOST = "lost"
    EXPIRED = "expired"
    FAILED = "failed"
    FRAUD_WARNING = "fraud_warning"


OPEN: Final = (State.CREATED, State.PAYING)
"""States in which money may still come, as far as is known."""


def state(order: Order) -> State:
    """Of what holds at once, what matters most to who looks."""
    if not order.payments:
        return _unpaid(order)
    if any(dispute.open for dispute in order.disputes.values()):
        return State.DISPUTED
    if any(dispute.lost for dispute in order.disputes.values()):
        return State.LOST
    back = money_back(order)
    if back >= order.price:
        return State.REFUNDED
    if order.warned_at > order.cleared_at:
        return State.FRAUD_WARNING
    if back:
        return State.PARTLY_REFUNDED
    return State.WON if order.disputes else State.PAID


def _unpaid(order: Order) -> State:
    if order.expired_at:
        return State.EXPIRED
    if order.failed_at and order.failed_at >= order.paying_at:
        return State.FAILED
    return State.PAYING if order.paying_at else State.CREATED


def frozen(orders: Iterable[Order]) -> int:
    """What a user's orders freeze its spending for: :data:`WARNED`, :data:`DISPUTED`, or both."""
    states = {state(order) for order in orders}
    return DISPUTED * (State.DISPUTED in states) | WARNED * (State.FRAUD_WARNING in states)


def due(order: Order) -> int:
    """When somebody must look at an order that nobody tells of, ms; 0 for never.

    An open one when its checkout should be over; at once one with a withdrawal on its way, or paid once more.
    """
    if overpaid(order):
        return max(order.created, 1)
    if any(waits(order, name) for name in order.withdrawals):
        return max(one.at for one in order.withdrawals.values())
    return order.expires if state(order) in OPEN else 0


def waits(order: Order, name: str) -> bool:
    """Whether something of a withdrawal is to be done still: its refund, or gifts that are to be reversed with it."""
    one = order.withdrawals[name]
    reverses = one.asked is not None and one.asked.gifts and not one.asked.reversed_at
    return (not one.done_at or bool(reverses)) and not failed(order, name)


def owed(order: Order) -> Coins:
    """The coins that must have been taken back by now, of what was issued. What a buyer withdrew took its own.

    Bonus coins go by the money in the order in which it went, so that what went before a withdrawal is not counted anew
    behind it.
    """
    if not order.payments:
        return Coins(0, 0)
    back, told = returned(order), told_money(order)
    paid, bonus, gone = part(order.coins, min(back.refund + back.dispute, order.price), order.price), 0, 0
    for money, name in zip(told, in_order(order), strict=False):
        bonus, gone = bonus + _share(order, gone, money), gone + money
        one = order.withdrawals[name]
        if failed(order, name):
            continue
        paid += 0 if one.asked else one.coins
        bonus += _share(order, gone, one.amount) if one.asked else one.bonus
        gone += one.amount
    bonus += _share(order, gone, min(told[-1] + back.dispute, order.price))
    return Coins(min(paid, order.coins), min(bonus, order.bonus))


def _share(order: Order, gone: int, money: int) -> int:
    """The bonus coins of ``money`` that goes back after ``gone``."""
    before, after = (part(order.bonus, clamp(one, order.price), order.price) for one in (gone, gone + money))
    return after - before


def payment(order: Order) -> str:
    """The payment that counts, of all: the first that was not given back; '' if there is none."""
    counting = [(at, name) for name, at in order.payments.items() if name not in order.returns]
    return min(counting)[1] if counting else ""


def overpaid(order: Order) -> list[str]:
    """Payments that came once more, and that nobody has been asked to give back."""
    kept = payment(order)
    return sorted(name for name in order.payments if name != kept and name not in order.returns)


class Change(NamedTuple):
    """What the books must do: coins to issue, and coins to take back, or to give back where below 0; and the money
    that they must say went back.
    """

    issue: Coins
    take: Coins
    money: int = 0

    def __bool__(self) -> bool:
        return any(self.issue) or any(self.take) or bool(self.money)


def change(order: Order) -> Change:
    """What the facts ask for and the books have not done."""
    issue = Coins(order.coins, order.bonus) if order.payments and not order.issued else Coins(0, 0)
    due = owed(order)
    money = 0 if order.returned is None else money_out(order) - order.returned
    return Change(issue, Coins(due.paid - order.taken.paid, due.bonus - order.taken.bonus), money)


def booked(order: Order, before: int) -> Order:
    """The order after its :func:`change`; ``before`` is what was issued to the user until then."""
    if order.payments and not order.issued:
        order = replace(order, issued=True, before=before)
    return replace(order, taken=owed(order), returned=money_out(order))


def why(before: Order, order: Order) -> str:
    """For what coins or money move from one state of an order to the next: the name of the reason, or ''."""
    moved = zip(Returned._fields, returned(before), returned(order), strict=True)
    return next((name for name, was, now in moved if was != now), "")


def issued_in_order(orders: Iterable[Order]) -> list[Order]:
    """Those of a user's orders that were issued, the first first."""
    return sorted((order for order in orders if order.issued), key=lambda order: order.before)
