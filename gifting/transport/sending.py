"""What is sent to a room: gifts, likes, and what is free."""

from __future__ import annotations

from functools import partial
from typing import Final

from gifting import errors
from gifting.hub.meter import Meter
from gifting.model.events import Logged, encode_post
from gifting.model.moderation import Reason
from gifting.model.text import PLAIN_MEANS, plain
from gifting.model.values import Outcome, RoomRef
from gifting.transport.gateway import Gateway
from gifting.transport.pending import check_pending, in_room, spawn
from gifting.transport.session import Session
from gifting.wire import messages
from gifting.wire.replies import CommentReply, EventReply, gift_answer

Post = messages.Comment | messages.Share | messages.Follow

KINDS: Final[dict[type[Post], Logged]] = {
    messages.Comment: "comment",
    messages.Share: "share",
    messages.Follow: "follow",
}
"""The event that each becomes."""


def _check_text(text: str) -> None:
    """Here and not while decoding, where a pattern would take as long as all else."""
    if not plain(text):
        raise errors.BadMessage(f"What is said to a room is {PLAIN_MEANS}.")


def send_gift(gateway: Gateway, session: Session, message: messages.SendGift) -> None:
    if message.message:
        _check_text(message.message)
    in_room(gateway, session, message, _send_gift_to)


def _send_gift_to(gateway: Gateway, session: Session, message: messages.SendGift, room: RoomRef) -> None:
    done = partial(_gift_done, gateway, session, message.id, room)  # the message would fill caches until the reply
    gateway.giving.submit(gateway.sender_of(session), room, message, done)


def _gift_done(gateway: Gateway, session: Session, reply_to: int, room: RoomRef, outcome: Outcome) -> None:
    if isinstance(outcome, errors.GiftingError):
        if isinstance(outcome, errors.ConfirmRequired):
            outcome = gateway.giving.ask(session.identity.standing, outcome)
        session.refuse(reply_to, outcome)
        return
    session.tell(gift_answer(reply_to, room.id, outcome))
    gateway.given(session.identity.user, outcome)
    if not (gateway.sessions.alone(session) or outcome.duplicate):
        gateway.wallets.changed(session.identity.user, outcome.coins, told=session)


def gift_status(gateway: Gateway, session: Session, message: messages.GiftStatus) -> None:
    check_pending(session)
    spawn(gateway, session, message, _tell_status(gateway, session, message))


async def _tell_status(gateway: Gateway, session: Session, message: messages.GiftStatus) -> None:
    session.reply(message.id, await gateway.ledger.gifts.status(session.identity.user, message.key))


def like(gateway: Gateway, session: Session, message: messages.Like) -> None:
    if message.count > gateway.settings.like_burst:
        raise errors.BadAmount(f"count is {message.count}; likes are at most {gateway.settings.like_burst} at once.")
    _take(gateway, session, gateway.likes, message.count)
    in_room(gateway, session, message, _like_in)


def _like_in(gateway: Gateway, session: Session, message: messages.Like, room: RoomRef) -> None:
    gateway.ledger.free.like(room, message.count, partial(_event_done, session, message.id))


def post(gateway: Gateway, session: Session, message: Post) -> None:
    """comment, share, follow."""
    if isinstance(message, messages.Comment):
        _check_text(message.text)
    _take(gateway, session, gateway.posts, 1)
    in_room(gateway, session, message, _post_in)


def _post_in(gateway: Gateway, session: Session, message: Post, room: RoomRef) -> None:
    text = message.text if isinstance(message, messages.Comment) else None
    sender, age = gateway.sender_of(session), session.identity.standing.age
    if text and (why := gateway.moderating.why(room, sender.id, text)):
        check_pending(session)
        spawn(gateway, session, message, _hold(gateway, session, message.id, room, text, why))
        return
    event = encode_post(KINDS[type(message)], sender.user, text)
    done = partial(_event_done if text is None else _comment_done, session, message.id)
    gateway.ledger.free.post(room, event, done, user=sender.id, age=age, spoken=text is not None)


async def _hold(gateway: Gateway, session: Session, reply_to: int, room: RoomRef, text: str, why: Reason) -> None:
    sender, age = gateway.sender_of(session), session.identity.standing.age
    await gateway.ledger.held.hold(room, sender, text, why, age)
    session.reply(reply_to, CommentReply(0, held=True))


def _take(gateway: Gateway, session: Session, meter: Meter, amount: int) -> None:
    """What is free has a bound per user, whatever token or connection it comes by. Raises Banned, RateLimited."""
    if gateway.ledger.bans.covers(session.identity.user):
        raise errors.Banned
    if not meter.take(session.identity.user, gateway.time(), amount):
        raise errors.RateLimited


def _comment_done(session: Session, reply_to: int, outcome: Outcome) -> None:
    if isinstance(outcome, errors.GiftingError):
        session.refuse(reply_to, outcome)
    else:
        session.reply(reply_to, CommentReply(outcome.seq, held=False))


def _event_done(session: Session, reply_to: int, outcome: Outcome) -> None:
    if isinstance(outcome, errors.GiftingError):
        session.refuse(reply_to, outcome)
    else:
        session.reply(reply_to, EventReply(outcome.seq))
