"""Gifts: which there are, sending one, and what became of one."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from gifting.api.access import PUBLIC, SENDERS, USER
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint
from gifting.model.events import GiftInfo
from gifting.model.text import PLAIN
from gifting.wire.messages import GIFT_TEXT_MAX, Confirmation, Count, Id, Key
from gifting.wire.replies import GiftReply, GiftStatusReply, gift_reply


class CatalogReply(Struct):
    gifts: list[GiftInfo]


class SendGiftBody(Struct):
    """``key`` is a UUIDv7, made once per gift and kept for retries. ``anonymous`` shows the room a made-up name;
    ``confirm`` is that of the ``confirm_required`` with which it was refused.
    """

    gift: Id
    key: Key
    count: Count = 1
    message: Annotated[str, Meta(max_length=GIFT_TEXT_MAX, pattern=PLAIN)] | None = None
    anonymous: bool = False
    confirm: Confirmation | None = None


async def catalog(call: Call) -> CatalogReply:
    return CatalogReply([GiftInfo(**gift.public()) for gift in call.services.ledger.catalog])


async def send_gift(call: Call) -> GiftReply:
    ledger, identity = call.services.ledger, call.identity
    room = await ledger.rooms.find(call.path["room"])
    body: SendGiftBody = call.body
    gateway = call.services.gateway
    sender = ledger.gifts.sender(identity.user, identity.public(), gateway.permits.terms(identity.standing))
    result = await gateway.giving.send(sender, identity.standing, room, body)
    gateway.given(identity.user, result)
    if not result.duplicate:
        gateway.wallets.changed(identity.user, result.coins)
    return gift_reply(room.id, result)


async def gift_status(call: Call) -> GiftStatusReply:
    return await call.services.ledger.gifts.status(call.path["user"], call.path["key"])


ENDPOINTS: Final = (
    Endpoint("GET", "/v1/catalog", "All gifts", PUBLIC, catalog, CatalogReply),
    Endpoint("POST", "/v1/rooms/{room}/gifts", "Send a gift", SENDERS, send_gift, GiftReply, SendGiftBody),
    Endpoint(
        "GET", "/v1/users/{user}/gifts/{key}", "What became of a gift", USER, gift_status, GiftStatusReply, cost=5
    ),
)
