"""Tokens: what operators revoke."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from msgspec import Meta, Struct

from gifting.api.access import OPERATORS
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint
from gifting.errors import BadMessage
from gifting.model.ids import ID, TOKEN_ID


class Revocation(Struct):
    """What to revoke, one of these: a token by its id (``jti``), or what a user or everyone was issued up to now."""

    SCHEMA: ClassVar[dict[str, Any]] = {
        "oneOf": [
            {"required": [name], "properties": {name: {"type": kind}}}
            for name, kind in (("token_id", "string"), ("user", "string"), ("everyone", "boolean"))
        ]
    }
    """What of it JSON Schema can't tell from the fields."""

    token_id: Annotated[str, Meta(pattern=TOKEN_ID)] | None = None
    user: Annotated[str, Meta(pattern=ID)] | None = None
    everyone: Literal[True] | None = None


class RevocationReply(Struct):
    """``until`` is in seconds since 1970: what was issued (``iat``) after that is good. Null for a single token."""

    ok: Literal[True]
    until: float | None


async def revoke(call: Call) -> RevocationReply:
    """By what the body names. On this node it holds when the reply is there, on others a second later."""
    body: Revocation = call.body
    if sum(one is not None for one in (body.token_id, body.user, body.everyone)) != 1:
        raise BadMessage("Name one of token_id, user and everyone.")
    until = await _revoke(call, body)
    await call.services.gateway.close_revoked()
    return RevocationReply(True, until)


async def _revoke(call: Call, body: Revocation) -> float | None:
    ledger = call.services.ledger
    if body.token_id is not None:
        await ledger.revocations.revoke_token(body.token_id)
        return None
    if body.user is None:
        return await ledger.revocations.revoke_everybody()
    until = await ledger.revocations.revoke_user(body.user)
    await ledger.overlays.forget(body.user)
    return until


ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v1/tokens/revocations",
        "Revoke a token, or all of a user, or all",
        OPERATORS,
        revoke,
        RevocationReply,
        Revocation,
        act="revoked",
    ),
)
