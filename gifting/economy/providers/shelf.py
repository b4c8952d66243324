"""What a store's provider knows of us: our orders, and which product of the store each package is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from gifting.model.orders import Order


class Shelf(NamedTuple):
    """
    Args:
        order: the one that an id, or a reference (``google:GPA.…``), leads to.
        sells: whether a product id of this store is one of a package.
        product: a package's product id in this store; '' if it is not sold there, or no package.
    """

    order: Callable[[str], Awaitable[Order | None]]
    sells: Callable[[str], bool]
    product: Callable[[str], str]
