"""Refunds: a purchase whose coins may be spent is paid back, and gifts that its buyer gave since are reversed."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import Meta, Struct

from gifting.api.access import OPERATORS
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint
from gifting.api.reversals import Reason
from gifting.api.words import CURSOR
from gifting.archive.history import History, Line
from gifting.model.consequences import waits
from gifting.model.money_back import failed
from gifting.model.orders import Asked, Order
from gifting.model.prices import PRICE_MAX
from gifting.model.refunds import GIFTS_MAX, spendable_since
from gifting.wire.messages import Key

PAGE_MAX: Final = 500


class RefundBody(Struct):
    """``amount`` in minor units of the purchase's currency; 0 is all that has not gone back. ``gifts`` are the keys of
    gifts that the buyer gave since it was paid. ``key`` is a UUIDv7, made once for retries; ``reason`` is kept.
    """

    key: Key
    reason: Reason
    amount: Annotated[int, Meta(ge=0, le=PRICE_MAX)] = 0
    gifts: Annotated[list[Key], Meta(max_length=GIFTS_MAX)] = []


class RefundedGift(Struct):
    """``reversed`` once its coins are back; ``settled`` of them for a debt, such as that of the refund."""

    key: str
    reversed: bool
    paid: int
    bonus: int
    settled: int


class RefundReply(Struct):
    """``done``: the provider has taken the order to pay ``amount`` back, and the gifts are reversed. ``pending``: not
    all of that yet; it is finished by itself, and by the same request. ``failed``: the provider says no, the ``coins``
    and ``bonus`` coins that were taken (what was spent of them as debt) are given back. Times are ms since 1970.
    """

    order: str
    key: str
    status: Literal["pending", "done", "failed"]
    amount: int
    currency: str
    coins: int
    bonus: int
    gifts: list[RefundedGift]
    by: str
    reason: str
    at: int


async def refund_purchase(call: Call) -> RefundReply:
    body: RefundBody = call.body
    economy, by = call.services.economy, call.identity.user
    order = await economy.purchases.find(call.path["order"].lower())
    order = await economy.refunds.refund(order, body.key, body.amount, body.gifts, by, body.reason)
    return await _reply(call, order, body.key.lower())


async def _reply(call: Call, order: Order, name: str) -> RefundReply:
    one = order.withdrawals[name]
    asked = one.asked or Asked("", "")
    found = await call.services.ledger.reversals.of_gifts(order.user, asked.gifts)
    gifts = []
    for gift in asked.gifts:
        back = found[gift].returned if gift in found else None
        numbers = (back.paid, back.bonus, back.settled) if back else (0, 0, 0)
        gifts.append(RefundedGift(str(UUID(bytes=gift)), back is not None, *numbers))
    money = (one.amount, order.currency, one.coins, one.bonus)
    return RefundReply(order.id, name, _status(order, name), *money, gifts, asked.by, asked.reason, one.at)


def _status(order: Order, name: str) -> Literal["pending", "done", "failed"]:
    if failed(order, name):
        return "failed"
    return "pending" if waits(order, name) else "done"


class GiftSince(Struct):
    """A gift: ``reversed`` once that is begun. ``ts`` in ms since 1970."""

    key: str
    ts: int
    room: str
    creator: str
    gift: str
    count: int
    coins: int
    reversed: bool


class GiftsReply(Struct):
    """The newest first. ``next`` is the ``cursor`` of the page after, '' where there is none."""

    gifts: list[GiftSince]
    next: str


async def gifts_since(call: Call) -> GiftsReply:
    """What the buyer gave since the order was paid: what its coins may have been spent on. It needs an archive."""
    ledger = call.services.ledger
    order = await call.services.economy.purchases.find(call.path["order"].lower())
    history = History(call.services.archive, ledger.redis, ledger.keys)
    limit = max(call.query["limit"], 1)
    lines, following = await history.page(order.user, ["debit"], spendable_since(order), call.words["cursor"], limit)
    reversed_ = await ledger.reversals.of_gifts(order.user, [line.key for line in lines])
    return GiftsReply([_since(line, line.key in reversed_) for line in lines], following)


def _since(line: Line, is_reversed: bool) -> GiftSince:
    key = str(UUID(bytes=line.key))
    return GiftSince(key, line.ts, line.room, line.peer, line.about, line.gifts, line.coins, is_reversed)


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v1/purchases/{order}/gifts",
        "What the buyer gave since a purchase was paid, the newest first",
        OPERATORS,
        gifts_since,
        GiftsReply,
        query=(("limit", 100, PAGE_MAX),),
        words=(("cursor", CURSOR),),
        cost=5,
        page=100,
    ),
    Endpoint(
        "POST",
        "/v1/purchases/{order}/refund",
        "Refund a purchase, also of coins that are spent, and reverse gifts with it",
        OPERATORS,
        refund_purchase,
        RefundReply,
        RefundBody,
        cost=20,
        act="refunded a purchase",
    ),
)
