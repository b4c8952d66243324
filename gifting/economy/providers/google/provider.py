"""Google Play: paid in the app, told by pushes of Pub/Sub and by the app itself, looked up at Google each time.

What Google is not told within three days that it was delivered, it gives back. So a purchase is noted before its coins
are issued, and stays noted until Google has heard: by the call that issued them, by the next push of the same, or by
the worker that looks what is left.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Final

from gifting.economy.providers.base import Checkout, Facts, ProviderRefused, RefundRequest, Told
from gifting.economy.providers.google.play import Play
from gifting.economy.providers.google.push import Pusher
from gifting.economy.providers.google.told import (
    BOUGHT,
    CANCELLED,
    NAME,
    ONE_TIME,
    Notice,
    Purchase,
    of_purchase,
    of_review,
    of_voided,
    read_notice,
    read_purchase,
    reference,
)
from gifting.economy.providers.shelf import Shelf
from gifting.errors import BadReceipt, BadWebhook
from gifting.ledger.deliveries import Deliveries, Note
from gifting.model.effects import WHOLE, Kind
from gifting.model.lots import consumed
from gifting.model.orders import Order
from gifting.model.settlements import SettledPage

log = logging.getLogger(__name__)

DAY_MS: Final = 86_400_000

VOIDED_BACK: Final = 29 * DAY_MS
"""ms that Google remembers what was given back; it refuses to be asked for more than 30 days."""

DELIVERED_WITHIN: Final = 3 * DAY_MS
"""ms after which Google gives back what it did not hear of."""


class Google:
    """As :class:`gifting.economy.providers.base.Provider` has it, for the application ``package``."""

    name = NAME

    def __init__(
        self, play: Play, pusher: Pusher, shelf: Shelf, deliveries: Deliveries, package: str, *, live: bool
    ) -> None:
        self.live = live
        self._play = play
        self._pusher = pusher
        self._shelf = shelf
        self._deliveries = deliveries
        self._package = package

    def least(self, currency: str) -> int:
        """A store's products have prices that it takes."""
        return 0

    async def create(self, order: Order, return_url: str) -> Checkout:
        """No page: the app launches the package's product, with the order's id as obfuscated profile id."""
        if not self._shelf.product(order.package):
            raise ProviderRefused("Google Play sells packages only, of those that have a product there.")
        return Checkout("", "", order.expires)

    async def claim(self, order: Order, receipt: str) -> Sequence[Told]:
        """``receipt`` is the purchase token."""
        try:
            bought = read_purchase(await self._play.purchase(receipt))
            return [await self._bought(bought, receipt, order, _now())]
        except BadWebhook as error:
            raise BadReceipt(f"The receipt is not believed ({error.reason}).") from None
        except ProviderRefused as error:
            raise BadReceipt(error.detail) from None

    async def verify(self, body: bytes, headers: Mapping[str, str], now_ms: int) -> Sequence[Told]:
        await self._pusher.check(headers.get("authorization", ""), now_ms)
        notice = read_notice(body, self._package)
        if (one := notice.oneTimeProductNotification) and one.notificationType in (BOUGHT, CANCELLED):
            return await self._looked_up(one.purchaseToken, notice.at)
        return await self._taken_back(notice)

    async def reconcile(self, since_ms: int) -> Sequence[Told]:
        """What was voided since, and what Google waits to hear of."""
        now = _now()
        told: list[Told] = []
        async for item in self._play.voided(max(since_ms, now - VOIDED_BACK), now):
            name, at = str(item.get("orderId", "")), str(item.get("voidedTimeMillis", ""))
            if at.isdecimal() and (order := await self._shelf.order(reference(name))):
                told.append(of_voided(name, order, int(at)))
        return told + await self._undelivered(now)

    async def settlements(self, since_ms: int, until_ms: int, page: str) -> SettledPage:
        raise ProviderRefused("Google tells it in reports: take in their files.")

    async def refund(self, order: Order, amount: int, key: str) -> None:
        """All of it, or nothing: that is what Google does for others."""
        if amount != order.price:
            raise ProviderRefused("Google Play gives back the whole price, or the buyer asks Google.")
        purchase, _ = await self._counting(order)
        await self._play.refund(purchase)

    async def give_back(self, order: Order, payment: str) -> None:
        raise ProviderRefused("Google gives back in its console what its store took.")

    async def delivered(self, order: Order) -> None:
        """A no of Google's is left to the worker, and to whoever reads the log: what was issued stays issued."""
        purchase, noted = await self._counting(order)
        if noted is None:
            return
        try:
            await self._consume(purchase, *noted[1])
        except ProviderRefused as error:
            log.error("%s is not consumed: %s", purchase, error)

    async def close(self) -> None:
        await self._play.close()
        await self._pusher.close()

    async def answer_refund_request(self, request: RefundRequest, facts: Facts) -> None:
        """Share used up, and what we would do: approve where nothing was."""
        used = consumed(facts.order, facts.unspent)
        body = {
            "pendingRefundToken": request.token,
            "sampleContentProvided": False,
            "refundPreference": "APPROVE" if not used else "DECLINE" if used == WHOLE else "NEUTRAL",
            "consumptionPercentageMilliunits": used,
        }
        await self._play.review(request.reference.removeprefix(f"{NAME}:"), body)

    async def _looked_up(self, token: str, at: int) -> list[Told]:
        """What is pushed says only that something changed; what it is now, Google is asked."""
        bought = read_purchase(await self._play.purchase(token))
        order = await self._shelf.order(bought.order) if bought.order else None
        if order is None and not self._shelf.sells(bought.product):
            return []  # the application sells more than coins
        return [await self._bought(bought, token, order, at)]

    async def _bought(self, bought: Purchase, token: str, order: Order | None, at: int) -> Told:
        effect = of_purchase(bought, order, self._shelf.product(order.package) if order else "", at, live=self.live)
        if effect.kind is Kind.PAID and not bought.consumed:
            await self._deliveries.note(effect.reference, effect.at, [bought.product, token])
        elif bought.id:
            await self._deliveries.done(reference(bought.id))
        return effect

    async def _taken_back(self, notice: Notice) -> list[Told]:
        voided, review = notice.voidedPurchaseNotification, notice.pendingRefundReviewNotification
        if voided and voided.productType == ONE_TIME and (order := await self._of(voided.orderId)):
            return [of_voided(voided.orderId, order, notice.at)]
        if review and (order := await self._of(review.orderId)):
            return [of_review(review, order, notice.at)]
        return []

    async def _of(self, purchase: str) -> Order | None:
        """The order of a purchase; other products of the same application have none."""
        return await self._shelf.order(reference(purchase))

    async def _counting(self, order: Order) -> tuple[str, Note | None]:
        """The purchase that the coins are for, and its note: one that Google has heard of, else the first.

        Google never hears of another, which it gives back by itself.
        """
        paid = sorted((at, name) for name, at in order.payments.items() if name not in order.refunds)
        noted = [(name, await self._deliveries.get(reference(name))) for _, name in paid]
        return next((one for one in noted if one[1] is None), (noted or [("", None)])[0])

    async def _undelivered(self, now: int) -> list[Told]:
        """The payments that Google waits to hear of, told again so that it does. What is too late is forgotten."""
        told: list[Told] = []
        for name, (at, (product, token)) in (await self._deliveries.waiting(NAME)).items():
            try:
                told += await self._looked_up(token, at)
            except (BadWebhook, ProviderRefused) as error:
                log.error("Google is not told that %s (%s) was delivered: %s", name, product, error)
                if now - at > DELIVERED_WITHIN:
                    await self._deliveries.done(name)
        return told

    async def _consume(self, purchase: str, product: str, token: str) -> None:
        try:
            await self._play.consume(product, token)
        except ProviderRefused:
            if not await self._is_consumed(token):
                raise
        await self._deliveries.done(reference(purchase))

    async def _is_consumed(self, token: str) -> bool:
        try:
            return read_purchase(await self._play.purchase(token)).consumed
        except BadWebhook:
            return False


def _now() -> int:
    return time.time_ns() // 1_000_000
