"""What the server answers: a struct per reply, the snapshot of a room, and what a refusal says.

The HTTP API answers with the same structs. On a socket ``re`` and ``ok`` stand before their fields (:func:`answer`).
"""

from __future__ import annotations

from typing import Final, Literal, cast

from msgspec import UNSET, Raw, Struct, UnsetType, defstruct
from msgspec.structs import astuple, fields

from gifting.errors import GiftingError
from gifting.model.currencies import Money
from gifting.model.events import Event, GiftEvent, Host, Ranked
from gifting.model.house import RoomRules
from gifting.model.values import Result
from gifting.wire.messages import Uint


class Snapshot(Struct, frozen=True):
    """A room as it stands. ``diamonds`` are milli-diamonds; ``started`` is in ms since 1970; ``streaks`` are the open
    ones, of many the heaviest, as events with ``count`` 0; ``rules`` are the host's. ``epoch`` goes with ``seq``: a
    client that comes back says both.
    """

    id: str
    state: Literal["live", "ended"]
    seq: int
    title: str
    host: Host
    started: int
    coins: int
    diamonds: int
    likes: int
    viewers: int
    top: list[Ranked]
    streaks: list[GiftEvent]
    rules: RoomRules
    epoch: Uint | UnsetType = UNSET


class JoinReply(Struct, frozen=True):
    """``gap``: the log no longer reaches back to ``since``, or says something else; the snapshot is all there is."""

    room: Snapshot
    gap: bool


class LeaveReply(Struct, frozen=True):
    pass


class GiftReply(Struct, frozen=True):
    """A gift that was taken. ``coins`` is what is left. ``pending``: it is paid, and on its way to the room, which is
    slow to answer; the rest follows with its event.
    """

    coins: int
    duplicate: bool
    seq: int | UnsetType = UNSET
    event_id: str | UnsetType = UNSET
    repeat_count: int | UnsetType = UNSET
    streak_id: str | UnsetType = UNSET
    pending: bool | UnsetType = UNSET


class GiftStatusError(Struct, frozen=True):
    """``until`` and ``cap`` as in an error."""

    code: str
    message: str
    until: Uint | UnsetType = UNSET
    cap: Uint | UnsetType = UNSET


class GiftStatusReply(Struct, frozen=True):
    """What became of a gift. ``state`` is ``accepted`` (its result follows; ``coins``, ``repeat_count`` and
    ``streak_id`` only while they are remembered), ``refused`` (``error`` says why), ``open`` (never seen: send it again
    with the same key) or ``unknown`` (never seen, and can't be accepted any more: only then is a new key safe).
    ``pending``: it is paid, and on its way to the room; it has no ``seq`` and no ``event_id`` yet.
    """

    state: Literal["accepted", "refused", "open", "unknown"]
    room: str | UnsetType = UNSET
    gift: str | UnsetType = UNSET
    count: int | UnsetType = UNSET
    spent: int | UnsetType = UNSET
    ts: int | UnsetType = UNSET
    seq: int | UnsetType = UNSET
    event_id: str | UnsetType = UNSET
    coins: int | UnsetType = UNSET
    repeat_count: int | UnsetType = UNSET
    streak_id: str | UnsetType = UNSET
    pending: bool | UnsetType = UNSET
    error: GiftStatusError | UnsetType = UNSET


class EventReply(Struct, frozen=True):
    """``seq`` of the event that this became: of likes, of the one they were folded into."""

    seq: int


class CommentReply(Struct, frozen=True):
    """``seq`` of the comment. Where it is ``held``, that is 0: it waits until the host, or a moderator, has seen it."""

    seq: int
    held: bool


class RefreshReply(Struct, frozen=True):
    """``expires`` is in seconds since 1970."""

    expires: int


class PingReply(Struct, frozen=True):
    """``ts`` is the time of the ledger, ms since 1970."""

    ts: int


REPLIES: Final[dict[str, type[Struct]]] = {
    "join": JoinReply,
    "leave": LeaveReply,
    "send_gift": GiftReply,
    "gift_status": GiftStatusReply,
    "like": EventReply,
    "comment": CommentReply,
    "share": EventReply,
    "follow": EventReply,
    "refresh": RefreshReply,
    "ping": PingReply,
}
"""What each op is answered with."""


