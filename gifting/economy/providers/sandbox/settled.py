"""What the sandbox settles of a checkout, as a provider of real money would: with a fee of each payment. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gifting.economy.providers.sandbox.checkout import Checkout
from gifting.economy.providers.sandbox.history import event_body, history
from gifting.economy.providers.stripe_events import effects, read_event
from gifting.model import settlements
from gifting.model.effects import Kind
from gifting.model.settlements import Settlement

FEE_BPS: Final = 290
"""Basis points of a payment, rounded down."""

MOVES: Final[Mapping[Kind, tuple[settlements.Kind, int]]] = {
    Kind.PAID: ("payment", 1),
    Kind.REFUNDED: ("refund", -1),
    Kind.REFUND_FAILED: ("refund", 1),
    Kind.DISPUTED: ("dispute", -1),
    Kind.DISPUTE_WON: ("dispute", 1),
}
"""What moves money, and where to; a dispute that is lost has moved it before."""


def settled(provider: str, checkout: Checkout, now: int) -> Iterator[Settlement]:
    """What was settled of a checkout until now."""
    for one in history(checkout):
        for effect in effects(provider, read_event(event_body(one))) if one.at <= now else ():
            if effect.kind in MOVES:
                kind, sign = MOVES[effect.kind]
                gross = sign * effect.amount
                fee = gross * FEE_BPS // 10_000 if kind == "payment" else 0
                money = (gross, effect.currency, "", gross, 0, fee, gross - fee, effect.currency)
                yield Settlement(provider, one.id, checkout.order, kind, *money, one.at)
