"""Commands that have to wait for Redis, and the order in which a session's are taken."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from gifting import errors
from gifting.model.values import RoomRef
from gifting.transport.gateway import Gateway
from gifting.transport.session import Session
from gifting.wire import messages
from gifting.wire.messages import Message

log = logging.getLogger(__name__)

PENDING_MAX: Final = 32
"""Commands of one session that may wait for Redis at once, gifts aside."""

ToRoom = messages.SendGift | messages.Like | messages.Comment | messages.Share | messages.Follow
M = TypeVar("M", bound=ToRoom)

Action = Callable[[Gateway, Session, M, RoomRef], None]
"""What a message does in its room."""


def spawn(gateway: Gateway, session: Session, message: Message, work: Awaitable[None]) -> asyncio.Task[None]:
    """Run a command that has to wait; its error is its reply."""

    async def run() -> None:
        try:
            await work
        except errors.GiftingError as error:
            session.refuse(message.id, error)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("a command failed")
            session.refuse(message.id, errors.GiftingError())
        finally:
            session.pending -= 1

    session.pending += 1
    return gateway.spawn(run())


def check_pending(session: Session) -> None:
    """Raises RateLimited if nothing more of a session may wait."""
    if session.pending >= PENDING_MAX:
        raise errors.RateLimited


def in_room(gateway: Gateway, session: Session, message: M, action: Action[M]) -> None:
    """Do something in a message's room: at once if the room is known, else when it has been found.

    What the session says meanwhile waits behind it, so that its gifts and events are taken in the order of sending.
    """
    room = gateway.ledger.rooms.known(message.room)
    if room is not None and session.turn is None:
        action(gateway, session, message, room)
        return
    check_pending(session)
    turn = spawn(gateway, session, message, _in_turn(gateway, session, message, action, session.turn))
    session.turn = turn

    def over(_: object) -> None:
        if session.turn is turn:
            session.turn = None

    turn.add_done_callback(over)


async def _in_turn(
    gateway: Gateway, session: Session, message: M, action: Action[M], before: asyncio.Task[None] | None
) -> None:
    """Rooms are looked for side by side, so that a slow Redis costs one time-out; what is to be done waits its turn."""
    try:
        room = await gateway.ledger.rooms.find(message.room)
    finally:
        if before is not None:
            await asyncio.wait([before])
    if not session.closing:
        action(gateway, session, message, room)
