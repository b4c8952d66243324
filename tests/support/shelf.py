"""Orders of a store, and a shelf that leads to them."""

from __future__ import annotations

from typing import Any

from gifting.economy.providers.shelf import Shelf
from gifting.model.orders import Order

ORDER = "0192f0c1-7000-7000-8000-00000000abcd"
PRODUCT = "coins.100"


def an_order(provider: str, **more: Any) -> Order:
    """Of 100 coins for 1.99 USD, open for a day."""
    usual = {
        "id": ORDER,
        "user": "ann",
        "digest": b"d" * 8,
        "provider": provider,
        "region": "US",
        "currency": "USD",
        "price": 199,
        "coins": 100,
        "created": 1_800_000_000_000,
        "expires": 1_800_086_400_000,
        "package": "coins-100",
    }
    return Order(**{**usual, **more})


def a_shelf(*orders: Order) -> Shelf:
    """Finds the orders by id and reference; ``coins-100`` is the one package that has a product."""

    async def find(name: str) -> Order | None:
        return next((order for order in orders if name in (order.id, *order.references)), None)

    return Shelf(find, lambda product: product == PRODUCT, lambda package: PRODUCT if package == "coins-100" else "")
