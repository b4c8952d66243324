"""The money that goes back for an order: which refunds carry out which withdrawals, and what goes back beside them.

A refund may name the withdrawal that it carries out. One that names none is plain: it is believed to carry out one that
was made before it was told of, if there is such a one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gifting.model.orders import Order


def money_back(order: Order) -> int:
    """What has gone back to the buyer by refunds, at most the price."""
    counting = {name: one.amount for name, one in order.refunds.items() if one.counts}
    told = sum(amount for name, amount in counting.items() if _is_plain(order, name))
    done = sum(order.withdrawals[name].amount for name in _unlinked(order) if order.withdrawals[name].done_at)
    named = sum(counting.values()) - told
    return clamp(named + max(told, done + sum(_beside(order))) - surplus(order), order.price)


class Returned(NamedTuple):
    """Money for which coins are taken back, by what it goes back for."""

    withdrawal: int
    dispute: int
    refund: int


def returned(order: Order) -> Returned:
    """The money that goes back for an order: more than its price if that is asked for more than once.

    A withdrawal counts from when its coins are taken. A refund that can't be told from it by name, and came later, is
    believed to carry it out.
    """
    if not order.payments:
        return Returned(0, 0, 0)
    taken = [order.withdrawals[name] for name in in_order(order) if not failed(order, name)]
    lost = sum(one.amount for one in order.disputes.values() if one.lost)
    asked = sum(one.amount for one in taken if one.asked)
    return Returned(sum(one.amount for one in taken) - asked, lost, asked + sum(told_money(order)))


def money_out(order: Order) -> int:
    """What the books say went back, or is going to: at most the price."""
    return min(sum(returned(order)), order.price)


def money_promised(order: Order) -> int:
    """What went back to the buyer, or is going to: of what the books say and what was told the more."""
    return max(money_out(order), money_back(order))


def plain(order: Order) -> tuple[str, ...]:
    """The refunds that name no withdrawal of the order, also those that failed."""
    return tuple(sorted(name for name in order.refunds if _is_plain(order, name)))


def _is_plain(order: Order, name: str) -> bool:
    return order.refunds[name].withdrawal not in order.withdrawals


def in_order(order: Order) -> list[str]:
    """The withdrawals, the first first."""
    made = order.withdrawals
    return sorted(made, key=lambda name: (len(made[name].known), made[name].at, name))


def _beside(order: Order) -> list[int]:
    """The money of plain refunds that is not believed to carry out a withdrawal: by before which of them it was told
    of, and at last what was since.
    """
    names, parts, seen = in_order(order), list[int](), set[str]()
    for known in [*(order.withdrawals[name].known for name in names), plain(order)]:
        news = [order.refunds[one] for one in set(known) - seen if one in order.refunds and _is_plain(order, one)]
        parts.append(sum(one.amount for one in news if one.counts))
        seen |= set(known)
    for place in reversed(range(len(names))):
        if names[place] in _unlinked(order):
            _use(parts, range(place + 1, len(parts)), order.withdrawals[names[place]].amount)
    return parts


def told_money(order: Order) -> list[int]:
    """As :func:`_beside`, without what was paid more than once."""
    parts = _beside(order)
    _use(parts, range(len(parts) - 1, -1, -1), surplus(order))
    return parts


def _use(parts: list[int], places: Iterable[int], money: int) -> None:
    """Take ``money`` of those parts, as far as it is there."""
    for place in places:
        used = min(parts[place], money)
        parts[place], money = parts[place] - used, money - used


def _unlinked(order: Order) -> set[str]:
    """Withdrawals that no refund names, and that have not failed."""
    named = {refund.withdrawal for refund in order.refunds.values()}
    return {name for name, one in order.withdrawals.items() if name not in named and not one.failed_at}


def failed(order: Order, name: str) -> bool:
    """Whether a withdrawal came to nothing: the provider refused it, or its refund failed and no other counts."""
    told = carried_out(order, name)
    return bool(order.withdrawals[name].failed_at) if told is None else not told


def carried_out(order: Order, name: str) -> bool | None:
    """What the provider has told of a withdrawal's refund: that it counts, or failed; None: nothing yet."""
    refunds = [refund for refund in order.refunds.values() if refund.withdrawal == name]
    return any(refund.counts for refund in refunds) if refunds else None


def surplus(order: Order) -> int:
    """What was paid more than once, for which no coins were issued."""
    return order.price * max(len(order.payments) - 1, 0)


def clamp(value: int, most: int) -> int:
    return min(max(value, 0), most)
