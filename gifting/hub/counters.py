"""What the metrics count of what goes out."""

from __future__ import annotations


class Counters:
    """Frames and events, once per reader; and the gaps: times that a log no longer had all that was missing."""

    def __init__(self) -> None:
        self.frames = 0
        self.events = 0
        self.gaps = 0

    def count(self, events: int, readers: int) -> None:
        """One frame with ``events`` events was written to each of ``readers``."""
        self.frames += readers
        self.events += events * readers
