"""Stripe's events and what they mean for an order; the sandbox speaks of the same objects. Pure.

What an object says of itself counts, more than the name of the event that brings it: events come late, twice and in any
order, and an old one never undoes a newer, since each effect only adds a fact to the order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from gifting.economy.providers.base import Reason, refused
from gifting.model.effects import Effect, Kind

ORDER: Final = "gifting_order"
"""The field of an object's metadata that names our order; an object without it is somebody else's business."""

PAYOUT: Final = "gifting_payout"
"""That of a transfer's or a payout's, which names our payout."""

WITHDRAWAL: Final = "gifting_withdrawal"
"""That of a refund's, which names the withdrawal that it carries out."""

SIGNIFICANT: Final = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "charge.dispute.closed",
    "radar.early_fraud_warning.created",
    "review.closed",
)
"""The types of events that can change an order; others are taken and left alone."""


Read = TypeVar("Read", bound=Struct)


class Data(Struct):
    object: msgspec.Raw


class Event(Struct):
    """What is read of an event. ``account`` is there if it is of a connected account; ``created`` is in seconds."""

    id: str
    type: str
    created: int
    livemode: bool
    data: Data
    account: str | None = None


class Object(Struct):
    """What is read of all objects. Of one whose metadata does not name the order, ``payment_intent`` leads to it."""

    id: str
    created: int
    metadata: dict[str, str] | None = None
    payment_intent: str | None = None

    def says(self, field: str) -> str:
        """A field of the metadata; '' if it has none."""
        return (self.metadata or {}).get(field, "")


NOBODYS: Final = Object("", 0)
"""What is none of our orders."""


class Session(Object, kw_only=True):
    payment_status: str
    amount_total: int
    currency: str


class Money(Object, kw_only=True):
    """A refund, or a dispute."""

    amount: int
    currency: str
    status: str | None = None


class Review(Object, kw_only=True):
    reason: str


REFUNDS: Final[Mapping[str | None, Kind]] = {
    "pending": Kind.REFUNDED,  # it may still fail, and then the coins are given back
    "requires_action": Kind.REFUNDED,
    "succeeded": Kind.REFUNDED,
    "failed": Kind.REFUND_FAILED,
    "canceled": Kind.REFUND_FAILED,
}
DISPUTES: Final[Mapping[str | None, Kind]] = {
    "needs_response": Kind.DISPUTED,
    "under_review": Kind.DISPUTED,
    "won": Kind.DISPUTE_WON,
    "lost": Kind.DISPUTE_LOST,
}
"""Other statuses mean nothing: an inquiry (``warning_…``) withdraws no money."""


def read_event(body: bytes) -> Event:
    """Raises BadWebhook."""
    return read(body, Event)


def effects(provider: str, event: Event) -> list[Effect]:
    """What an event means for an order, in ``provider``'s name: one effect or none. Raises BadWebhook."""
    family = next((name for name in _FAMILIES if event.type.startswith(name)), "")
    if not family or event.type not in SIGNIFICANT:
        return []
    kind, seen = _FAMILIES[family](event)
    if kind is None or not (seen.says(ORDER) or seen.payment_intent):
        return []
    return [_effect(provider, kind, seen)]


def _session(event: Event) -> tuple[Kind | None, Object]:
    if not read(event.data.object, Object).says(ORDER):
        return None, NOBODYS
    seen = read(event.data.object, Session)
    if event.type == "checkout.session.expired":
        return Kind.EXPIRED, seen
    if event.type == "checkout.session.async_payment_failed":
        return Kind.FAILED, seen
    return (Kind.PAYING if seen.payment_status == "unpaid" else Kind.PAID), seen


def _refund(event: Event) -> tuple[Kind | None, Object]:
    seen = read(event.data.object, Money)
    return (Kind.REFUND_FAILED if event.type == "refund.failed" else REFUNDS.get(seen.status)), seen


def _dispute(event: Event) -> tuple[Kind | None, Object]:
    seen = read(event.data.object, Money)
    return (Kind.DISPUTE_WON if event.type.endswith("funds_reinstated") else DISPUTES.get(seen.status)), seen


def _warning(event: Event) -> tuple[Kind | None, Object]:
    return Kind.FRAUD_WARNING, read(event.data.object, Object)


def _review(event: Event) -> tuple[Kind | None, Object]:
    seen = read(event.data.object, Review)
    return (Kind.WARNING_CLEARED if seen.reason == "approved" else None), seen


_FAMILIES: Final[Mapping[str, Callable[[Event], tuple[Kind | None, Object]]]] = {
    "checkout.session.": _session,
    "refund.": _refund,
    "charge.dispute.": _dispute,
    "radar.early_fraud_warning.": _warning,
    "review.": _review,
}


def _effect(provider: str, kind: Kind, seen: Object) -> Effect:
    amount, currency = 0, ""
    if isinstance(seen, Session):
        amount, currency = seen.amount_total, seen.currency
    elif isinstance(seen, Money):
        amount, currency = seen.amount, seen.currency
    return Effect(
        provider,
        seen.id,
        kind,
        seen.created * 1000,
        order=seen.says(ORDER),
        reference=f"{provider}:{seen.payment_intent}" if seen.payment_intent else "",
        amount=amount,
        currency=currency.upper(),
        withdrawal=seen.says(WITHDRAWAL),
    )


def read(data: bytes | msgspec.Raw, kind: type[Read]) -> Read:
    """Raises BadWebhook."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise refused(Reason.MALFORMED, f"{str(error)[:200]}.") from None
