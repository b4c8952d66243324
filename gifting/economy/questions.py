"""What stores ask before they refund: answered at once, for the store decides without us when its time is over.

An answer that can't be given is asked for again: who told of the question gets no good reply, so that the store sends
it once more, and the reconciliation finds it. What was answered is remembered in this process only: to answer twice
does no harm, since a store takes the first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from gifting.economy.providers.base import Facts, Provider, ProviderRefused, RefundRequest
from gifting.errors import OrderNotFound
from gifting.ledger.ledger import Ledger
from gifting.model.lots import unspent

log = logging.getLogger(__name__)

REMEMBERED: Final = 10_000
"""Questions that are known to be answered; the oldest are forgotten."""


class Questions:
    """``provider`` gives one by its name."""

    def __init__(self, ledger: Ledger, provider: Callable[[str], Provider]) -> None:
        self._ledger = ledger
        self._provider = provider
        self._answered: dict[tuple[str, str], None] = {}

    async def answer(self, request: RefundRequest) -> None:
        """Once, and not when it is too late. Raises OrderNotFound, ProviderFailed, Unavailable."""
        name = (request.provider, request.object)
        if name in self._answered:
            return
        if self._ledger.now_ms() >= request.until:
            log.error("%s asked about order %s, and is answered too late", request.provider, request.order)
        else:
            await self._answer(request)
        self._answered[name] = None
        if len(self._answered) > REMEMBERED:
            del self._answered[next(iter(self._answered))]

    async def _answer(self, request: RefundRequest) -> None:
        order = await self._ledger.orders.find(request.order or request.reference)
        if order is None:
            raise OrderNotFound(f"There is no order {request.order or request.reference}.")
        held = await self._ledger.orders.held(order.user)
        left = unspent(order, held.paid, held.orders.values())
        facts = Facts(order, left, held.account.purchased)
        try:
            await self._provider(request.provider).answer_refund_request(request, facts)
        except ProviderRefused as error:
            log.warning("%s does not take the answer about order %s: %s", request.provider, order.id, error)
