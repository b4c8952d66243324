"""Overlays: the tokens that let a page in OBS watch one room."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from gifting.api.access import HOST
from gifting.api.call import Call
from gifting.api.endpoint import Done, Endpoint
from gifting.config import TOKEN_TTL_MAX
from gifting.errors import BadMessage
from gifting.wire.tokens import Rules, issue, make_token_id


class OverlayTokenBody(Struct):
    """``ttl`` is in seconds."""

    ttl: Annotated[int, Meta(ge=60, le=int(TOKEN_TTL_MAX))] = 30 * 86400


class OverlayTokenReply(Struct):
    """``url`` is the page to give to OBS; ``expires`` is in seconds since 1970."""

    token: str
    token_id: str
    room: str
    expires: int
    url: str


async def make_overlay_token(call: Call) -> OverlayTokenReply:
    """Noted before it is handed out, so that there is none which can't be revoked."""
    rules = Rules.of(call.services.settings)
    ttl = call.body.ttl
    if ttl > rules.ttl_max:
        raise BadMessage(f"ttl is {ttl}; a token may last {rules.ttl_max:.0f} s here.")
    ledger = call.services.ledger
    room = await ledger.rooms.find(call.path["room"])
    token_id = make_token_id(room.id)
    now = await ledger.overlays.note(room, token_id, ttl)
    secret = call.services.gateway.authenticator.keyring.secret
    token = issue(secret, room.host, "overlay", now=now, ttl=ttl, room=room.id, rules=rules, token_id=token_id)
    url = f"{call.base_url}/overlay#token={token}"
    return OverlayTokenReply(token, token_id, room.id, int(now + ttl), url)


async def revoke_overlay_token(call: Call) -> Done:
    ledger = call.services.ledger
    room = await ledger.rooms.find(call.path["room"])
    token_id = call.path["token_id"]
    await ledger.revocations.revoke_overlay(token_id, await ledger.overlays.expires(room, token_id))
    await call.services.gateway.close_revoked()
    return Done(True)


ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v1/rooms/{room}/overlay-tokens",
        "Make a token for an overlay",
        HOST,
        make_overlay_token,
        OverlayTokenReply,
        OverlayTokenBody,
        status=201,
        act="made an overlay token",
    ),
    Endpoint(
        "DELETE",
        "/v1/rooms/{room}/overlay-tokens/{token_id}",
        "Revoke a token; its sockets close",
        HOST,
        revoke_overlay_token,
        Done,
        act="revoked an overlay token",
    ),
)
