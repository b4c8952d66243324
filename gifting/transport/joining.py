"""Joining rooms, and leaving them."""

from __future__ import annotations

from gifting import errors
from gifting.hub.room import Room
from gifting.model.events import encode_post
from gifting.transport.gateway import Gateway
from gifting.transport.pending import check_pending, spawn
from gifting.transport.session import Session
from gifting.wire import messages
from gifting.wire.replies import LeaveReply, Snapshot, join_reply


def join(gateway: Gateway, session: Session, message: messages.Join) -> None:
    """At once where the room and its snapshot are at hand, as they are when many come; else when they have come."""
    room = gateway.hub.rooms.get(message.room)
    _check_replay(gateway, session, message, room)
    if room is not None and (found := room.snapshots.at_hand(gateway.time())) is not None:
        reaches = message.since is None or room.history.reaches(message.since, found.seq)
        if reaches is not None:
            _enter_room(gateway, session, message, room, found, gap=not reaches)
            return
    check_pending(session)
    spawn(gateway, session, message, _join_room(gateway, session, message))


def _check_replay(gateway: Gateway, session: Session, message: messages.Join, room: Room | None) -> None:
    """Raises RateLimited if there is something to replay, and too much was lately."""
    if message.since is None or (room is not None and message.since == room.history.seq):
        return
    if debt := gateway.hub.replays.debt(session):
        raise errors.RateLimited(f"Too much was replayed to this user; join again in {debt:.1f} s.")


async def _join_room(gateway: Gateway, session: Session, message: messages.Join) -> None:
    room = await gateway.hub.open_room(message.room)
    found = await room.snapshots.get(gateway.time())
    gap = False
    if message.since is not None:
        reaches, cost = await room.history.log_reaches(message.since, found.seq)
        gateway.hub.replays.charge(session, cost)
        gap = not reaches
    if not session.closing:
        _enter_room(gateway, session, message, room, found, gap=gap)


def _enter_room(
    gateway: Gateway, session: Session, message: messages.Join, room: Room, found: Snapshot, *, gap: bool
) -> None:
    role = session.identity.role
    position = found.seq if gap or message.since is None else message.since
    if (before := session.subscription(message.room)) is not None:
        session.unsubscribe(before)
    if len(session.subscriptions) >= gateway.settings.connection_rooms:
        raise errors.TooManyRooms
    session.connection.gather()
    try:
        session.reply(message.id, join_reply(room.snapshots.encode(found, session.codec), gap=gap))
        session.subscribe(room.id, room.lanes[message.lane or ("all" if role == "overlay" else "live")], position)
    finally:
        session.connection.flush()
    if role == "viewer" and message.since is None:
        _announce(gateway, session, room)


def _announce(gateway: Gateway, session: Session, room: Room) -> None:
    """Log that a viewer came, unless too many do, or it is blocked or banned."""
    if not gateway.ledger.bans.covers(session.identity.user) and room.members.take(gateway.time()):
        sender = gateway.sender_of(session)
        gateway.ledger.free.post(room.ref, encode_post("member", sender.user), lambda outcome: None, user=sender.id)


def leave(gateway: Gateway, session: Session, message: messages.Leave) -> None:
    subscription = session.subscription(message.room)
    if subscription is None:
        raise errors.NotJoined
    session.unsubscribe(subscription)
    session.reply(message.id, LeaveReply())