def _on_socket(reply: type[Struct]) -> type[Struct]:
    """A reply with the two fields that each has on a socket."""
    own = [(field.name, field.type, field.default) for field in fields(reply) if not field.required]
    needed = [(field.name, field.type) for field in fields(reply) if field.required]
    head = [("re", Uint), ("ok", Literal[True])]
    doc = {"__doc__": reply.__doc__}
    return defstruct(reply.__name__, [*head, *needed, *own], frozen=True, namespace=doc)


ON_SOCKET: Final[dict[type[Struct], type[Struct]]] = {reply: _on_socket(reply) for reply in REPLIES.values()}
"""Each reply as it is on a socket."""


def answer(reply_to: int, reply: Struct) -> Struct:
    """What a client gets for the message with the id ``reply_to``."""
    return ON_SOCKET[type(reply)](reply_to, True, *astuple(reply))


def join_reply(snapshot: Raw, *, gap: bool) -> JoinReply:
    """The answer to a join, around a :class:`Snapshot` that is encoded already."""
    return JoinReply(cast("Snapshot", snapshot), gap)


def gift_reply(room: str, taken: Result) -> GiftReply:
    """What a sender is told of a gift that was taken."""
    return GiftReply(*_told(room, taken))


def gift_answer(reply_to: int, room: str, taken: Result) -> Struct:
    """:func:`gift_reply` as :func:`answer` gives it, in one step: most that is answered is a gift."""
    return _GiftAnswer(reply_to, True, *_told(room, taken))


_GiftAnswer: Final = ON_SOCKET[GiftReply]


_Told = (
    tuple[int, bool, int, str, int, str] | tuple[int, bool, UnsetType, UnsetType, UnsetType, UnsetType, Literal[True]]
)


def _told(room: str, taken: Result) -> _Told:
    if taken.pending:
        return taken.coins, taken.duplicate, UNSET, UNSET, UNSET, UNSET, True
    seq = taken.seq
    return taken.coins, taken.duplicate, seq, f"{room}.{seq}", taken.repeat_count, f"{room}.{taken.streak}"


# Events.


class LiveTotals(Struct, frozen=True):
    coins: int
    diamonds: int
    likes: int
    viewers: int


class RoomEvents(Struct, frozen=True):
    """Events of a room. ``seq`` is the room's after them, what a client keeps for ``since``, and ``epoch``, if it is
    there, goes with it; ``totals`` come on lane ``live``. What concerns a user and no room has ``room`` '' and ``seq``
    0.
    """

    room: str
    seq: int
    events: list[Event]
    totals: LiveTotals | UnsetType = UNSET
    epoch: Uint | UnsetType = UNSET


# Refusals.


class Reason(Struct, frozen=True):
    """An error. ``code`` is for programs; ``temporary`` says whether trying the same again can help, ``until`` when it
    will (ms since 1970), ``cap`` how many coins are allowed; ``confirm`` goes with what is to be said again, which
    costs ``price`` at most.
    """

    code: str
    message: str
    temporary: bool
    until: Uint | UnsetType = UNSET
    cap: Uint | UnsetType = UNSET
    confirm: str | UnsetType = UNSET
    price: Money | UnsetType = UNSET


class Refusal(Struct, frozen=True):
    """``re`` is null where the id of what is refused could not be read."""

    re: Uint | None
    ok: Literal[False]
    error: Reason


class Problem(Struct, frozen=True):
    """An error over HTTP (RFC 9457). ``code`` is for programs; ``temporary`` says whether trying again can help,
    ``until`` when it will (ms since 1970), ``cap`` how many coins are allowed; ``confirm`` goes with what is to be
    said again, which costs ``price`` at most.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    temporary: bool
    until: Uint | UnsetType = UNSET
    cap: Uint | UnsetType = UNSET
    confirm: str | UnsetType = UNSET
    price: Money | UnsetType = UNSET


def refusal(reply_to: int | None, error: GiftingError) -> Refusal:
    """An error as the reply to a message."""
    return Refusal(reply_to, False, Reason(error.code, error.message, error.temporary, *_ways_out(error)))


def problem(error: GiftingError, status: int = 0) -> Problem:
    """An error as the answer to a request; ``status`` if it is not the error's own."""
    kind, status = f"urn:gifting:{error.code}", status or error.status
    told = (kind, error.help, status, error.message, error.code, error.temporary)
    return Problem(*told, *_ways_out(error))


def _ways_out(error: GiftingError) -> tuple[int | UnsetType, int | UnsetType, str | UnsetType, Money | UnsetType]:
    price = Money(*error.price) if error.price else UNSET
    return error.until or UNSET, error.cap or UNSET, error.confirm or UNSET, price
