"""Payments that came once more for one order: given back by themselves, where the provider does that.

It is done by the reconciliation, under a name of the payment's own, so that it is done once, whatever breaks off; what
the provider refuses stays in the log and in the metrics, for somebody to look at.
"""

from __future__ import annotations

import logging

from gifting.economy.providers.base import ProviderRefused
from gifting.economy.purchases import Purchases
from gifting.ledger.ledger import Ledger
from gifting.model.consequences import overpaid
from gifting.model.orders import Order

log = logging.getLogger(__name__)


class Overpaid:
    """Of all orders. ``returned`` and ``refused`` count payments."""

    def __init__(self, ledger: Ledger, purchases: Purchases) -> None:
        self._ledger = ledger
        self._purchases = purchases
        self.returned = 0
        self.refused = 0

    async def give_back(self, order: Order) -> Order:
        """Have all but one payment of an order go back. Raises ProviderFailed, Unavailable: to be done again."""
        for payment in overpaid(order):
            order = await self._give_back(order, payment)
        return order

    async def _give_back(self, order: Order, payment: str) -> Order:
        try:
            await self._purchases.provider(order.provider).give_back(order, payment)
        except ProviderRefused as error:
            log.error(
                "order %s was paid once more by %s, which must be given back by hand: %s", order.id, payment, error
            )
            self.refused += 1
            return await self._ledger.orders.returned(order.id, payment, self._ledger.now_ms(), failed=True)
        log.warning("order %s was paid once more by %s, which goes back", order.id, payment)
        self.returned += 1
        return await self._ledger.orders.returned(order.id, payment, self._ledger.now_ms())
