"""What a provider says it settled: one row for each movement of money on its side."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal["payment", "refund", "dispute", "fee", "payout"]

OF_ORDERS: Final = ("payment", "refund", "dispute")
"""Kinds that are about one order."""


class Settlement(NamedTuple):
    """Amounts are in minor units, below 0 where money goes back or out; ``gross`` less ``tax`` and ``fee`` is ``net``.

    Args:
        reference: the provider's own name of the movement, by which it counts once.
        order_id: '' where it is about none.
        tax: what the provider keeps back for a tax office.
        at: ms since 1970.
        batch: the provider's payout that it was in; '' where that is not told.
    """

    provider: str
    reference: str
    order_id: str
    kind: Kind
    gross: int
    tax: int
    fee: int
    net: int
    currency: str
    at: int
    batch: str = ""
