"""Everything that can go wrong, and what to do about it.

::

    GiftingError
    ├── BadRequest                what was sent can't be understood
    │   ├── BadMessage              bad_message
    │   ├── UnknownOp               unknown_op
    │   ├── MessageTooLarge         message_too_large
    │   ├── MethodNotAllowed        method_not_allowed
    │   ├── BadId                   bad_id
    │   ├── HeadTooLarge            head_too_large
    │   ├── RequestTimeout          request_timeout
    │   ├── UpgradeRequired         upgrade_required
    │   ├── BadKey                  bad_key
    │   ├── BadAmount               bad_amount
    │   └── UnknownGift             unknown_gift
    ├── Denied                    this token may not do that
    │   ├── BadToken                bad_token
    │   ├── UnknownSigner           unknown_signer
    │   ├── TokenExpired            token_expired
    │   ├── TokenRevoked            token_revoked
    │   ├── TokenInUrl              token_in_url
    │   ├── BadOrigin               bad_origin
    │   └── Forbidden               forbidden
    ├── Refused                   understood and allowed, but the rules say no; this attempt charged nothing
    │   ├── NotFound                not_found
    │   ├── RoomNotFound            room_not_found
    │   ├── RoomEnded               room_ended
    │   ├── RoomTaken               room_taken
    │   ├── TooManyLiveRooms        too_many_live_rooms
    │   ├── NotJoined               not_joined
    │   ├── OwnRoom                 own_room
    │   ├── InsufficientCoins       insufficient_coins
    │   ├── WalletFull              wallet_full
    │   ├── KeyReused               key_reused
    │   ├── KeyExpired              key_expired
    │   │   └── NotCharged            not_charged: said by clients only
    │   └── KeyInFuture             key_in_future
    ├── Limited                   too much at once; later it will work
    │   ├── RateLimited             rate_limited
    │   ├── TooManyConnections      too_many_connections
    │   ├── ServerFull              server_full
    │   ├── TooManyRooms            too_many_rooms
    │   ├── TooManyTokens           too_many_tokens
    │   └── Overloaded              overloaded
    ├── Unavailable               the ledger can't be asked, or this node can't
    │   ├── LedgerUnavailable       ledger_unavailable
    │   ├── LedgerFull              ledger_full
    │   ├── LedgerHalted            ledger_halted
    │   ├── NotReady                not_ready
    │   ├── OutcomeUnknown          outcome_unknown
    │   └── Unconfirmed             unconfirmed
    └── StartError                the server or a command can't start, or not go on
        ├── BadSetting              bad_setting
        ├── NoServer                no_server
        ├── SeveralServers          several_servers
        ├── NoData                  no_data
        ├── BadCatalog              bad_catalog
        ├── NoRedis                 no_redis
        ├── DataDirInUse            data_dir_in_use
        ├── DiskFailed              disk_failed
        ├── MissingExtra            missing_extra
        ├── MissingTool             missing_tool
        ├── NotConfirmed            not_confirmed
        └── ServerFailed            server_failed

Every class carries a ``code`` (stable, for programs), a ``help`` sentence (for people: what to do), ``temporary``
(whether trying the same again can help) and the HTTP ``status`` it becomes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar


class GiftingError(Exception):
    """The root: catch it to catch everything this package raises on purpose."""

    code: ClassVar[str] = "internal"
    help: ClassVar[str] = (
        "Something failed inside the server. Try again, a gift with the same key; if it stays, tell the operator."
    )
    temporary: ClassVar[bool] = True
    status: ClassVar[int] = 500

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def message(self) -> str:
        """What happened, if more is known than the code says, and then what to do."""
        return f"{self.detail} {self.help}" if self.detail else self.help

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


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
    help = "Hosts can't send gifts to themselves."


class InsufficientCoins(Refused):
    code = "insufficient_coins"
    help = "Get more coins, then send the gift again with a new key."
    status = 402


class WalletFull(Refused):
    code = "wallet_full"
    help = "The wallet would pass the largest amount this server keeps (2^53 - 1)."


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


class Unavailable(GiftingError):
    temporary = True
    status = 503


class LedgerUnavailable(Unavailable):
    code = "ledger_unavailable"
    help = "This attempt charged nothing; try again in a moment, a gift with the same key."


class LedgerFull(Unavailable):
    code = "ledger_full"
    help = "This attempt charged nothing; the operator must give Redis more memory."


class LedgerHalted(Unavailable):
    code = "ledger_halted"
    help = "This attempt charged nothing; nothing is written before the operator has checked the books."


class NotReady(Unavailable):
    code = "not_ready"
    help = "Send clients to another node until this one works again; its log says more."


class OutcomeUnknown(Unavailable):
    code = "outcome_unknown"
    help = (
        "It may have happened or not. Send it again with the same key: you get the result, and are charged once at "
        "most. Where that says `key_expired`, ask with `gift_status`."
    )


class Unconfirmed(Unavailable):
    code = "unconfirmed"
    help = "It may have happened or not, and charged nothing. Look whether it did before you do it again."
    temporary = False


class StartError(GiftingError):
    temporary = False


class BadSetting(StartError):
    code = "bad_setting"
    help = "`gifting serve --help` lists every setting."


class NoServer(StartError):
    code = "no_server"
    help = "Start one with `gifting serve` or `gifting demo`, or say which with --url or --data-dir."


class SeveralServers(StartError):
    code = "several_servers"
    help = "Say which with --data-dir."


class NoData(StartError):
    code = "no_data"
    help = "Only `gifting serve` and `gifting demo` make a data directory; say which with --data-dir."


class BadCatalog(StartError):
    code = "bad_catalog"
    help = "Mend the file; gifting/model/catalog.toml is an example."


class NoRedis(StartError):
    code = "no_redis"
    help = (
        "Install the embedded one (pip install 'gifting[embedded]'), put redis-server 7 on PATH, or give --redis URL."
    )


class DataDirInUse(StartError):
    code = "data_dir_in_use"
    help = "Stop the other server, or give another --data-dir."


class DiskFailed(StartError):
    code = "disk_failed"
    help = "Nothing is acknowledged until all of it is on disk: free or mend the disk, then start again."


class MissingExtra(StartError):
    code = "missing_extra"
    help = "Measuring needs more packages: pip install 'gifting[bench]'."


class MissingTool(StartError):
    code = "missing_tool"
    help = "Install it, then try again."


class NotConfirmed(StartError):
    code = "not_confirmed"
    help = "Nothing was written. Answer y in a terminal, or say --yes."


class ServerFailed(StartError):
    code = "server_failed"
    help = "Start the server again; its log says what failed, and that is a fault in it to be reported."


def all_errors(root: type[GiftingError] = GiftingError) -> Iterator[type[GiftingError]]:
    """Every error that has a code of its own, in the order of the tree above."""
    for error in root.__subclasses__():
        if "code" in vars(error):
            yield error
        yield from all_errors(error)


def by_code(code: str, detail: str = "") -> GiftingError:
    """The error a server's reply names; an unknown code becomes the root, keeping its text."""
    for error in all_errors():
        if error.code == code:
            return error(detail)
    return GiftingError(f"{code}: {detail}")
