"""The part of an event that is known before the ledger has seen it, as wire bytes. Lua appends the rest.

An event is a msgpack map of a fixed number of fields. Here the map's header and the known fields are written;
``ledger/lua/include`` appends :data:`STAMP` to all events and :data:`GIFT_DECIDED` to gifts.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec import msgpack as typed

from gifting.model.packing import pack

Tier = Literal["small", "medium", "large", "epic"]

Logged = Literal[
    "gift", "like", "comment", "share", "follow", "member", "comment_removed", "gift_reversed", "stream_end"
]
"""Types of events that are numbered, logged and replayed."""

State = Literal["viewers", "rank"]
"""Types of events that are neither: the snapshot covers them."""


class User(Struct, frozen=True):
    """Who did something: ``picture`` is an address or empty."""

    id: str
    name: str
    picture: str
    level: int


class Host(Struct, frozen=True):
    id: str
    name: str


class GiftInfo(Struct, frozen=True):
    """A gift of the catalog. ``coins`` is the price of one; ``image`` an address."""

    id: str
    name: str
    coins: int
    tier: Tier
    streakable: bool
    image: str


class Ranked(Struct, frozen=True):
    """A place in a room's ranking: ``coins`` that the user has sent there."""

    user: User
    coins: int


class _Stamped(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What the ledger says of every event that it logs: ``seq`` in its room, ``ts`` in ms since 1970."""

    seq: int
    ts: int
    id: str


class GiftEvent(_Stamped, frozen=True, tag="gift"):
    """A gift. ``count``, ``coins`` and ``diamonds`` (thousandths) are this event's, ``repeat_count`` is the streak's
    total. The end of a streak (``repeat_end``) comes as an event of its own, with a ``count`` of 0.
    """

    to_user: Host
    gift: GiftInfo
    user: User
    count: int
    coins: int
    message: str | None
    repeat_count: int
    repeat_end: bool
    streak_id: str
    diamonds: int


class LikeEvent(_Stamped, frozen=True, tag="like"):
    """Likes since the last one, of everybody together, and of the whole stream."""

    count: int
    total: int


class CommentEvent(_Stamped, frozen=True, tag="comment"):
    """``text`` is '' where it was removed."""

    user: User
    text: str


class ShareEvent(_Stamped, frozen=True, tag="share"):
    user: User


class FollowEvent(_Stamped, frozen=True, tag="follow"):
    user: User


class MemberEvent(_Stamped, frozen=True, tag="member"):
    """A viewer came; where many do, not each has one."""

    user: User


class CommentRemovedEvent(_Stamped, frozen=True, tag="comment_removed"):
    """What an earlier event said, a comment or a gift, is to be shown no longer. ``comment_id`` is its ``id``."""

    comment_id: str
    comment_seq: int


class GiftReversedEvent(_Stamped, frozen=True, tag="gift_reversed"):
    """An earlier gift was reversed: its sender has the ``coins`` back. ``gift_id`` is its ``id``; totals, ranking and
    goals stay as they were.
    """

    gift_id: str
    gift_seq: int
    coins: int


class StreamEndEvent(_Stamped, frozen=True, tag="stream_end"):
    """The last of a stream: its room takes no more gifts."""


class ViewersEvent(Struct, frozen=True, tag="viewers", tag_field="type"):
    """How many watch, on all nodes."""

    count: int


class RankEvent(Struct, frozen=True, tag="rank", tag_field="type"):
    """The three that have sent the most, when they have changed."""

    top: list[Ranked]


class WalletEvent(Struct, frozen=True, tag="wallet", tag_field="type"):
    """The coins a user has, told to the user's own sockets."""

    coins: int


class BudgetEvent(Struct, frozen=True, tag="budget", tag_field="type"):
    """``percent`` (50, 80 or 100) of a limit of the user's spending are reached, by a gift just now; told to the user's
    own sockets.
    """

    percent: int


class ReminderEvent(Struct, frozen=True, tag="reminder", tag_field="type"):
    """What the user has spent in the last ``minutes``: since the start of the hour in which this session's first gift
    was given. Every hour, to the own sockets.
    """

    minutes: int
    coins: int


class DestinationEvent(Struct, frozen=True, tag="destination", tag_field="type"):
    """Where the creator's money goes was changed, to an account with a payout provider that ends so; nothing is paid
    there before ``good_at`` (ms since 1970). ``help``: what to do if somebody else has done that. To the own sockets.
    """

    provider: str
    ending: str
    good_at: int
    help: str


LoggedEvent = (
    GiftEvent
    | LikeEvent
    | CommentEvent
    | ShareEvent
    | FollowEvent
    | MemberEvent
    | CommentRemovedEvent
    | GiftReversedEvent
    | StreamEndEvent
)
"""Numbered by ``seq``, kept in the room's log and replayed."""

UserEvent = WalletEvent | BudgetEvent | ReminderEvent | DestinationEvent
"""What concerns a user and no room."""

Event = LoggedEvent | ViewersEvent | RankEvent | UserEvent

decode_user: Final = typed.Decoder(User).decode
decode_gift_event: Final = typed.Decoder(GiftEvent).decode

STAMP: Final = ("seq", "ts", "id")
GIFT_STATIC: Final = ("type", "to_user", "gift", "user")
GIFT_SENT: Final = ("count", "coins", "message")
GIFT_DECIDED: Final = ("repeat_count", "repeat_end", "streak_id", "diamonds")
GIFT_FIELDS: Final = len(GIFT_STATIC) + len(GIFT_SENT) + len(GIFT_DECIDED) + len(STAMP)


def encode_user(user: Mapping[str, Any]) -> bytes:
    """A user ``{id, name, picture, level}`` as wire bytes."""
    return pack(user)


def encode_gift(gift: Mapping[str, Any]) -> bytes:
    """A catalog gift ``{id, name, coins, tier, streakable, image}`` as the field ``gift`` of its events."""
    return pack("gift") + pack(gift)


def encode_host(host: Mapping[str, Any]) -> bytes:
    """A host ``{id, name}`` as the field ``to_user`` of gift events."""
    return pack("to_user") + pack(host)


_GIFT_HEAD: Final = bytes((0x80 | GIFT_FIELDS,)) + pack("type") + pack("gift")
_USER: Final = pack("user")
_TEXT: Final = pack("text")


def encode_about(host: bytes, gift: bytes) -> bytes:
    """What all events of a gift in a room begin with; the bytes of the user follow.

    ``host`` and ``gift`` are wire bytes, from :func:`encode_host` and :func:`encode_gift`.
    """
    return b"".join((_GIFT_HEAD, host, gift, _USER))


def encode_sent(count: int, coins: int, message: str | None) -> bytes:
    """The fields :data:`GIFT_SENT`: what a sender decides anew for each gift."""
    return pack(("count", count, "coins", coins, "message", message))[1:]


def encode_post(kind: Logged, user: bytes, text: str | None = None) -> bytes:
    """:func:`encode_event` of what a user did, in one step; ``user`` is wire bytes."""
    if text is None:
        return _head(kind, 2 + len(STAMP)) + _USER + user
    return b"".join((_head(kind, 3 + len(STAMP)), _USER, user, _TEXT, pack(text)))


def encode_event(kind: Logged, fields: Mapping[str, Any], decided: int = 0) -> bytes:
    """An event other than a gift, open at the end: Lua appends ``decided`` fields and :data:`STAMP`."""
    parts = [_head(kind, 1 + len(fields) + decided + len(STAMP))]
    for name, value in fields.items():
        parts += (pack(name), pack(value))
    return b"".join(parts)


@lru_cache
def _head(kind: Logged, count: int) -> bytes:
    return bytes((0x80 | count,)) + pack("type") + pack(kind)
