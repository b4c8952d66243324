"""What a client may say: one struct per op, checked while it is decoded. Both codecs use the same structs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, get_args

from msgspec import Meta, Struct

from gifting.model.money import KEY, MAX_AMOUNT
from gifting.wire.confirm import CONFIRMATION

MAX_INT: Final = MAX_AMOUNT
"""Largest id or seq: JavaScript counts in doubles too."""

MAX_COUNT: Final = 9_999
"""Most gifts in one send."""

GIFT_TEXT_MAX: Final = 200
"""Characters of what is said with a gift."""

COMMENT_TEXT_MAX: Final = 500
"""Characters of a comment."""

Uint = Annotated[int, Meta(ge=0, le=MAX_INT)]
Id = Annotated[str, Meta(min_length=1, max_length=64)]
Count = Annotated[int, Meta(ge=1, le=MAX_COUNT)]
GiftText = Annotated[str, Meta(max_length=GIFT_TEXT_MAX)]
CommentText = Annotated[str, Meta(min_length=1, max_length=COMMENT_TEXT_MAX)]
Key = Annotated[str, Meta(extra_json_schema={"pattern": KEY})]
"""Checked where it is used, which has an error of its own for it."""

Confirmation = Annotated[str, Meta(pattern=CONFIRMATION)]

Lane = Literal["all", "live"]


class Message(Struct, frozen=True, tag_field="op", kw_only=True):
    """One message from a client; ``id`` comes back as ``re`` in its reply."""

    id: Uint


class Join(Message, frozen=True, tag="join", kw_only=True):
    """Subscribe to a room; with ``since``, first what came after that seq. ``epoch`` is what was told with it, if
    anything was.
    """

    room: Id
    since: Uint | None = None
    epoch: Uint | None = None
    lane: Lane | None = None


class Leave(Message, frozen=True, tag="leave", kw_only=True):
    room: Id


class SendGift(Message, frozen=True, tag="send_gift", kw_only=True):
    """Send ``count`` of a gift. ``key`` is a UUIDv7 the client makes once per gift and keeps for retries. ``anonymous``
    shows the room a made-up name; ``confirm`` is that of the ``confirm_required`` with which it was refused.
    """

    room: Id
    gift: Id
    key: Key
    count: Count = 1
    message: GiftText | None = None
    anonymous: bool = False
    confirm: Confirmation | None = None


class GiftStatus(Message, frozen=True, tag="gift_status", kw_only=True):
    """Ask what became of an own gift. ``key`` is the gift's."""

    key: Key


class Like(Message, frozen=True, tag="like", kw_only=True):
    room: Id
    count: Count = 1


class Comment(Message, frozen=True, tag="comment", kw_only=True):
    room: Id
    text: CommentText


class Share(Message, frozen=True, tag="share", kw_only=True):
    room: Id


class Follow(Message, frozen=True, tag="follow", kw_only=True):
    room: Id


class Refresh(Message, frozen=True, tag="refresh", kw_only=True):
    """Replace the connection's token by a newer one of the same user, role and room."""

    token: str


class Ping(Message, frozen=True, tag="ping", kw_only=True):
    """Answered with Redis' time, ``ts`` in ms: keys must be near it."""


AnyMessage = Join | Leave | SendGift | GiftStatus | Like | Comment | Share | Follow | Refresh | Ping

MESSAGES: Final[Mapping[str, type[Message]]] = {str(one.__struct_config__.tag): one for one in get_args(AnyMessage)}
"""What a client may say, by op."""

OPS: Final = frozenset(MESSAGES)
