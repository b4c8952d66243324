"""What protects a user or creator, told to all processes: on whichever of them there are sockets, they hear it."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from gifting.ledger.calls import Calls, translated
from gifting.ledger.protections import Protections
from gifting.model.events import BudgetEvent, DestinationEvent, ReminderEvent
from gifting.model.windows import spent_since

_encode: Final = msgspec.msgpack.Encoder().encode


class Notice(Struct, frozen=True):
    """What to tell a user's sockets. ``began``: of a reminder, from when on it counts (ms since 1970)."""

    user: str
    event: BudgetEvent | ReminderEvent | DestinationEvent
    began: int = 0


read_notice: Final = msgspec.msgpack.Decoder(Notice).decode


class Notices:
    """Of all users. Who is not connected when a notice goes out misses it."""

    def __init__(self, calls: Calls, protections: Protections) -> None:
        self._calls = calls
        self._protections = protections

    async def publish(self, notice: Notice) -> None:
        """Tell all processes, this one too. Raises Unavailable."""
        with translated():
            await self._calls.redis.spublish(self._calls.keys.notices, _encode(notice))

    async def remind(self, user: str, began: int) -> None:
        """Tell all processes what a user has spent since ``began``, the start of an hour (ms since 1970), by whatever
        process it was taken. Raises Unavailable.
        """
        spent = spent_since(await self._protections.read(user), began)
        minutes = (self._protections.now_ms() - began) // 60_000
        await self.publish(Notice(user, ReminderEvent(minutes, spent), began))
