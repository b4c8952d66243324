"""Purchases and withdrawals as they are told."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from gifting.api.call import Call
from gifting.model.consequences import OPEN, State, state
from gifting.model.lots import withdrawable, withdrawable_until
from gifting.model.money_back import money_back
from gifting.model.orders import Order, Withdrawal


class ReceiptReply(Struct):
    """A withdrawal, or an operator's refund: the coins that were taken, and the money (minor units) that goes back for
    them.
    """

    key: str
    status: Literal["pending", "done", "failed"]
    coins: int
    bonus: int
    amount: int
    currency: str
    at: int
    ended_at: int


class WithdrawReply(Struct):
    """What would go back (``offered``), with the ``token`` to agree until then; or what went, as ``receipt``."""

    offered: bool
    coins: int
    bonus: int
    amount: int
    currency: str
    token: str = ""
    until: int = 0
    receipt: ReceiptReply | None = None


class PurchaseReply(Struct):
    """An order. Money is in minor units of ``currency``, times are ms since 1970; 0 is never.

    ``url`` is where it is paid, '' where that can't be any more, or is done in an app. ``bonus`` coins come on top of
    ``coins``; ``taken`` coins were taken back, and ``refunded`` is the money that went back. Unspent coins may go back
    for ``withdraw_days`` after it is paid, until ``withdraw_until``, and just now if ``withdrawable``; where
    ``refundable`` is false, never. ``terms`` are the region's own words for it, as they were before it was paid.
    """

    id: str
    user: str
    state: State
    provider: str
    package: str
    coins: int
    bonus: int
    price: int
    discount: int
    currency: str
    region: str
    promotion: str
    created: int
    expires: int
    url: str
    refundable: bool
    withdraw_days: int
    withdrawable: bool
    withdraw_until: int
    taken: int
    refunded: int
    terms: str
    receipts: list[ReceiptReply]


class PurchasesReply(Struct):
    """The newest first."""

    purchases: list[PurchaseReply]


def purchase_reply(call: Call, order: Order) -> PurchaseReply:
    """An order as it is now."""
    now = call.services.ledger.now_ms()
    found = state(order)
    return PurchaseReply(
        id=order.id,
        user=order.user,
        state=found,
        provider=order.provider,
        package=order.package,
        coins=order.coins,
        bonus=order.bonus,
        price=order.price,
        discount=order.discount,
        currency=order.currency,
        region=order.region,
        promotion=order.promotion,
        created=order.created,
        expires=order.expires,
        url=order.url if found in OPEN and now < order.expires else "",
        refundable=order.refundable,
        withdraw_days=order.withdraw_days,
        withdrawable=withdrawable(order, now),
        withdraw_until=withdrawable_until(order),
        taken=sum(order.taken),
        refunded=money_back(order),
        terms=order.terms or call.services.rulebook.rules.regions.of(order.region).terms,
        receipts=[receipt_reply(order, name, one) for name, one in order.withdrawals.items()],
    )


def receipt_reply(order: Order, name: str, one: Withdrawal) -> ReceiptReply:
    """A withdrawal of an order, under its name."""
    status: Literal["pending", "done", "failed"] = "failed" if one.failed_at else "done" if one.done_at else "pending"
    ended = one.failed_at or one.done_at
    return ReceiptReply(name, status, one.coins, one.bonus, one.amount, order.currency, one.at, ended)
