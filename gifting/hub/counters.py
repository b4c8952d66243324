"""What the metrics count of what goes out."""

from __future__ import annotations

from collections import Counter

from gifting.histogram import Histogram


class Counters:
    """Frames and events, once per reader; and the gaps: times that a log no longer had all that was missing.

    ``delivery`` is, by lane, how long a frame's oldest event took from the feed until written, once per reader that
    shares it. ``refusals`` and ``closes`` are what was told by whom a message, an upgrade or a connection was ended:
    codes of errors, and of closes.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.events = 0
        self.gaps = 0
        self.delivery: dict[str, Histogram] = {"all": Histogram(), "live": Histogram()}
        self.refusals: Counter[str] = Counter()
        self.closes: Counter[int] = Counter()

    def count(self, events: int, readers: int) -> None:
        """One frame with ``events`` events was written to each of ``readers``."""
        self.frames += readers
        self.events += events * readers
