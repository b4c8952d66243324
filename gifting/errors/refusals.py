"""Understood and allowed, but the rules say no, or it is too much at once."""

from __future__ import annotations

from gifting.errors.base import GiftingError


class Refused(GiftingError):
    temporary = False
    status = 409


class NotFound(Refused):
    code = "not_found"
    help = "Check the address; /openapi.json lists them all."
    status = 404


class RoomNotFound(Refused):
    code = "room_not_found"
    help = "Check the room id; GET /v1/rooms lists the live ones."
    status = 404


class RoomEnded(Refused):
    code = "room_ended"
    help = "This stream is over; a new stream has a new room id."
    status = 410


class RoomTaken(Refused):
    code = "room_taken"
    help = "Another host uses this room id; choose another."


class TooManyLiveRooms(Refused):
    code = "too_many_live_rooms"
    help = "End another stream of this host first."


class NotJoined(Refused):
    code = "not_joined"
    help = "Join the room first."


class OwnRoom(Refused):
    code = "own_room"
    help = "Hosts can't send gifts to themselves, nor be blocked, muted or moderators in their own rooms."


class InsufficientCoins(Refused):
    code = "insufficient_coins"
    help = "Get more coins, then send the gift again with a new key."
    status = 402


class WalletFull(Refused):
    code = "wallet_full"
    help = "The wallet would pass the largest amount this server keeps (2^53 - 1)."


class ListFull(Refused):
    code = "list_full"
    help = "This list is as long as it may be; something must be taken off it first."


class KeyReused(Refused):
    code = "key_reused"
    help = "This key was used for something else; make a new key for every gift."


class KeyExpired(Refused):
    code = "key_expired"
    help = (
        "This attempt charged nothing; an earlier one with this key may have. Ask with `gift_status`: only `unknown` "
        "says that a new key is safe."
    )


class NotCharged(KeyExpired):
    """What a client makes of a key that expired, once the ledger has said so for certain."""

    code = "not_charged"
    help = "Nothing was charged, and by this key nothing can be any more: a new key is safe."


class KeyInFuture(Refused):
    code = "key_in_future"
    help = (
        "This attempt charged nothing; the key's own timestamp is ahead of `ping`. Send it again with the same key "
        "when its time has come, or ask with `gift_status`: only `unknown` says that a new key is safe."
    )


class Limited(GiftingError):
    temporary = True
    status = 429


class RateLimited(Limited):
    code = "rate_limited"
    help = "This attempt charged nothing; slow down, then try again, a gift with the same key."


class TooManyConnections(Limited):
    code = "too_many_connections"
    help = "Close a connection first, or try again later."


class ServerFull(Limited):
    code = "server_full"
    help = "Try again later; the operator can raise --connections or the limit of open files."
    status = 503


class TooManyRooms(Limited):
    code = "too_many_rooms"
    help = "Leave a room first."
    temporary = False


class TooManyTokens(Limited):
    code = "too_many_tokens"
    help = "Wait until some have expired; docs/tokens.md names the bounds and the ways out."
    temporary = False


class Overloaded(Limited):
    code = "overloaded"
    help = "This attempt charged nothing; try again in a moment, a gift with the same key."
    status = 503
