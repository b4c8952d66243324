"""Events that cost nothing: posts as they come, likes folded."""

from __future__ import annotations

from functools import lru_cache

from gifting.ledger.commit import EVENT, LIKE
from gifting.ledger.commit_keys import SPOTS_CACHED, Spot, room_spot
from gifting.ledger.engine import AnyBatcher
from gifting.ledger.likes import Fold
from gifting.model import events
from gifting.model.packing import pack
from gifting.model.values import Done, RoomRef


class FreeEvents:
    """Sends them through the batcher. ``like_interval``: seconds between two like events of a room, at least."""

    def __init__(self, batcher: AnyBatcher, like_interval: float) -> None:
        self._batcher = batcher
        self._interval = like_interval
        self._likes: dict[str, Fold] = {}
        self.likes = 0

    def post(
        self, room: RoomRef, event: bytes, done: Done, *, user: str = "", age: int = 0, spoken: bool = False
    ) -> None:
        """Log and publish a comment (``spoken``), share, follow or member, encoded, of ``user``, who has that age.

        Raises:
            Overloaded, Unavailable: at once. ``done`` is told what the room's rules say.
        """
        spot, head = _spot_and_head(room)
        fields = b"".join((head, pack(event), pack(user), pack(age), pack(int(spoken))))
        self._batcher.submit(EVENT, None, spot, None, fields, done)

    def like(self, room: RoomRef, count: int, done: Done) -> None:
        """Add likes; they become one event with all others of the room within ``like_interval``."""
        fold = self._likes.get(room.id)
        if fold is None:
            self._likes = {name: fold for name, fold in self._likes.items() if not fold.idle}
            fold = Fold(self._interval, lambda total, tell: self._send_likes(room, total, tell))
            self._likes[room.id] = fold
        fold.add(count, done)

    def flush(self) -> None:
        """Send the likes that have gathered."""
        for fold in self._likes.values():
            fold.flush()

    def _send_likes(self, room: RoomRef, count: int, done: Done) -> None:
        self.likes += count
        spot, head = _spot_and_head(room)
        event = events.encode_event("like", {"count": count}, decided=1)
        self._batcher.submit(LIKE, None, spot, None, head + pack(event) + pack(count), done)


@lru_cache(SPOTS_CACHED)
def _spot_and_head(room: RoomRef) -> tuple[Spot, bytes]:
    """Where a room is, and what the fields of its free events begin with."""
    return room_spot(room.base, room.id, room.host), pack((room.id, room.host))[1:]
