"""One subscriber's place in one room; and what subscribers and lanes are to each other."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

from gifting.wire.batch import RoomBatch
from gifting.wire.close import CloseCode
from gifting.wire.codec import Codec


class Subscriber(Protocol):
    """A client, as the hub sees it."""

    @property
    def codec(self) -> Codec: ...

    @property
    def write_frame(self) -> Callable[[bytes], None]:
        """Writes a frame, which may be shared with others."""

    def send_frames(self, data: bytes) -> None:
        """Write frames for this one alone, together with what it is still to be told, and behind it."""

    @property
    def can_take(self) -> bool:
        """Whether it can be given more: its socket is not full, and it is not being closed."""

    @property
    def payer(self) -> Hashable:
        """Whose allowance pays for what is replayed to it."""

    def close(self, code: CloseCode) -> None: ...


class Feeder(Protocol):
    """A lane, as its subscriptions see it."""

    position: int
    """The seq up to which its frames have gone out."""

    def add(self, subscription: Subscription) -> None: ...
    def remove(self, subscription: Subscription) -> None: ...
    def hold(self, subscription: Subscription) -> None: ...
    def is_behind(self, subscription: Subscription) -> bool: ...
    def catch_up(self, subscription: Subscription) -> None: ...
    async def missed_by(self, subscription: Subscription, size: int) -> list[RoomBatch]: ...
    def give_page(self, subscription: Subscription, batches: list[RoomBatch]) -> None: ...


class Subscription:
    """While it is behind its lane: ``position`` is the seq up to which the subscriber has everything, and ``shown`` the
    streaks that it has been shown and not yet seen end.

    ``room`` is the room's id; ``counts`` says whether the subscriber is one of its viewers.
    """

    __slots__ = ("codec", "counts", "lane", "loading", "position", "room", "shown", "subscriber", "write")

    def __init__(self, subscriber: Subscriber, room: str, lane: Feeder, position: int, counts: bool) -> None:
        self.subscriber = subscriber
        self.room = room
        self.lane = lane
        self.position = position
        self.counts = counts
        self.codec = subscriber.codec
        self.write = subscriber.write_frame
        self.shown: frozenset[int] = frozenset()
        self.loading = False

    @property
    def is_behind(self) -> bool:
        """Whether it is in, and waits to be caught up."""
        return self.lane.is_behind(self)

    @property
    def can_take(self) -> bool:
        """Whether it can be given something at once."""
        return not self.loading and self.subscriber.can_take
