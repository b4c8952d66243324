"""Comments after they were said: a host, or who helps it, removes them."""

from __future__ import annotations

from typing import Any

from gifting import errors
from gifting.ledger.calls import Calls
from gifting.ledger.keys import house_keys, removed_key, room_keys
from gifting.ledger.people import allowed
from gifting.ledger.rooms import Rooms
from gifting.model import events
from gifting.model.packing import unpack
from gifting.model.values import RoomRef


class Comments:
    """Of all rooms. ``log_keep``: events that a log keeps. ``by`` as in :class:`gifting.ledger.people.People`."""

    def __init__(self, calls: Calls, rooms: Rooms, log_keep: int) -> None:
        self._calls = calls
        self._rooms = rooms
        self._log_keep = log_keep

    async def remove(self, room: RoomRef, seq: int, by: str = "") -> None:
        """Show what a comment or a gift said no longer, and tell everybody. Again changes nothing.

        The room's log keeps it, for the audit alone.

        Raises:
            NotFound: nothing was said there, or the log has it no longer.
            Forbidden: that is no moderator, or it is about what the host said.
        """
        said = await self._said(room, seq)
        if by and said["user"]["id"] == room.host:
            raise errors.Forbidden("Moderators don't remove what the host has said.")
        removed = {"comment_id": f"{room.id}.{seq}", "comment_seq": seq}
        event = events.encode_event("comment_removed", removed)
        names = [*room_keys(room.base, room.id), *house_keys(room.base, room.id, room.host)]
        keys = [*names, removed_key(room.base, room.id), self._calls.keys.deadlines(room.base)]
        options = (room.id, room.host, seq, by, event, self._log_keep)
        allowed(await self._calls.timed("comment_remove", keys, options, unsure=errors.Unconfirmed))

    async def said(self, room: RoomRef, seq: int) -> tuple[str, str]:
        """Who said something in an event, and what, also where it is removed. Raises NotFound."""
        event = await self._said(room, seq)
        return event["user"]["id"], event.get("text") or event["message"]

    async def _said(self, room: RoomRef, seq: int) -> dict[str, Any]:
        """The event with this seq, as it was logged; it says something."""
        batches, _ = await self._rooms.log_page(room, seq - 1, 1)
        for entry in batches[0].entries() if batches else ():
            if entry.seq == seq:
                event: dict[str, Any] = unpack(batches[0].events[entry.start : entry.end])
                if event.get("text") or event.get("message"):
                    return event
        raise errors.NotFound("Nothing was said in an event of this seq.")
