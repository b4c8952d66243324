"""Stripe's balance transactions: what it settled. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Struct

from gifting.economy.providers.stripe_events import ORDER, PAYOUT
from gifting.economy.providers.stripe_money import from_stripe
from gifting.errors import ProviderFailed
from gifting.model.settlements import Kind, Settlement

KINDS: Final[Mapping[str, Kind]] = {
    "charge": "payment",
    "charge_failure": "payment",
    "refund": "refund",
    "refund_failure": "refund",
    "dispute": "dispute",
    "dispute_reversal": "dispute",
    "fee": "fee",
    "payout": "payout",
    "payout_reversal": "payout",
    "transfer": "transfer",
    "transfer_reversal": "transfer",
}
"""By ``reporting_category``, which is Stripe's own for accounting; others are no business of ours."""

WITHHELD: Final = "withheld_tax"
"""The type of a fee that is a tax. The tax on Stripe's own fee is a part of that."""


class Fee(Struct):
    amount: int
    type: str


class Source(Struct):
    """What moved the money: a charge, a refund, a dispute, a transfer. A dispute never names the order.

    ``amount`` is never below 0, and in the currency that the buyer paid in.
    """

    id: str
    metadata: dict[str, str] | None = None
    payment_intent: str | None = None
    amount: int = 0
    currency: str = ""

    @property
    def order(self) -> str:
        return (self.metadata or {}).get(ORDER, "")

    @property
    def payout(self) -> str:
        return (self.metadata or {}).get(PAYOUT, "")


NONE: Final = Source("")


class Moved(Struct):
    """What is read of a balance transaction, with its source expanded. ``created`` is in seconds."""

    id: str
    amount: int
    net: int
    currency: str
    created: int
    reporting_category: str
    exchange_rate: Decimal | None = None
    fee_details: list[Fee] = []
    source: Source | str | None = None

    @property
    def by(self) -> Source:
        return self.source if isinstance(self.source, Source) else NONE


def read_moved(body: bytes) -> Moved:
    """Raises ProviderFailed."""
    try:
        return msgspec.json.decode(body, type=Moved)
    except msgspec.DecodeError as error:
        raise ProviderFailed(f"Stripe's balance can't be read: {str(error)[:200]}.") from None


def settlement(provider: str, kind: Kind, moved: Moved, about: str) -> Settlement:
    """Of one movement. Where money is counted coarser here than at Stripe, what is rounded is in the fee."""
    currency = moved.currency.upper()
    tax = sum(fee.amount for fee in moved.fee_details if fee.type == WITHHELD)
    gross, tax, net = (from_stripe(amount, currency) for amount in (moved.amount, tax, moved.net))
    amount, paid_in, rate = _paid(moved, gross)
    return Settlement(
        provider,
        moved.id,
        about,
        kind,
        order_amount=amount,
        order_currency=paid_in,
        rate=rate,
        gross=gross,
        tax=tax,
        fee=gross - tax - net,
        net=net,
        currency=currency,
        at=moved.created * 1000,
        batch=moved.by.id if kind == "payout" else "",
    )


def _paid(moved: Moved, gross: int) -> tuple[int, str, str]:
    """What moved in the currency of the order, that, and the rate; as it was settled where nothing was converted."""
    by, settled = moved.by, moved.currency.upper()
    if moved.exchange_rate is None or by.currency.upper() in ("", settled):
        return gross, settled, ""
    amount = from_stripe(by.amount, by.currency.upper())
    return -amount if moved.amount < 0 else amount, by.currency.upper(), f"{moved.exchange_rate:f}"
