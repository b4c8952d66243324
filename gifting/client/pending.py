"""What a client has said on its connection and has no reply to yet."""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias

from gifting.client.inbox import Room
from gifting.errors import MessageTooLarge
from gifting.wire.codec import MSGPACK

Outcome: TypeAlias = dict[str, Any] | Exception
"""A reply, or why there is none."""


class Call:
    """A message of ``size`` bytes. Without ``reply`` nobody waits for its reply; ``sent_ms`` marks the clock's ping."""

    __slots__ = ("reply", "room", "sent_ms", "size")

    def __init__(self, reply: asyncio.Future[Outcome] | None, room: Room | None, sent_ms: int = 0) -> None:
        self.reply = reply
        self.room = room
        self.sent_ms = sent_ms
        self.size = 0

    def settle(self, outcome: Outcome) -> None:
        """Tell who waits for the reply, if somebody does."""
        if self.reply is not None and not self.reply.done():
            self.reply.set_result(outcome)


class Pending:
    """The calls of one connection, by the numbers that their replies name; no number is used twice."""

    def __init__(self) -> None:
        self._last_id = 0
        self._open: dict[int, Call] = {}

    def begin(self, op: str, fields: dict[str, Any], call: Call) -> tuple[int, bytes]:
        """The call's number, and the message to send."""
        self._last_id = number = self._last_id + 1
        message = MSGPACK.encode({"op": op, "id": number, **fields})
        call.size = len(message)
        self._open[number] = call
        return number, message

    def end(self, number: int) -> Call | None:
        """The call, which is waited for no longer; None if it was not."""
        return self._open.pop(number, None)

    def lose(self, *, too_large: bool) -> None:
        """The connection has ended, and no more replies come; ``too_large``: since a message was, for the server."""
        calls, self._open = self._open, {}
        lost = ConnectionResetError("The connection was lost.")
        # The server has not understood what is too large for it, so the largest of what waits was not executed.
        large = max(calls.values(), key=lambda call: call.size, default=None) if too_large else None
        for call in calls.values():
            call.settle(MessageTooLarge() if call is large else lost)
