"""What a provider says it settled: one row for each movement of money on its side."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final, Literal, NamedTuple

from gifting.model.currencies import EXPONENTS

Kind = Literal["payment", "refund", "dispute", "fee", "payout", "transfer"]

OF_ORDERS: Final = ("payment", "refund", "dispute")
"""Kinds that are about one order."""

OF_PAYOUTS: Final = ("transfer",)
"""Kinds that are about the payout of one creator; ``payout`` is what the provider pays to the platform."""


class Settlement(NamedTuple):
    """Amounts are in minor units, below 0 where money goes back or out; ``gross`` less ``tax`` and ``fee`` is ``net``.

    Args:
        reference: the provider's own name of the movement, by which it counts once.
        order_id: '' where it is about none; of a transfer to a creator, or one that is back, its payout's.
        order_amount: what moved in the currency of the order; ``gross``, where it is about none.
        rate: units of ``currency`` for one of ``order_currency``, a decimal, as the provider tells it; '' where both
            are the same.
        tax: what the provider keeps back for a tax office.
        currency: the one in which it is settled.
        at: ms since 1970.
        batch: the provider's payout that it was in; '' where that is not told.
    """

    provider: str
    reference: str
    order_id: str
    kind: Kind
    order_amount: int
    order_currency: str
    rate: str
    gross: int
    tax: int
    fee: int
    net: int
    currency: str
    at: int
    batch: str = ""


class SettledPage(NamedTuple):
    """Some of what a provider settled in a span of time. ``next`` names the page after, '' where there is none."""

    rows: Sequence[Settlement]
    next: str


def is_converted(one: Settlement) -> bool:
    """Whether ``gross`` is what the order's money comes to at the rate, as exactly as that is told."""
    if not one.rate:
        return (one.gross, one.currency) == (one.order_amount, one.order_currency)
    minor = Fraction(10) ** (EXPONENTS[one.currency] - EXPONENTS[one.order_currency])
    digits = len(one.rate.partition(".")[2])
    exact, unsure = (one.order_amount * minor * of for of in (Fraction(one.rate), Fraction(1, 10**digits)))
    return abs(exact - one.gross) <= 1 + abs(unsure)
