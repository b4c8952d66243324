"""Refunds that operators ask for: the first step, in which coins are taken, and the last, when its gifts are reversed.
In between it is a withdrawal like others (:mod:`gifting.ledger.orders`).
"""

from __future__ import annotations

from msgspec.structs import replace

from gifting.errors import KeyReused
from gifting.ledger.calls import Calls
from gifting.ledger.order_books import Held, OrderBooks, Put
from gifting.model.consequences import booked
from gifting.model.effects import Effect, Kind, effect_key
from gifting.model.orders import Asked, Order
from gifting.model.refunds import is_same, refund


class Refunds:
    """Of all orders. Everything raises OrderNotFound, Unavailable, and Conflict, if others never let it."""

    def __init__(self, calls: Calls) -> None:
        self._books = OrderBooks(calls)

    async def ask(self, order_id: str, name: str, amount: int, asked: Asked, now: int) -> Order:
        """Take the coins of a refund, what is spent of them as debt; the same under that name again changes nothing.

        Raises:
            KeyReused: something else was asked for under it.
            NotReversible: see :func:`gifting.model.refunds.refund`.
        """
        user, _ = await self._books.located(order_id)

        def take(held: Held) -> Put | None:
            order = held.order(order_id)
            if name in order.withdrawals:
                if not is_same(order.withdrawals[name], amount, asked):
                    raise KeyReused("Another refund, or a withdrawal, was made with this key.")
                return None
            one = refund(order, name, amount, asked, now)
            taken = booked(replace(order, withdrawals=order.withdrawals | {name: one}), held.account.purchased)
            return Put(taken, effect_key(Effect(order.provider, f"{order.id} {name}", Kind.REFUNDED, now)))

        return await self._books.change(user, order_id, take)

    async def reversed(self, order_id: str, name: str, at: int) -> Order:
        """Note that all gifts of a refund are reversed; once."""
        user, _ = await self._books.located(order_id)

        def note(held: Held) -> Put | None:
            order = held.order(order_id)
            one = order.withdrawals[name]
            if one.asked is None or one.asked.reversed_at:
                return None
            noted = replace(one, asked=replace(one.asked, reversed_at=max(at, 1)))
            return Put(replace(order, withdrawals=order.withdrawals | {name: noted}))

        return await self._books.change(user, order_id, note)
