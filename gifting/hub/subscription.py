"""One connection's place in one room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gifting.wire.codec import Codec

if TYPE_CHECKING:
    from gifting.hub.lane import Lane
    from gifting.hub.room import Room
    from gifting.transport.connection import Connection


class Subscription:
    """While it is behind its lane: ``position`` is the seq up to which the subscriber has everything, and ``shown`` the
    streaks that it has been shown and not yet seen end.
    """

    __slots__ = ("codec", "connection", "counts", "lane", "loading", "position", "room", "shown", "write")

    def __init__(self, connection: Connection, room: Room, lane: Lane, position: int, counts: bool) -> None:
        self.connection = connection
        self.room = room
        self.lane = lane
        self.position = position
        self.counts = counts
        self.codec: Codec = connection.codec
        self.write = connection.write_frame
        self.shown: frozenset[int] = frozenset()
        self.loading = False

    @property
    def is_behind(self) -> bool:
        """Whether it is in, and waits to be caught up."""
        return self.lane.is_behind(self)

    @property
    def can_take(self) -> bool:
        return not (self.loading or self.connection.paused or self.connection.closing)
