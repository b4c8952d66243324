"""Comments that are held: they wait for the host, or who helps it, to post or drop them."""

from __future__ import annotations

from typing import Any, Final

import msgpack

from gifting import errors
from gifting.ledger.calls import Calls, translated
from gifting.ledger.keys import held_key, house_keys, room_keys
from gifting.ledger.people import allowed
from gifting.ledger.status import Status, refusal
from gifting.model import events
from gifting.model.house import HeldComment
from gifting.model.moderation import Reason
from gifting.model.packing import unpack
from gifting.model.values import RoomRef, Sender

HELD_MAX: Final = 200
"""Comments held for one host at once, some 500 bytes each; beyond it the oldest are dropped."""

HELD_OF_USER: Final = 5
"""Of one user; beyond it the user's oldest are dropped."""

HELD_FOR: Final = 86_400_000
"""Ms after which what nobody has decided about is dropped."""

_NOT_HELD: Final = -1


class Held:
    """What is held, of all hosts. ``by`` as in :class:`gifting.ledger.people.People`."""

    def __init__(self, calls: Calls, log_keep: int) -> None:
        self._calls = calls
        self._log_keep = log_keep

    async def hold(self, room: RoomRef, sender: Sender, text: str, why: Reason, age: int) -> None:
        """Hold a comment of a sender of that age, if the sender may comment at all.

        Raises:
            RoomNotFound, RoomEnded, Blocked, RoomAge, Muted, SlowMode
        """
        event = events.encode_post("comment", sender.user, text)
        options = (room.id, room.host, sender.id, age, event, why, HELD_MAX, HELD_OF_USER, HELD_FOR, sender.shown)
        reply = await self._calls.timed("comment_hold", self._keys(room), options, unsure=errors.Unconfirmed)
        status, ends = unpack(reply)
        if status != Status.OK:
            raise refusal(status, ends=ends)

    async def of_room(self, room: RoomRef) -> list[HeldComment]:
        """What is held of a room, the oldest first."""
        redis = self._calls.redis
        with translated():
            now = self._calls.now() or (await redis.time())[0] * 1000
            items = await redis.xrange(held_key(room.base, room.host), int(now) - HELD_FOR)
        return [_read(item_id, fields) for item_id, fields in items if fields[b"r"].decode() == room.id]

    async def decide(self, room: RoomRef, held: str, by: str = "", *, post: bool) -> int:
        """Post a held comment, or drop it; returns its seq, 0 if it is dropped.

        Raises:
            NotFound: it is not held, or not in this room.
            Forbidden: that is no moderator, or its own author.
            RoomEnded, Blocked: it can't be posted, and is still held.
        """
        keys = [*self._keys(room), self._calls.keys.deadlines(room.base)]
        options = (room.id, room.host, held, int(post), by, self._log_keep)
        (seq,) = allowed(await self._calls.timed("comment_decide", keys, options, unsure=errors.Unconfirmed))
        if seq == _NOT_HELD:
            raise errors.NotFound("No such comment is held in this room.")
        return int(seq)

    def _keys(self, room: RoomRef) -> list[str]:
        names = [*room_keys(room.base, room.id), *house_keys(room.base, room.id, room.host)]
        return [*names, held_key(room.base, room.host)]


def _read(item_id: bytes, fields: dict[bytes, bytes]) -> HeldComment:
    """The event is open at its end: the fields that the ledger adds to it are still missing."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(fields[b"e"])
    found: dict[str, Any] = {}
    for _ in range(min(unpacker.read_map_header(), 3)):
        name = unpacker.unpack()
        found[name] = unpacker.unpack()
    user = events.User(**found["user"])
    why: Any = fields[b"w"].decode()
    return HeldComment(item_id.decode(), int(item_id.partition(b"-")[0]), user, found["text"], why)
