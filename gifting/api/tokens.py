"""Handlers about tokens: a room's overlays, and what operators revoke."""

from __future__ import annotations

from gifting.api import types
from gifting.api.call import Call
from gifting.errors import BadMessage
from gifting.wire.tokens import Rules, issue, make_token_id


async def make_overlay_token(call: Call) -> types.OverlayTokenReply:
    """Noted before it is handed out, so that there is none which can't be revoked."""
    rules = Rules.of(call.services.hub.settings)
    ttl = call.body.ttl
    if ttl > rules.ttl_max:
        raise BadMessage(f"ttl is {ttl}; a token may last {rules.ttl_max:.0f} s here.")
    ledger = call.services.ledger
    room = await ledger.room(call.path["room"])
    token_id = make_token_id(room.id)
    now = await ledger.overlays.note(room, token_id, ttl)
    secret = call.services.hub.keyring.secret
    token = issue(secret, room.host, "overlay", now=now, ttl=ttl, room=room.id, rules=rules, token_id=token_id)
    url = f"{call.base_url}/overlay#token={token}"
    return types.OverlayTokenReply(token, token_id, room.id, int(now + ttl), url)


async def revoke_overlay_token(call: Call) -> types.Health:
    ledger = call.services.ledger
    room = await ledger.room(call.path["room"])
    token_id = call.path["token_id"]
    await ledger.revocations.revoke_overlay(token_id, await ledger.overlays.expires(room, token_id))
    await call.services.hub.close_revoked()
    return types.Health(ok=True)


async def revoke(call: Call) -> types.RevocationReply:
    """By what the body names. On this node it holds when the reply is there, on others a second later."""
    body: types.Revocation = call.body
    if sum(one is not None for one in (body.token_id, body.user, body.everyone)) != 1:
        raise BadMessage("Name one of token_id, user and everyone.")
    until = await _revoke(call, body)
    await call.services.hub.close_revoked()
    return types.RevocationReply(True, until)


async def _revoke(call: Call, body: types.Revocation) -> float | None:
    ledger = call.services.ledger
    if body.token_id is not None:
        await ledger.revocations.revoke_token(body.token_id)
        return None
    if body.user is None:
        return await ledger.revocations.revoke_everybody()
    until = await ledger.revocations.revoke_user(body.user)
    await ledger.overlays.forget(body.user)
    return until
