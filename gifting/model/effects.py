"""What a payment provider can say of an order: effects, each with a key of its own, so that it acts once."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final

from msgspec import Struct

from gifting.model.money import make_key, parse_key

WHOLE: Final = 100_000
"""The parts of a price that :attr:`Effect.share` counts: Apple's thousandths of a percent."""


class Kind(StrEnum):
    PAYING = "paying"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    REFUND_FAILED = "refund_failed"
    """Also a refund that the provider took back later."""
    DISPUTED = "disputed"
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"
    FRAUD_WARNING = "fraud_warning"
    WARNING_CLEARED = "warning_cleared"


class Effect(Struct, frozen=True):
    """Something that is true of an order from now on, whoever said it and how often.

    ``object`` is the provider's id of what it is about (the payment, the refund, the dispute, the warning), ``at``
    that object's own time in ms, not the event's: two events about one refund are one effect. The order is named by
    ``order``, or by a ``reference`` that was noted before (``stripe:pi_…``); where both are given, the reference is
    noted.

    ``amount`` is in minor units of ``currency``, which is '' where the provider names none that could be compared. Of a
    refund or a dispute an amount of 0 means all that was paid, unless ``share`` names a part (of :data:`WHOLE`).
    ``withdrawal`` is the withdrawal that a refund carries out, where the provider tells.
    """

    provider: str
    object: str
    kind: Kind
    at: int
    order: str = ""
    reference: str = ""
    amount: int = 0
    currency: str = ""
    share: int = 0
    withdrawal: str = ""


def effect_key(effect: Effect) -> bytes:
    """The 16 bytes of a UUIDv7: from the object's own time, and from what happened to it."""
    content = "\n".join((effect.provider, effect.object, effect.kind, str(effect.amount), str(effect.share)))
    return parse_key(make_key(effect.at, hashlib.blake2b(content.encode(), digest_size=10).digest()))


def order_id(user: str, key: bytes) -> str:
    """The id of the order that a user began under a key: the same for ever, and in the order of time."""
    made = int.from_bytes(key[:6], "big")
    return make_key(made, hashlib.blake2b(user.encode() + b"\n" + key, digest_size=10).digest())
