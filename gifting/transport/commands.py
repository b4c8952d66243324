"""What each op does. A command answers at once or, where it must ask Redis, from a task of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from gifting import errors
from gifting.hub.subscription import Subscription
from gifting.model.text import PLAIN_MEANS, plain
from gifting.model.values import Outcome
from gifting.transport.costs import COSTS
from gifting.wire import messages
from gifting.wire.messages import AnyMessage, Message
from gifting.wire.replies import EventReply, LeaveReply, PingReply, RefreshReply, gift_reply, join_reply

if TYPE_CHECKING:
    from gifting.hub.meter import Meter
    from gifting.hub.room import Room
    from gifting.model.events import Logged
    from gifting.transport.connection import Connection
    from gifting.wire.replies import Snapshot

log = logging.getLogger(__name__)

Command = Callable[["Connection", Any], None]

PENDING_MAX = 32
"""Commands of one connection that may wait for Redis at once, gifts aside."""

READ_ONLY = (messages.Join, messages.Leave, messages.Ping, messages.Refresh)
"""What an overlay may do."""


def run_command(connection: Connection, message: AnyMessage) -> None:
    """Do what a client says, unless it has been told that the connection is over: then nothing is done any more."""
    if connection.closing:
        return
    try:
        _check_role(connection, message)
        _COMMANDS[type(message)](connection, message)
    except errors.GiftingError as error:
        connection.refuse(message.id, error)
    except Exception:
        log.exception("a command failed")
        connection.refuse(message.id, errors.GiftingError())


def _check_role(connection: Connection, message: AnyMessage) -> None:
    identity = connection.identity
    assert identity is not None
    if identity.role == "overlay" and not isinstance(message, READ_ONLY):
        raise errors.Forbidden("An overlay only watches.")
    if identity.room and getattr(message, "room", identity.room) != identity.room:
        raise errors.Forbidden("This token is for another room.")


def _spawn(connection: Connection, message: Message, work: Awaitable[None]) -> asyncio.Task[None]:
    """Run a command that has to wait; its error is its reply."""

    async def run() -> None:
        try:
            await work
        except errors.GiftingError as error:
            connection.refuse(message.id, error)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("a command failed")
            connection.refuse(message.id, errors.GiftingError())
        finally:
            connection.pending -= 1

    connection.pending += 1
    return connection.hub.spawn(run())


def _in_room(connection: Connection, message: Any, action: Callable[[Any], None]) -> None:
    """Do something in a room: at once if the room is known, else when it has been found.

    What the connection sends meanwhile waits behind it, so that its gifts and events are taken in the order of sending.
    """
    room = connection.hub.ledger.known_room(message.room)
    if room is not None and connection.turn is None:
        action(room)
        return
    if connection.pending >= PENDING_MAX:
        raise errors.RateLimited
    turn = _spawn(connection, message, _in_turn(connection, message.room, action, connection.turn))
    connection.turn = turn

    def over(_: object) -> None:
        if connection.turn is turn:
            connection.turn = None

    turn.add_done_callback(over)


async def _in_turn(
    connection: Connection, room_id: str, action: Callable[[Any], None], before: asyncio.Task[None] | None
) -> None:
    """Rooms are looked for side by side, so that a slow Redis costs one time-out; what is to be done waits its turn."""
    try:
        room = await connection.hub.ledger.room(room_id)
    finally:
        if before is not None:
            await asyncio.wait([before])
    if not connection.closing:
        action(room)


# Gifts and other events.


def _check_text(text: str) -> None:
    """Here and not while decoding, where a pattern would take as long as all else."""
    if not plain(text):
        raise errors.BadMessage(f"What is said to a room is {PLAIN_MEANS}.")


def _send_gift(connection: Connection, message: messages.SendGift) -> None:
    if message.message:
        _check_text(message.message)
    _in_room(connection, message, partial(_send_gift_to, connection, message))


def _send_gift_to(connection: Connection, message: messages.SendGift, room: Any) -> None:
    connection.hub.ledger.send_gift(
        connection.hub.sender_of(connection),
        room,
        message.gift,
        message.key,
        message.count,
        message.message,
        partial(_gift_done, connection, message.id, room.id),
    )


def _gift_done(connection: Connection, reply_to: int, room: str, outcome: Outcome) -> None:
    if isinstance(outcome, errors.GiftingError):
        connection.refuse(reply_to, outcome)
    else:
        connection.reply(reply_to, gift_reply(room, outcome))


def _gift_status(connection: Connection, message: messages.GiftStatus) -> None:
    if connection.pending >= PENDING_MAX:
        raise errors.RateLimited
    _spawn(connection, message, _tell_status(connection, message))


async def _tell_status(connection: Connection, message: messages.GiftStatus) -> None:
    assert connection.identity is not None
    connection.reply(message.id, await connection.hub.ledger.gift_status(connection.identity.user, message.key))


def _like(connection: Connection, message: messages.Like) -> None:
    hub = connection.hub
    if message.count > hub.settings.like_burst:
        raise errors.BadAmount(f"count is {message.count}; likes are at most {hub.settings.like_burst} at once.")
    _take(hub.likes, connection, message.count)
    done = partial(_event_done, connection, message.id)
    _in_room(connection, message, lambda room: connection.hub.ledger.like(room, message.count, done))


def _post(connection: Connection, message: Any) -> None:
    """comment, share, follow: the user, and the text if there is one, as an event of that name."""
    if isinstance(message, messages.Comment):
        _check_text(message.text)
    _take(connection.hub.posts, connection, 1)
    kind = cast("Logged", type(message).__struct_config__.tag)
    fields: dict[str, Any] = {"user": connection.hub.sender_of(connection).user}
    if isinstance(message, messages.Comment):
        fields["text"] = message.text
    done = partial(_event_done, connection, message.id)
    _in_room(connection, message, lambda room: connection.hub.ledger.post(room, kind, fields, done))


def _take(meter: Meter, connection: Connection, amount: int) -> None:
    """What is free has a bound per user, whatever token or connection it comes by. Raises RateLimited."""
    assert connection.identity is not None
    if not meter.take(connection.identity.user, connection.hub.time(), amount):
        raise errors.RateLimited


def _event_done(connection: Connection, reply_to: int, outcome: Outcome) -> None:
    if isinstance(outcome, errors.GiftingError):
        connection.refuse(reply_to, outcome)
    else:
        connection.reply(reply_to, EventReply(outcome.seq))


# Rooms.


def _join(connection: Connection, message: messages.Join) -> None:
    """At once where the room and its snapshot are at hand, as they are when many come; else when they have come."""
    room = connection.hub.rooms.get(message.room)
    _check_replay(connection, message, room)
    if room is not None and (found := room.snapshots.at_hand(connection.hub.time())) is not None:
        reaches = message.since is None or room.history.reaches(message.since, found.seq)
        if reaches is not None:
            _enter_room(connection, message, room, found, gap=not reaches)
            return
    if connection.pending >= PENDING_MAX:
        raise errors.RateLimited
    _spawn(connection, message, _join_room(connection, message))


def _check_replay(connection: Connection, message: messages.Join, room: Room | None) -> None:
    """Raises RateLimited if there is something to replay, and too much was lately."""
    if message.since is None or (room is not None and message.since == room.history.seq):
        return
    if debt := connection.hub.replays.debt(connection):
        raise errors.RateLimited(f"Too much was replayed to this user; join again in {debt:.1f} s.")


async def _join_room(connection: Connection, message: messages.Join) -> None:
    room = await connection.hub.open_room(message.room)
    found = await room.snapshots.get(connection.hub.time())
    gap = False
    if message.since is not None:
        reaches, cost = await room.history.log_reaches(message.since, found.seq)
        connection.hub.replays.charge(connection, cost)
        gap = not reaches
    if not connection.closing:
        _enter_room(connection, message, room, found, gap=gap)


def _enter_room(connection: Connection, message: messages.Join, room: Room, found: Snapshot, *, gap: bool) -> None:
    hub, identity = connection.hub, connection.identity
    assert identity is not None
    position = found.seq if gap or message.since is None else message.since
    if message.room in connection.subscriptions:
        hub.unsubscribe(connection, connection.subscriptions[message.room])
    if len(connection.subscriptions) >= hub.settings.connection_rooms:
        raise errors.TooManyRooms
    connection.reply(message.id, join_reply(room.snapshots.encode(found, connection.codec), gap=gap))
    connection.flush()
    lane = room.lanes[message.lane or ("all" if identity.role == "overlay" else "live")]
    hub.subscribe(connection, Subscription(connection, room.id, lane, position, identity.role == "viewer"))
    if identity.role == "viewer" and message.since is None:
        hub.announce(connection, room)


def _leave(connection: Connection, message: messages.Leave) -> None:
    subscription = connection.subscriptions.get(message.room)
    if subscription is None:
        raise errors.NotJoined
    connection.hub.unsubscribe(connection, subscription)
    connection.reply(message.id, LeaveReply())


# The connection itself.


def _refresh(connection: Connection, message: messages.Refresh) -> None:
    connection.hub.refresh(connection, message.token)
    assert connection.identity is not None
    connection.reply(message.id, RefreshReply(int(connection.identity.expires)))


def _ping(connection: Connection, message: messages.Ping) -> None:
    connection.reply(message.id, PingReply(connection.hub.ledger.now_ms()))


def _charged(cost: float, command: Command) -> Command:
    """The command, for more than its frame has paid."""

    def charge(connection: Connection, message: Any) -> None:
        connection.allowance.charge(connection.heard_at, messages=cost)
        command(connection, message)

    return charge


_COMMANDS: dict[type[Message], Command] = {
    messages.Join: _join,
    messages.Leave: _leave,
    messages.SendGift: _send_gift,
    messages.GiftStatus: _gift_status,
    messages.Like: _like,
    messages.Comment: _post,
    messages.Share: _post,
    messages.Follow: _post,
    messages.Refresh: _refresh,
    messages.Ping: _ping,
}
_COMMANDS |= {kind: _charged(cost, _COMMANDS[kind]) for kind, cost in COSTS.items()}
