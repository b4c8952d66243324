"""The two lanes of a room. ``all``: every event in order. ``live``: conflated, at a bounded pace."""

from __future__ import annotations

from collections.abc import Callable

from gifting.hub.history import History
from gifting.hub.lane import NOTHING_SHOWN, Lane, Message, Shared
from gifting.wire.batch import RoomBatch, join_events
from gifting.wire.conflate import conflate


class AllLane(Lane):
    """Every event in order."""

    name: str = "all"

    def __init__(self, history: History, shared: Shared) -> None:
        super().__init__(history, shared)
        self.interval = shared.settings.all_interval

    def message(self, position: int, batches: list[RoomBatch], states: list[bytes], shown: frozenset[int]) -> Message:
        blobs, count = [], len(states)
        for batch in batches:
            blobs.append(batch.events)
            count += batch.count
        blobs += states
        data = join_events(self.history.room, position, blobs, count, None, self._epoch(batches))
        return Message(data, count, NOTHING_SHOWN)


class LiveLane(Lane):
    """Per frame the newest event of each streak, the heaviest few, and the ``totals``."""

    name: str = "live"

    def __init__(self, history: History, shared: Shared, totals: Callable[[], dict[str, int]]) -> None:
        super().__init__(history, shared)
        self.interval = shared.settings.live_interval
        self._top = shared.settings.live_top
        self._totals = totals

    def message(self, position: int, batches: list[RoomBatch], states: list[bytes], shown: frozenset[int]) -> Message:
        waiting = set(shown)
        blobs = conflate(batches, self._top, waiting) + states
        data = join_events(self.history.room, position, blobs, len(blobs), self._totals(), self._epoch(batches))
        return Message(data, len(blobs), frozenset(waiting))
