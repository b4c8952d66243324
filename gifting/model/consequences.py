"""What follows from an order's facts: its state, the coins that must be out, and what freezes its user."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from msgspec.structs import replace

from gifting.model.orders import Coins, Order, Refund, Withdrawal, part

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
    if any(not one.done_at and not _failed(order, name) for name, one in order.withdrawals.items()):
        return max(one.at for one in order.withdrawals.values())
    return order.expires if state(order) in OPEN else 0


def money_back(order: Order) -> int:
    """What has gone back to the buyer by refunds, at most the price."""
    named = sum(refund.amount for refund in _refunds(order, linked=True))
    plain = sum(refund.amount for refund in _refunds(order, linked=False))
    unnamed = sum(one.amount for one in _unlinked(order) if one.done_at)
    return _clamp(named + max(plain, unnamed) - _surplus(order), order.price)


class Returned(NamedTuple):
    """Money for which coins are taken back, by what it goes back for."""

    withdrawal: int
    dispute: int
    refund: int


def returned(order: Order) -> Returned:
    """The money that goes back for an order: more than its price if that is asked for more than once.

    A withdrawal counts from when its coins are taken. A refund that can't be told from it by name is believed to carry
    it out.
    """
    if not order.payments:
        return Returned(0, 0, 0)
    plain = sum(refund.amount for refund in _refunds(order, linked=False))
    plain -= sum(one.amount for one in _unlinked(order)) + _surplus(order)
    lost = sum(one.amount for one in order.disputes.values() if one.lost)
    return Returned(sum(one.amount for one in _withdrawals(order)), lost, max(plain, 0))


def money_out(order: Order) -> int:
    """What the books say went back, or is going to: at most the price."""
    return min(sum(returned(order)), order.price)


def owed(order: Order) -> Coins:
    """The coins that must have been taken back by now, of what was issued. A withdrawal took its own."""
    if not order.payments:
        return Coins(0, 0)
    back, withdrawals = returned(order), _withdrawals(order)
    money = min(back.refund + back.dispute, order.price)
    before = back.withdrawal
    paid = part(order.coins, money, order.price) + sum(one.coins for one in withdrawals)
    bonus = part(order.bonus, _clamp(before + money, order.price), order.price) - part(order.bonus, before, order.price)
    return Coins(min(paid, order.coins), min(max(bonus, 0) + sum(one.bonus for one in withdrawals), order.bonus))


def payment(order: Order) -> str:
    """The payment that counts, of all: the first that was not given back; '' if there is none."""
    counting = [(at, name) for name, at in order.payments.items() if name not in order.returns]
    return min(counting)[1] if counting else ""


def overpaid(order: Order) -> list[str]:
    """Payments that came once more, and that nobody has been asked to give back."""
    kept = payment(order)
    return sorted(name for name in order.payments if name != kept and name not in order.returns)


def _surplus(order: Order) -> int:
    """What was paid more than once, for which no coins were issued."""
    return order.price * max(len(order.payments) - 1, 0)


def _clamp(value: int, most: int) -> int:
    return min(max(value, 0), most)


def _refunds(order: Order, *, linked: bool) -> list[Refund]:
    """The refunds that count and do, or do not, name a withdrawal of the order."""
    return [one for one in order.refunds.values() if one.counts and (one.withdrawal in order.withdrawals) == linked]


def _unlinked(order: Order) -> list[Withdrawal]:
    """Withdrawals that no refund names, and that have not failed."""
    named = {refund.withdrawal for refund in order.refunds.values()}
    return [one for name, one in order.withdrawals.items() if name not in named and not one.failed_at]


def _withdrawals(order: Order) -> list[Withdrawal]:
    return [one for name, one in order.withdrawals.items() if not _failed(order, name)]


def _failed(order: Order, name: str) -> bool:
    """Whether a withdrawal came to nothing: the provider refused it, or its refund failed and no other counts."""
    told = carried_out(order, name)
    return bool(order.withdrawals[name].failed_at) if told is None else not told


def carried_out(order: Order, name: str) -> bool | None:
    """What the provider has told of a withdrawal's refund: that it counts, or failed; None: nothing yet."""
    refunds = [refund for refund in order.refunds.values() if refund.withdrawal == name]
    return any(refund.counts for refund in refunds) if refunds else None


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
