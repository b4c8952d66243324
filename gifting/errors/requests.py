"""What was sent can't be understood, or this token may not do it."""

from __future__ import annotations

from gifting.errors.base import GiftingError


class BadRequest(GiftingError):
    temporary = False
    status = 400


class BadMessage(BadRequest):
    code = "bad_message"
    help = "Send one map per message, with the fields and types that docs/protocol.md lists."


class UnknownOp(BadRequest):
    code = "unknown_op"
    help = "Use one of the ops that docs/protocol.md lists."


class MessageTooLarge(BadRequest):
    code = "message_too_large"
    help = "Send less in one message."
    status = 413


class MethodNotAllowed(BadRequest):
    code = "method_not_allowed"
    help = "Use a method that the header `Allow` of this answer names."
    status = 405


class BadId(BadRequest):
    code = "bad_id"
    help = "Ids of users and rooms are 1 to 64 ASCII letters, digits and _ . : @ -"


class HeadTooLarge(BadRequest):
    code = "head_too_large"
    help = "Send a shorter address and fewer headers."
    status = 431


class RequestTimeout(BadRequest):
    code = "request_timeout"
    help = "Send the whole request at once."
    temporary = True
    status = 408


class UpgradeRequired(BadRequest):
    code = "upgrade_required"
    help = "Ask for a WebSocket of version 13 (RFC 6455)."
    status = 426


class BadKey(BadRequest):
    code = "bad_key"
    help = "Make one UUIDv7 per gift and send it as `key`, in the usual 36-character form."


class BadAmount(BadRequest):
    code = "bad_amount"
    help = "Amounts are whole numbers from 1 up; docs/protocol.md gives the limits."


class UnknownGift(BadRequest):
    code = "unknown_gift"
    help = "Choose a gift id from GET /v1/catalog."


class Denied(GiftingError):
    temporary = False
    status = 403


class BadToken(Denied):
    code = "bad_token"
    help = "Send a token of this server as `Authorization: Bearer ...`."
    status = 401


class UnknownSigner(Denied):
    code = "unknown_signer"
    help = "The key that signed this token is being fetched; try again in a moment."
    temporary = True
    status = 503


class TokenExpired(Denied):
    code = "token_expired"
    help = "Get a new token, then connect again."
    status = 401


class TokenRevoked(Denied):
    code = "token_revoked"
    help = "Get a new token from whoever gave you this one."
    status = 401


class TokenInUrl(Denied):
    code = "token_in_url"
    help = (
        "Only overlay tokens may be in an address, since addresses are logged. Send it as `Authorization: Bearer ...` "
        "or, from a browser, as subprotocol `gifting.token.TOKEN` beside `gifting.v1.json`."
    )


class BadOrigin(Denied):
    code = "bad_origin"
    help = "The operator lists the allowed page origins in GIFTING_ORIGINS."


class Forbidden(Denied):
    code = "forbidden"
    help = "Use a token whose role and room allow this."
