"""Purchases: coins for money. What an order comes to is what its provider says of the money, and nothing else."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from gifting.api.access import BUYER, BUYERS, OPERATORS
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint
from gifting.api.purchase_replies import (
    PurchaseReply,
    PurchasesReply,
    WithdrawReply,
    purchase_reply,
    receipt_reply,
)
from gifting.economy.draft import Wanted
from gifting.errors import BadMessage
from gifting.model.effects import Effect, Kind
from gifting.model.money import parse_key
from gifting.model.orders import Order
from gifting.model.prices import PRICE_MAX
from gifting.model.text import PLAIN
from gifting.wire.messages import Key

LISTED_MAX: Final = 200

Region = Annotated[str, Meta(pattern=r"\A([A-Z]{2})?\Z")]


class PurchaseBody(Struct):
    """What to buy: a ``package``, or a free number of ``coins``. ``key`` is a UUIDv7, made once and kept for retries.

    ``currency`` is the region's usual one where none is given; a ``region``, if one is, must be the token's.
    ``promotion`` and ``price`` (minor units) are what the buyer was shown, where it must be so still. ``return_url`` is
    where the buyer comes back to: an address of this server, or of an origin that may use it.
    """

    key: Key
    provider: Annotated[str, Meta(pattern=r"\A[a-z]{1,20}\Z")]
    package: Annotated[str, Meta(max_length=40, pattern=PLAIN)] = ""
    coins: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    region: Region = ""
    currency: Annotated[str, Meta(pattern=r"\A([A-Z]{3})?\Z")] = ""
    promotion: Annotated[str, Meta(max_length=40, pattern=PLAIN)] = ""
    price: Annotated[int, Meta(ge=0, le=PRICE_MAX)] = 0
    return_url: Annotated[str, Meta(max_length=500, pattern=PLAIN)] = ""


class ClaimBody(Struct):
    """``receipt`` is what the store gave the buyer's device."""

    receipt: Annotated[str, Meta(min_length=1, max_length=4000)]


class WithdrawBody(Struct):
    """``key`` is a UUIDv7, made once per withdrawal. Without the ``token`` it is only said what would go back."""

    key: Key
    token: Annotated[str, Meta(max_length=200)] = ""


async def begin_purchase(call: Call) -> PurchaseReply:
    body: PurchaseBody = call.body
    identity = call.identity
    if bool(body.package) == bool(body.coins):
        raise BadMessage("Name a package or a number of coins.")
    wanted = Wanted(
        identity.user,
        identity.standing,
        parse_key(body.key),
        body.provider,
        body.package,
        body.coins,
        body.currency,
        _return_url(call, body.return_url),
        body.promotion,
        body.price,
        body.region,
    )
    return purchase_reply(call, await call.services.economy.purchases.open(wanted, call.base_url))


async def purchase(call: Call) -> PurchaseReply:
    return purchase_reply(call, await _own(call))


async def purchases(call: Call) -> PurchasesReply:
    orders = await call.services.ledger.orders.of_user(call.identity.user)
    return PurchasesReply([purchase_reply(call, order) for order in orders[: call.query["limit"]]])


async def claim_purchase(call: Call) -> PurchaseReply:
    body: ClaimBody = call.body
    return purchase_reply(call, await call.services.economy.purchases.claim(await _own(call), body.receipt))


async def withdraw_purchase(call: Call) -> WithdrawReply:
    body: WithdrawBody = call.body
    order, name, withdrawals = await _own(call), body.key.lower(), call.services.economy.withdrawals
    if not body.token and name not in order.withdrawals:
        offer = await withdrawals.offer(order, name)
        return WithdrawReply(
            True, offer.coins, offer.bonus, offer.amount, order.currency, token=offer.token, until=offer.until
        )
    order, made = await withdrawals.withdraw(order, name, body.token)
    receipt = receipt_reply(order, name, made)
    return WithdrawReply(False, made.coins, made.bonus, made.amount, order.currency, receipt=receipt)


async def clear_warning(call: Call) -> PurchaseReply:
    """Its time is no earlier than the warning's, also where the provider's clock is ahead."""
    purchases, order = call.services.economy.purchases, await _own(call)
    at = max(call.services.ledger.now_ms(), order.warned_at)
    await purchases.take([Effect(order.provider, order.id, Kind.WARNING_CLEARED, at, order.id)])
    return purchase_reply(call, await purchases.find(order.id))


async def _own(call: Call) -> Order:
    user = "" if call.identity.role == "operator" else call.identity.user
    return await call.services.economy.purchases.find(call.path["order"].lower(), user)


def _return_url(call: Call, asked: str) -> str:
    """Raises BadMessage for an address that the buyer must not be sent to."""
    if not asked:
        return f"{call.base_url}/"
    parts = urlsplit(asked)
    origin = f"{parts.scheme}://{parts.netloc}"
    own = urlsplit(call.base_url)
    if origin not in {f"{own.scheme}://{own.netloc}", *call.services.settings.allowed_origins()}:
        raise BadMessage("return_url must be an address of this server, or of one of its origins.")
    return asked


_ONE: Final = "/v1/purchases/{order}"

ENDPOINTS: Final = (
    Endpoint("POST", "/v1/purchases", "Begin a purchase", BUYERS, begin_purchase, PurchaseReply, PurchaseBody, cost=5),
    Endpoint(
        "GET",
        "/v1/purchases",
        "Your own purchases, the newest first",
        BUYERS,
        purchases,
        PurchasesReply,
        query=(("limit", 50, LISTED_MAX),),
        page=50,
    ),
    Endpoint("GET", _ONE, "What became of a purchase", BUYER, purchase, PurchaseReply),
    Endpoint(
        "POST", f"{_ONE}/claim", "What a store gave for it", BUYER, claim_purchase, PurchaseReply, ClaimBody, cost=5
    ),
    Endpoint(
        "POST",
        f"{_ONE}/withdraw",
        "Give unspent coins back: first what would go back, then, with the token, do it",
        BUYER,
        withdraw_purchase,
        WithdrawReply,
        WithdrawBody,
        cost=5,
    ),
    Endpoint(
        "POST",
        f"{_ONE}/clear",
        "The fraud warning of it was looked into: its user may spend again",
        OPERATORS,
        clear_warning,
        PurchaseReply,
    ),
)
