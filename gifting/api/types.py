"""Bodies of the HTTP API, in and out. OpenAPI is generated from these types."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from gifting.config import TOKEN_TTL_MAX
from gifting.model.events import GiftInfo, Ranked
from gifting.model.ids import ID, TOKEN_ID
from gifting.model.money import MAX_AMOUNT
from gifting.model.text import PLAIN
from gifting.wire.messages import GIFT_TEXT_MAX, Count, Id

Title = Annotated[str, Meta(max_length=200, pattern=PLAIN)]
Name = Annotated[str, Meta(max_length=64, pattern=PLAIN)]
NewId = Annotated[str, Meta(pattern=ID)]


class Health(Struct):
    ok: bool


class CatalogReply(Struct):
    gifts: list[GiftInfo]


class OpenRoom(Struct):
    """A new stream. ``host_name`` is what gift events show; without it, the host's id."""

    room: NewId
    host: NewId
    title: Title = ""
    host_name: Name = ""


class RoomsReply(Struct):
    """Live rooms, by viewers or the newest first. ``cursor`` is for the next page; '' where there is none."""

    rooms: list[str]
    cursor: str


class EventsReply(Struct):
    """Events after ``since``: at most ``limit``, and fewer where they are large; none where there are no more.
    ``seq`` is where to go on; ``gap`` says that the log no longer reaches back so far.
    """

    room: str
    seq: int
    events: list[Any]
    gap: bool


class TopReply(Struct):
    top: list[Ranked]


class SendGiftBody(Struct):
    gift: Id
    key: str
    count: Count = 1
    message: Annotated[str, Meta(max_length=GIFT_TEXT_MAX, pattern=PLAIN)] | None = None


class Wallet(Struct):
    """``diamonds`` are milli-diamonds."""

    coins: int
    diamonds: int


class GrantBody(Struct):
    """Coins to issue, once per ``key`` (a UUIDv7)."""

    coins: Annotated[int, Meta(ge=1, le=MAX_AMOUNT)]
    key: str
    reason: Annotated[str, Meta(min_length=1, max_length=200, pattern=PLAIN)]


class GrantReply(Struct):
    coins: int
    duplicate: bool


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


class Revocation(Struct):
    """What to revoke, one of these: a token by its id (``jti``), or what a user or everyone was issued up to now."""

    token_id: Annotated[str, Meta(pattern=TOKEN_ID)] | None = None
    user: NewId | None = None
    everyone: Literal[True] | None = None


class RevocationReply(Struct):
    """``until`` is in seconds since 1970: what was issued (``iat``) after that is good. Null for a single token."""

    ok: bool
    until: float | None = None
