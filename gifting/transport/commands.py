"""What each op does. A command answers at once or, where it must ask Redis, from a task of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from gifting import errors
from gifting.transport.costs import COSTS
from gifting.transport.gateway import Gateway
from gifting.transport.joining import join, leave
from gifting.transport.sending import gift_status, like, post, send_gift
from gifting.transport.session import Session
from gifting.wire import messages
from gifting.wire.messages import AnyMessage, Message
from gifting.wire.replies import PingReply, RefreshReply

log = logging.getLogger(__name__)

Command = Callable[[Gateway, Session, Any], None]
"""Takes the message that it is for."""

READ_ONLY: Final = (messages.Join, messages.Leave, messages.Ping, messages.Refresh)
"""What an overlay may do."""


def run_command(gateway: Gateway, session: Session, message: AnyMessage) -> None:
    """Do what a client says, unless it has been told that the connection is over: then nothing is done any more."""
    if session.connection.closing:
        return
    try:
        _check_role(session, message)
        _COMMANDS[type(message)](gateway, session, message)
    except errors.GiftingError as error:
        session.refuse(message.id, error)
    except Exception:
        log.exception("a command failed")
        session.refuse(message.id, errors.GiftingError())


def _check_role(session: Session, message: AnyMessage) -> None:
    identity = session.identity
    if identity.role == "overlay" and not isinstance(message, READ_ONLY):
        raise errors.Forbidden("An overlay only watches.")
    if identity.room and getattr(message, "room", identity.room) != identity.room:
        raise errors.Forbidden("This token is for another room.")


def _refresh(gateway: Gateway, session: Session, message: messages.Refresh) -> None:
    gateway.refresh(session, message.token)
    session.reply(message.id, RefreshReply(int(session.identity.expires)))


def _ping(gateway: Gateway, session: Session, message: messages.Ping) -> None:
    session.reply(message.id, PingReply(gateway.ledger.now_ms()))


def _charged(cost: float, command: Command) -> Command:
    """The command, for more than its frame has paid."""

    def charge(gateway: Gateway, session: Session, message: Message) -> None:
        session.allowance.charge(session.connection.heard_at, cost)
        command(gateway, session, message)

    return charge


_COMMANDS: Final[dict[type[Message], Command]] = {
    messages.Join: join,
    messages.Leave: leave,
    messages.SendGift: send_gift,
    messages.GiftStatus: gift_status,
    messages.Like: like,
    messages.Comment: post,
    messages.Share: post,
    messages.Follow: post,
    messages.Refresh: _refresh,
    messages.Ping: _ping,
}
_COMMANDS.update({kind: _charged(cost, _COMMANDS[kind]) for kind, cost in COSTS.items()})
