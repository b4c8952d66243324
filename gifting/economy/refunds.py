"""Refunds that operators ask for, of coins that may be spent, in four steps.

The coins are taken, what is spent of them as debt, so that nobody spends what is paid back; the provider is asked to
refund, and that is noted; the chosen gifts are reversed, one by one, whose coins settle the debt; and that is noted.
Each step is done once for ever, so whatever breaks off is taken up by the same request, or by the reconciliation. Where
the provider says no, the coins are given back and no gift is reversed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from gifting.economy.purchases import Purchases
from gifting.economy.reversals import Reversals
from gifting.economy.withdrawals import Withdrawals
from gifting.errors import GiftingError, NotReversible
from gifting.ledger.ledger import Ledger
from gifting.model.money import parse_key
from gifting.model.money_back import failed
from gifting.model.orders import Asked, Order
from gifting.model.refunds import spendable_since

log = logging.getLogger(__name__)


class Refunds:
    """Of all purchases."""

    def __init__(self, ledger: Ledger, purchases: Purchases, withdrawals: Withdrawals, reversals: Reversals) -> None:
        self._ledger = ledger
        self._purchases = purchases
        self._withdrawals = withdrawals
        self._reversals = reversals

    async def refund(self, order: Order, key: str, amount: int, gifts: Sequence[str], by: str, reason: str) -> Order:
        """Refund ``amount`` (minor units; 0: what is left) of an order and reverse those of its buyer's gifts; the same
        again under the key gives what was done then, and does what is left of it.

        Raises:
            BadKey
            KeyReused: something else was asked for under the key.
            GiftNotFound: one of the gifts is none of the buyer's.
            NotReversible: so much is not left, the order's state forbids it, or a gift is older than the payment.
            UnknownProvider: nobody could refund it.
            OutcomeUnknown, Unavailable
        """
        parse_key(key)
        name, chosen = key.lower(), tuple(sorted({parse_key(gift) for gift in gifts}))
        if name not in order.withdrawals:
            self._purchases.provider(order.provider)
            await self._check(order, chosen)
        asked = Asked(by, reason, chosen, whole=not amount)
        order = await self._ledger.refunds.ask(order.id, name, amount, asked, self._ledger.now_ms())
        log.warning("%s refunds %d of order %s: %s", by, order.withdrawals[name].amount, order.id, reason)
        await self._purchases.tell(order.user)
        try:
            return await self.finish(order, name)
        except GiftingError as error:  # no word for it: the coins are taken
            log.warning("the refund %s of order %s has to be finished later: %s", name, order.id, error)
            return await self._ledger.orders.get(order.id)

    async def finish(self, order: Order, name: str) -> Order:
        """Do what is left of a withdrawal: its refund, and the gifts that are reversed with it.

        Raises:
            GiftingError: it is to be done again.
        """
        order = await self._withdrawals.finish(order, name)
        one = order.withdrawals[name]
        if one.asked is None or one.asked.reversed_at or not one.done_at or failed(order, name):
            return order
        for gift in one.asked.gifts:
            await self._reversals.reverse(order.user, str(UUID(bytes=gift)), one.asked.by, one.asked.reason, order.id)
        return await self._ledger.refunds.reversed(order.id, name, self._ledger.now_ms())

    async def _check(self, order: Order, gifts: Sequence[bytes]) -> None:
        since = spendable_since(order)
        for gift in gifts:
            if (await self._reversals.find(order.user, gift)).at < since:
                raise NotReversible(f"The gift {UUID(bytes=gift)} was given before the purchase was paid.")
