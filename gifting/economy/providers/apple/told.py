"""What a notification or a transaction of Apple's means for an order. Pure."""

from __future__ import annotations

from typing import Final

from gifting.economy.providers.apple.signed import Notification, Transaction
from gifting.economy.providers.base import Reason, RefundRequest, Told, refused
from gifting.model.effects import Effect, Kind
from gifting.model.orders import Order

NAME: Final = "apple"

ANSWER_WITHIN: Final = 12 * 3_600_000
"""ms in which Apple takes an answer to a request for consumption."""

SIGNIFICANT: Final = ("ONE_TIME_CHARGE", "REFUND", "REFUND_REVERSED", "REVOKE", "CONSUMPTION_REQUEST")
"""The types of notifications that mean something for an order; others are taken and left alone."""


def of_notification(told: Notification, order: Order | None, product: str) -> list[Told]:
    """``order`` is the one that the transaction names, ``product`` that of its package.

    Raises:
        BadWebhook: it is of no order, or not of what was ordered.
    """
    if told.kind not in SIGNIFICANT or told.transaction is None:
        return []
    bought = told.transaction
    known = matching(bought, order, product)
    match told.kind:
        case "CONSUMPTION_REQUEST":
            until = told.signed_at + ANSWER_WITHIN
            request = RefundRequest(NAME, told.id, known.id, reference(bought), told.signed_at, until, bought.id)
            return [_paid(bought, known), request]
        case "REFUND_REVERSED":
            return [_paid(bought, known), Effect(NAME, bought.id, Kind.REFUND_FAILED, told.signed_at, known.id)]
        case "REFUND" | "REVOKE" if not bought.revoked_at:
            raise refused(Reason.MALFORMED, "It does not say when it was refunded.")
    return of_transaction(bought, known, product)


def of_transaction(bought: Transaction, order: Order | None, product: str) -> list[Told]:
    """That it was paid, and that it was refunded, if it was. Raises BadWebhook."""
    known = matching(bought, order, product)
    told: list[Told] = [_paid(bought, known)]
    if bought.revoked_share:
        share = bought.revoked_share
        told.append(Effect(NAME, bought.id, Kind.REFUNDED, bought.revoked_at, known.id, share=share))
    return told


def matching(bought: Transaction, order: Order | None, product: str) -> Order:
    """The order, if this is its product, once, to be used up. Raises BadWebhook."""
    if order is None or order.provider != NAME or bought.order != order.id:
        raise refused(Reason.MISMATCH, f"Transaction {bought.id} is of no order: {bought.order[:64] or 'none named'}.")
    if not product or bought.product != product or bought.quantity != 1 or not bought.consumable:
        raise refused(Reason.MISMATCH, f"Transaction {bought.id}: {bought.quantity} x {bought.product[:64]}.")
    return order


def reference(bought: Transaction) -> str:
    """By which the transaction leads to its order."""
    return f"{NAME}:{bought.id}"


def _paid(bought: Transaction, order: Order) -> Effect:
    """No amount: the store's product stands for the price, which is told in the currency of the buyer's storefront."""
    return Effect(NAME, bought.id, Kind.PAID, bought.bought_at, order.id, reference(bought))
