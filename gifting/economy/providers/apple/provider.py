"""Apple's App Store: paid in the app, told by signed notifications, and by the app itself that was just paid."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from gifting.economy.providers.apple.api import Api
from gifting.economy.providers.apple.signed import (
    ASKED,
    HANDED_IN,
    PUSHED,
    Notification,
    Signed,
    Way,
)
from gifting.economy.providers.apple.told import NAME, SIGNIFICANT, of_notification, of_transaction
from gifting.economy.providers.base import Checkout, Facts, ProviderRefused, Reason, RefundRequest, Told, refused
from gifting.economy.providers.shelf import Shelf
from gifting.economy.providers.threads import Threads
from gifting.errors import BadReceipt, BadWebhook
from gifting.model.effects import WHOLE
from gifting.model.lots import consumed
from gifting.model.orders import Order
from gifting.model.settlements import SettledPage

log = logging.getLogger(__name__)

CHECK_TIMEOUT: Final = 15.0
"""Seconds for all signatures of one notification, with what Apple is asked about its certificates."""

CHECKS: Final = 4
"""Notifications whose signatures are checked at once."""


class _Body(msgspec.Struct):
    signedPayload: str  # noqa: N815


class Apple:
    """As :class:`gifting.economy.providers.base.Provider` has it.

    Args:
        consent: whether all users have agreed that Apple is told what they used up; without it nothing is.
    """

    name = NAME

    def __init__(self, signed: Signed, api: Api, shelf: Shelf, *, live: bool, consent: bool) -> None:
        self.live = live
        self._signed = signed
        self._api = api
        self._shelf = shelf
        self._consent = consent
        self._threads = Threads(CHECKS, CHECK_TIMEOUT)

    def least(self, currency: str) -> int:
        """A store's products have prices that it takes."""
        return 0

    async def create(self, order: Order, return_url: str) -> Checkout:
        """No page: the app asks StoreKit for the package's product, with the order's id as ``appAccountToken``."""
        if not self._shelf.product(order.package):
            raise ProviderRefused("The App Store sells packages only, of those that have a product there.")
        return Checkout("", "", order.expires)

    async def claim(self, order: Order, receipt: str) -> Sequence[Told]:
        """``receipt`` is the transaction as StoreKit signed it (``jwsRepresentation``)."""
        try:
            bought = await self._threads.run(lambda: self._signed.transaction(receipt, HANDED_IN, _now()))
            return of_transaction(bought, order, self._shelf.product(order.package))
        except BadWebhook as error:
            raise BadReceipt(f"The receipt is not believed ({error.reason}).") from None

    async def verify(self, body: bytes, headers: Mapping[str, str], now_ms: int) -> Sequence[Told]:
        try:
            signed = msgspec.json.decode(body, type=_Body).signedPayload
        except (msgspec.DecodeError, RecursionError):
            raise refused(Reason.MALFORMED) from None
        return await self._told(signed, PUSHED, now_ms)

    async def reconcile(self, since_ms: int) -> Sequence[Told]:
        """All notifications since, whether they arrived or not. One that is not believed does not hide the others."""
        told: list[Told] = []
        now = _now()
        async for signed in self._api.notifications(since_ms, now):
            try:
                told += await self._told(signed, ASKED, now)
            except BadWebhook as error:
                log.warning("a notification of Apple's history is left out (%s): %s", error.reason, error.detail)
        return told

    async def settlements(self, since_ms: int, until_ms: int, page: str) -> SettledPage:
        raise ProviderRefused("Apple tells it in reports: take in their files.")

    async def refund(self, order: Order, amount: int, key: str) -> None:
        raise ProviderRefused("Only Apple refunds what was paid in its store; the buyer asks there.")

    async def give_back(self, order: Order, payment: str) -> None:
        raise ProviderRefused("Apple alone gives back what its store took.")

    async def delivered(self, order: Order) -> None:
        """Apple waits for nothing from here: the app finishes the transaction."""

    async def answer_refund_request(self, request: RefundRequest, facts: Facts) -> None:
        """Share used up, and what we would do. Nothing is said of a user without consent."""
        if not self._consent:
            raise ProviderRefused("Apple is told nothing without the users' consent (apple_consent).")
        await self._api.consumption(request.token, _answer(consumed(facts.order, facts.unspent)))

    async def close(self) -> None:
        await self._api.close()

    async def _told(self, signed: str, way: Way, now_ms: int) -> list[Told]:
        told: Notification = await self._threads.run(lambda: self._signed.notification(signed, way, now_ms))
        if told.kind not in SIGNIFICANT or told.transaction is None:
            return []
        named = told.transaction.order
        order = await self._shelf.order(named) if named else None
        if order is None and not self._shelf.sells(told.transaction.product):
            return []  # the application sells more than coins
        return of_notification(told, order, self._shelf.product(order.package) if order else "")


def _answer(used: int) -> dict[str, object]:
    preference = "GRANT_FULL" if not used else "DECLINE" if used == WHOLE else "GRANT_PRORATED"
    return {
        "customerConsented": True,
        "consumptionPercentage": used,
        "deliveryStatus": "DELIVERED",
        "refundPreference": preference,
        "sampleContentProvided": False,
    }


def _now() -> int:
    return time.time_ns() // 1_000_000
