"""Users: what they have, and the coins that are issued to them."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from gifting.api.access import OPERATORS, USER
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint
from gifting.model.money import MAX_AMOUNT
from gifting.model.text import PLAIN
from gifting.wire.messages import Key


class Wallet(Struct):
    """``diamonds`` are milli-diamonds."""

    coins: int
    diamonds: int


class GrantBody(Struct):
    """Coins to issue, once per ``key`` (a UUIDv7)."""

    coins: Annotated[int, Meta(ge=1, le=MAX_AMOUNT)]
    key: Key
    reason: Annotated[str, Meta(min_length=1, max_length=200, pattern=PLAIN)]


class GrantReply(Struct):
    """``coins`` is the balance after; ``duplicate``: the key had been used for the same before."""

    coins: int
    duplicate: bool


async def wallet(call: Call) -> Wallet:
    return Wallet(*await call.services.ledger.wallets.read(call.path["user"]))


async def grant(call: Call) -> GrantReply:
    body: GrantBody = call.body
    services, user, operator = call.services, call.path["user"], call.identity.user
    granted = await services.ledger.wallets.grant(user, body.coins, body.key, body.reason, operator)
    if not granted.duplicate:
        services.gateway.wallets.changed(user, granted.coins)
    return GrantReply(*granted)


ENDPOINTS: Final = (
    Endpoint("GET", "/v1/users/{user}/wallet", "Coins and diamonds", USER, wallet, Wallet),
    Endpoint("POST", "/v1/users/{user}/grants", "Issue coins", OPERATORS, grant, GrantReply, GrantBody, act="granted"),
)
