"""Orders as tests begin them, and what a provider says of them."""

from __future__ import annotations

from typing import Any

from gifting.ledger.order_books import Held
from gifting.model.effects import Effect, Kind, order_id
from gifting.model.money import key_time, parse_key
from gifting.model.orders import Order

CHECKOUT: int = 3_600_000
"""ms for which a checkout is open."""


def draft(user: str, key: str, **more: Any) -> Order:
    """100 coins and 20 bonus coins for 10.00 €, in a region where 14 days are given to think again."""
    raw = parse_key(key)
    fields: dict[str, Any] = {
        "provider": "sandbox",
        "region": "DE",
        "currency": "EUR",
        "price": 1000,
        "coins": 100,
        "bonus": 20,
        "created": key_time(raw),
        "expires": key_time(raw) + CHECKOUT,
        "withdraw_days": 14,
        "digest": b"8 bytes!",
    }
    return Order(id=order_id(user, raw), user=user, **(fields | more))


def anyone(held: Held) -> None:
    """Nothing speaks against it."""


def said(order: Order, kind: Kind, what: str = "", at: int = 0, **more: Any) -> Effect:
    """Something about an order, by its id; what it is about is the order's own unless named."""
    name = f"{what or kind.partition('_')[0]} {order.id}"
    return Effect(order.provider, name, kind, at or order.created + 1, order.id, **more)


def paid(order: Order) -> Effect:
    return said(order, Kind.PAID, "payment", amount=order.price, currency=order.currency)
