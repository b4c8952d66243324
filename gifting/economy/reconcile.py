"""The reconciliation: asks providers for what never came by webhook, and takes up what broke off half-way.

Every process does it, and may: what is told again changes nothing. It is bounded: each provider is asked for what is
new since it last answered, and of orders that wait for something a page is looked at in each round.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from gifting.config import Settings
from gifting.economy.overpaid import Overpaid
from gifting.economy.payouts import Payouts
from gifting.economy.providers.base import Provider, RefundRequest, Told
from gifting.economy.purchases import Purchases
from gifting.economy.refunds import Refunds
from gifting.economy.reversals import Reversals
from gifting.economy.support import Support
from gifting.errors import GiftingError, OrderNotFound, ProviderFailed
from gifting.ledger.ledger import Ledger
from gifting.model.consequences import OPEN, State, state
from gifting.model.effects import Effect, Kind
from gifting.model.orders import Order

log = logging.getLogger(__name__)

OVERLAP: Final = 600_000
"""ms before a provider's last answer from which it is asked again: events are listed late, and clocks differ."""

PAGE: Final = 100
"""Orders of a partition that one round looks at."""

GRACE: Final = 600_000
"""ms after which an order that nobody paid is over here: the provider's own word for it comes first."""


BANKS: Final = 14 * 86_400_000
"""ms after which one that somebody did pay is over, though the money has not come."""


class Reconciliation:
    """``rounds`` were done, and ``found`` is what no webhook had told."""

    def __init__(
        self,
        ledger: Ledger,
        settings: Settings,
        purchases: Purchases,
        refunds: Refunds,
        reversals: Reversals,
        support: Support,
        payouts: Payouts,
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._purchases = purchases
        self._refunds = refunds
        self._reversals = reversals
        self._support = support
        self._payouts = payouts
        self.overpaid = Overpaid(ledger, purchases)
        self._since: dict[str, int] = {}
        self.rounds = 0
        self.found = 0

    async def run(self) -> None:
        """For ever: a round every ``reconcile_interval``."""
        while True:
            await self.round()
            await asyncio.sleep(self._settings.reconcile_interval)

    async def round(self) -> None:
        """Ask everybody once, and take up what broke off."""
        for provider in self._purchases.providers.values():
            try:
                await self._ask(provider)
            except GiftingError as error:
                log.warning("%s can't be reconciled: %s", provider.name, error)
        try:
            await self.resume()
        except GiftingError as error:
            log.warning("orders that wait can't be looked at: %s", error)
        self.rounds += 1

    async def _ask(self, provider: Provider) -> None:
        now = self._ledger.now_ms()
        longest = now - round(self._settings.reconcile_window * 1000)
        told = await provider.reconcile(max(self._since.get(provider.name, 0), longest))
        if all([await self._take(one) for one in told]):
            self._since[provider.name] = now - OVERLAP

    async def _take(self, one: Told) -> bool:
        """Whether it is done with. One that leads nowhere, or must be told again, keeps no other from being taken."""
        try:
            changed = await self._purchases.take([one])
        except OrderNotFound as error:
            log.warning("a provider tells of an order that is not here: %s", error)
            return True
        except ProviderFailed as error:
            log.warning("a provider must be told or asked once more: %s", error)
            return False
        if changed and not isinstance(one, RefundRequest):
            log.warning("no webhook had told of %s for order %s", one.kind, one.order or one.reference)
        self.found += changed
        return True

    async def resume(self) -> None:
        """Take up what waits: payments that came twice, withdrawals and refunds, orders nobody will pay, holds of
        promotions, reversals, cases that are decided, payouts."""
        await self._ledger.orders.settle_promotions(self._ledger.now_ms(), PAGE)
        for order in await self._ledger.orders.due(self._ledger.now_ms(), PAGE):
            try:
                await self._take_up(order)
            except GiftingError as error:
                log.warning("order %s has to wait: %s", order.id, error)
        await self._finish_reversals()
        await self._finish_cases()
        await self._payouts.resume()

    async def _finish_reversals(self) -> None:
        """What is reversed at its sender is so at its host, too."""
        for one in await self._ledger.reversals.due(self._ledger.now_ms(), PAGE):
            try:
                await self._reversals.finish(one)
            except GiftingError as error:
                log.warning("a reversed gift of %s has to wait: %s", one.given.user, error)

    async def _finish_cases(self) -> None:
        """What is decided of a case is done, though nobody asks again."""
        for case in await self._ledger.cases.decided(PAGE):
            try:
                await self._support.finish(case)
            except GiftingError as error:
                log.warning("what is decided of case %s has to wait: %s", case.id, error)

    async def _take_up(self, order: Order) -> None:
        order = await self.overpaid.give_back(order)
        for name in order.withdrawals:
            order = await self._refunds.finish(order, name)
        now = self._ledger.now_ms()
        grace = GRACE if state(order) is State.CREATED else BANKS
        if state(order) in OPEN and now >= order.expires + grace:
            await self._purchases.take([Effect(order.provider, order.id, Kind.EXPIRED, now, order=order.id)])
