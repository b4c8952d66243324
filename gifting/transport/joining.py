"""Joining rooms, and leaving them."""

from __future__ import annotations

import asyncio

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
    if (
        room is not None
        and (found := room.snapshots.at_hand(gateway.time())) is not None
        and _agrees(message, room, found)
    ):
        reaches = message.since is None or room.history.reaches(message.since, found.seq, message.epoch)
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
    try:
        async with asyncio.timeout(gateway.settings.ledger_timeout):
            found, gap = await _find_place(gateway, session, message, room)
    except TimeoutError:
        raise errors.Unavailable("The room is not in one history with its log.") from None
    if not session.closing:
        _enter_room(gateway, session, message, room, found, gap=gap)


def _agrees(message: messages.Join, room: Room, found: Snapshot) -> bool:
    """Whether the room here is in the history of the snapshot, and as far as who comes has seen it."""
    epoch = room.history.epoch
    return (found.epoch or 0) == epoch and (message.epoch or 0) <= epoch


async def _find_place(gateway: Gateway, session: Session, message: messages.Join, room: Room) -> tuple[Snapshot, bool]:
    """A snapshot, and whether there is a gap before it. Another history may begin meanwhile: then once more."""
    while True:
        snapshots = room.snapshots
        found, gap = await snapshots.get(gateway.time()), False
        if not _agrees(message, room, found):
            await room.agree()
            found = await room.snapshots.get(gateway.time())
            snapshots = room.snapshots
        if message.since is not None:
            reaches, cost = await room.history.log_reaches(message.since, found.seq, message.epoch)
            gateway.hub.replays.charge(session, cost)
            gap = not reaches
        if snapshots is room.snapshots and (found.epoch or 0) == room.history.epoch:
            return found, gap


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
