"""What follows from what was done to a checkout of the sandbox: its events, as Stripe would tell them. Pure.

All events, also those to come, are computed from the little that is kept, with the ids and times that they have for
ever; beside it stands only which of them have been told.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from gifting.economy.providers.sandbox.cards import FATES, Fate
from gifting.economy.providers.sandbox.checkout import Checkout, Refund, bare, coming
from gifting.economy.providers.stripe_events import ORDER, WITHDRAWAL

TRIES_MAX: Final = 12
"""Times that an event is sent; after that only the reconciliation finds it."""

BACKOFF: Final = 500
"""ms until an event that was not taken is sent again; twice as long each time."""


class Happening(NamedTuple):
    """An event: when it happens (ms), its id, its type, and the object it is about."""

    at: int
    id: str
    type: str
    object: dict[str, Any]


def history(checkout: Checkout) -> list[Happening]:
    """All that happened and, as far as is known, will: by time."""
    return sorted(_happenings(checkout), key=lambda one: one.at)


def _happenings(checkout: Checkout) -> Iterator[Happening]:
    if not checkout.card:
        at = checkout.closed_at or checkout.expires
        yield _of_session(checkout, "expired", at, "unpaid")
        return
    fate, paid, later = FATES.get(checkout.card, Fate.PAYS), checkout.paid_at, checkout.paid_at + checkout.delay
    if fate in {Fate.LATER, Fate.LATER_FAILS}:
        yield _of_session(checkout, "completed", paid, "unpaid")
        ending = ("async_payment_succeeded", "paid") if fate is Fate.LATER else ("async_payment_failed", "unpaid")
        yield _of_session(checkout, ending[0], later, ending[1])
    else:
        yield _of_session(checkout, "completed", paid, "paid")
    if amount := coming(checkout):
        yield from _of_refund(checkout, Refund("", amount, later))
    for one in checkout.refunds:
        yield from _of_refund(checkout, one)
    if fate in {Fate.DISPUTE, Fate.DISPUTE_WON, Fate.DISPUTE_LOST}:
        yield from _of_dispute(checkout, fate, later)
    if fate is Fate.WARNING:
        yield _happening(checkout, later, "radar.early_fraud_warning.created", _object(checkout, "issfr", later))


def _of_session(checkout: Checkout, type_: str, at: int, status: str) -> Happening:
    seen = _object(checkout, "cs", checkout.created) | {
        "id": checkout.id,
        "payment_status": status,
        "amount_total": checkout.amount,
        "currency": checkout.currency.lower(),
    }
    return _happening(checkout, at, f"checkout.session.{type_}", seen)


def _of_refund(checkout: Checkout, one: Refund) -> Iterator[Happening]:
    name = f"re_{bare(checkout.order)}{bare(one.withdrawal)}"
    seen = _money(checkout, name, one.at, one.amount, "succeeded")
    seen["metadata"] |= {WITHDRAWAL: one.withdrawal} if one.withdrawal else {}
    yield _happening(checkout, one.at, "refund.created", seen)
    if FATES.get(checkout.card) is Fate.REFUND_FAILS:
        yield _happening(checkout, one.at + checkout.delay, "refund.failed", seen | {"status": "failed"})


def _of_dispute(checkout: Checkout, fate: Fate, at: int) -> Iterator[Happening]:
    seen = _money(checkout, f"du_{bare(checkout.order)}", at, checkout.amount, "needs_response")
    yield _happening(checkout, at, "charge.dispute.created", seen)
    if fate is not Fate.DISPUTE:
        ending = {"status": "won" if fate is Fate.DISPUTE_WON else "lost"}
        yield _happening(checkout, at + checkout.delay, "charge.dispute.closed", seen | ending)


def _money(checkout: Checkout, name: str, at: int, amount: int, status: str) -> dict[str, Any]:
    more = {"id": name, "amount": amount, "currency": checkout.currency.lower(), "status": status}
    return _object(checkout, "", at) | more


def _object(checkout: Checkout, kind: str, at: int) -> dict[str, Any]:
    return {
        "id": f"{kind}_{bare(checkout.order)}",
        "created": at // 1000,
        "payment_intent": checkout.payment,
        "metadata": {ORDER: checkout.order},
    }


def _happening(checkout: Checkout, at: int, type_: str, seen: dict[str, Any]) -> Happening:
    return Happening(at, f"evt_{type_}_{seen['id']}", type_, seen)


def event_body(one: Happening) -> bytes:
    """An event as Stripe writes it."""
    event = {
        "id": one.id,
        "object": "event",
        "type": one.type,
        "created": one.at // 1000,
        "livemode": False,
        "data": {"object": one.object},
    }
    return msgspec.json.encode(event)


def untold(checkout: Checkout) -> Happening | None:
    """The event to tell next."""
    return next((one for one in history(checkout) if one.id not in checkout.told), None)


def due(checkout: Checkout) -> int | None:
    """When (ms) it is to be told; None if all was."""
    one = untold(checkout)
    return None if one is None else max(one.at, checkout.again)


def sending(checkout: Checkout, now: int) -> Checkout:
    """Before an event is sent: it is sent again a while later, longer each time, unless somebody says it was taken."""
    return replace(checkout, tries=checkout.tries + 1, again=now + BACKOFF * 2**checkout.tries)


def taken(checkout: Checkout, event: str) -> Checkout:
    """The event was taken, or is given up."""
    return replace(checkout, told=(*checkout.told, event), tries=0, again=0)
