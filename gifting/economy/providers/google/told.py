"""What Google tells of a purchase, and what it means for an order. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from gifting.economy.providers.base import Reason, RefundRequest, refused
from gifting.model.effects import Effect, Kind
from gifting.model.orders import Order

NAME: Final = "google"

ANSWER_WITHIN: Final = 24 * 3_600_000
"""ms in which Google takes a review of a refund."""

BOUGHT, CANCELLED = 1, 2
"""Types of a notification about a one-time product."""

ONE_TIME: Final = 2
"""The product type of a voided purchase that was no subscription."""


class Notice(Struct, frozen=True):
    """Of one kind each, of which the others are absent; what Google may add is left alone."""

    packageName: str  # noqa: N815
    eventTimeMillis: int | str  # noqa: N815
    oneTimeProductNotification: OneTime | None = None  # noqa: N815
    voidedPurchaseNotification: Voided | None = None  # noqa: N815
    pendingRefundReviewNotification: Review | None = None  # noqa: N815

    @property
    def at(self) -> int:
        return int(self.eventTimeMillis)


class OneTime(Struct, frozen=True):
    notificationType: int  # noqa: N815
    purchaseToken: str  # noqa: N815


class Voided(Struct, frozen=True):
    orderId: str  # noqa: N815
    productType: int  # noqa: N815


class Review(Struct, frozen=True):
    pendingRefundToken: str  # noqa: N815
    orderId: str  # noqa: N815


class _Message(Struct):
    data: str


class _Push(Struct):
    message: _Message


class Purchase(Struct, frozen=True):
    """A ``ProductPurchaseV2``: ``id`` is Google's own (``GPA.…``), ``order`` what the app said when it was bought."""

    id: str
    order: str
    product: str
    quantity: int
    state: str
    consumed: bool
    test: bool
    completed: datetime | None
    """When it was paid."""


def read_notice(body: bytes, package: str) -> Notice:
    """What a push of Pub/Sub carries. Raises BadWebhook."""
    try:
        push = msgspec.json.decode(body, type=_Push)
        notice = msgspec.json.decode(base64.b64decode(push.message.data, validate=True), type=Notice)
        timely = 0 < notice.at < 2**53
    except (ValueError, RecursionError):
        raise refused(Reason.MALFORMED) from None
    if not timely:
        raise refused(Reason.MALFORMED, "It does not say when it was.")
    if notice.packageName != package:
        raise refused(Reason.FOREIGN, f"It is of the application {notice.packageName[:80]}.")
    return notice


def read_purchase(told: Mapping[str, Any]) -> Purchase:
    """Of exactly one product. Raises BadWebhook."""
    try:
        items = told["productLineItem"]
        details = items[0].get("productOfferDetails") or {}
        found = {
            "id": told.get("orderId") or "",
            "order": told.get("obfuscatedExternalProfileId") or told.get("obfuscatedExternalAccountId") or "",
            "product": items[0]["productId"],
            "quantity": details.get("quantity", 1) if len(items) == 1 else 0,
            "state": told["purchaseStateContext"]["purchaseState"],
            "consumed": details.get("consumptionState") == "CONSUMPTION_STATE_CONSUMED",
            "completed": told.get("purchaseCompletionTime"),
            "test": told.get("testPurchaseContext") is not None,
        }
        return msgspec.convert(found, Purchase)
    except (LookupError, TypeError, AttributeError, msgspec.ValidationError):
        raise refused(Reason.MALFORMED, "Google tells a purchase that is not understood.") from None


def of_purchase(bought: Purchase, order: Order | None, product: str, at: int, *, live: bool) -> Effect:
    """What its state means, since ``at`` if it does not say itself since when.

    Raises BadWebhook where it is not what was ordered, or not real money.

    No amount: the store's product stands for the price, which is told in the currency of the buyer's country.
    """
    if bought.test is live:
        raise refused(Reason.MODE, "It is a test purchase." if live else "It is no test purchase.")
    known = matching(bought, order, product)
    match bought.state:
        case "PURCHASED" if bought.id:
            at = round(bought.completed.timestamp() * 1000) if bought.completed else at
            return Effect(NAME, bought.id, Kind.PAID, at, known.id, reference(bought.id))
        case "PENDING":
            return Effect(NAME, known.id, Kind.PAYING, at, known.id)
        case "CANCELLED":
            return Effect(NAME, known.id, Kind.FAILED, at, known.id)
    raise refused(Reason.MALFORMED, f"A purchase in state {bought.state[:40]}.")


def matching(bought: Purchase, order: Order | None, product: str) -> Order:
    """The order, if this is its product, once. Raises BadWebhook."""
    if order is None or order.provider != NAME or bought.order != order.id:
        raise refused(Reason.MISMATCH, f"Purchase {bought.id} is of no order: {bought.order[:64] or 'none named'}.")
    if not product or bought.product != product or bought.quantity != 1:
        raise refused(Reason.MISMATCH, f"Purchase {bought.id}: {bought.quantity} x {bought.product[:64]}.")
    return order


def of_voided(purchase: str, order: Order, at: int) -> Effect:
    """All of the money went back: the store gives back in part only what was bought several times at once.

    It is what carries out a withdrawal, if there is one.
    """
    withdrawn = (name for name, one in order.withdrawals.items() if one.amount == order.price and not one.failed_at)
    return Effect(NAME, purchase, Kind.REFUNDED, at, order.id, reference(purchase), withdrawal=next(withdrawn, ""))


def of_review(review: Review, order: Order, at: int) -> RefundRequest:
    name = reference(review.orderId)
    return RefundRequest(
        NAME, f"{review.orderId}:{at}", order.id, name, at, at + ANSWER_WITHIN, review.pendingRefundToken
    )


def reference(purchase: str) -> str:
    """By which Google's own name of a purchase leads to the order."""
    return f"{NAME}:{purchase}"
