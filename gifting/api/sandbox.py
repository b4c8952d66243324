"""Sandbox: the checkout page of the provider with play money. Who knows a checkout's id may pay it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from gifting.api.access import PUBLIC
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint
from gifting.economy.providers.base import ProviderRefused
from gifting.economy.providers.sandbox import checkout as checkouts
from gifting.economy.providers.sandbox.cards import CARDS
from gifting.economy.providers.sandbox.checkout import Checkout
from gifting.economy.providers.sandbox.provider import Sandbox
from gifting.errors import NotFound


class CardReply(Struct):
    number: str
    label: str


class CheckoutReply(Struct):
    """What the page shows. ``amount`` is in minor units; ``refused`` says why the last step did not go well, or ''."""

    status: Literal["open", "confirm", "paid", "closed"]
    label: str
    amount: int
    currency: str
    expires: int
    return_url: str
    cards: list[CardReply]
    refused: str = ""


class PayBody(Struct):
    """``card`` is the number of one of the sandbox's cards."""

    card: Annotated[str, Meta(pattern=r"\A[0-9]{12,19}\Z")]


class ConfirmBody(Struct):
    """What the buyer answered to the card's question."""

    approved: bool


async def checkout(call: Call) -> CheckoutReply:
    return _reply(call, await _sandbox(call).find(call.path["checkout"]))


async def pay_checkout(call: Call) -> CheckoutReply:
    body: PayBody = call.body
    return await _step(call, lambda known, now: checkouts.pay(known, body.card, now))


async def confirm_checkout(call: Call) -> CheckoutReply:
    body: ConfirmBody = call.body
    return await _step(call, lambda known, now: checkouts.confirm(known, body.approved, now))


async def cancel_checkout(call: Call) -> CheckoutReply:
    return await _step(call, checkouts.close)


async def _step(call: Call, change: Callable[[Checkout, int], Checkout]) -> CheckoutReply:
    sandbox = _sandbox(call)
    try:
        return _reply(call, await sandbox.change(call.path["checkout"], change))
    except ProviderRefused as error:
        return _reply(call, await sandbox.find(call.path["checkout"]), error.detail)


def _sandbox(call: Call) -> Sandbox:
    if (sandbox := call.services.economy.sandbox) is None:
        raise NotFound("This server takes no play money.")
    return sandbox


def _reply(call: Call, found: Checkout, refused: str = "") -> CheckoutReply:
    return CheckoutReply(
        found.status(call.services.ledger.now_ms()),
        found.label,
        found.amount,
        found.currency,
        found.expires,
        found.return_url,
        [CardReply(card.number, card.label) for card in CARDS],
        refused,
    )


_PATH: Final = "/v1/sandbox/checkouts/{checkout}"

ENDPOINTS: Final = (
    Endpoint("GET", _PATH, "A checkout of the sandbox", PUBLIC, checkout, CheckoutReply),
    Endpoint("POST", f"{_PATH}/pay", "Pay it with a card", PUBLIC, pay_checkout, CheckoutReply, PayBody),
    Endpoint(
        "POST", f"{_PATH}/confirm", "Answer the card's question", PUBLIC, confirm_checkout, CheckoutReply, ConfirmBody
    ),
    Endpoint("POST", f"{_PATH}/cancel", "Don't pay it", PUBLIC, cancel_checkout, CheckoutReply),
)
