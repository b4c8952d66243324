"""What is seen of rounds: how long they take, and which masters' do not count, since when and why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Final

from msgspec import Struct

from gifting.histogram import Histogram
from gifting.ledger.cluster.topology import Node

log = logging.getLogger(__name__)

SAID_AFTER: Final = 3.0
"""Seconds after which it is said: a failover ends most of what is shorter, and a replica that joins all of it."""

QUIET: Final = 60.0
"""Seconds without a round after which nobody knows whether one would count."""


class Unheld(Struct):
    """Of a master whose rounds do not count: why, when the first of them was written, and when the last one ended."""

    why: str
    since: float
    last: float = 0.0
    said: bool = False

    @property
    def seconds(self) -> float:
        return self.last - self.since


class Rounds:
    """``took``: from written until replicas have them, or until that was given up. ``time``: seconds, monotonic."""

    def __init__(self, time: Callable[[], float] = monotonic) -> None:
        self.took = Histogram()
        self._time = time
        self._unheld: dict[Node, Unheld] = {}

    def note(self, master: Node, written_at: float, lacks: str) -> None:
        """A round has ended; ``lacks`` says why it does not count, and is '' where it does."""
        now = self._time()
        self.took.observe(now - written_at)
        if lacks:
            self._note_unheld(master, self._unheld.setdefault(master, Unheld(lacks, written_at)), lacks, now)
        elif self._unheld and (ended := self._unheld.pop(master, None)) and ended.said:
            log.warning("what is written to %s counts again, after %.0f s", master, now - ended.since)

    def _note_unheld(self, master: Node, unheld: Unheld, lacks: str, now: float) -> None:
        unheld.why, unheld.last = lacks, now
        if unheld.seconds >= SAID_AFTER and not unheld.said:
            unheld.said = True
            log.warning("what is written to %s has not counted for %.0f s: %s", master, unheld.seconds, lacks)

    def forget(self, master: Node) -> None:
        """It is none any more."""
        self._unheld.pop(master, None)

    @property
    def seconds(self) -> float:
        """For how long no round of a master has counted; the longest, 0 where all do."""
        return max((unheld.seconds for _, unheld in self._seen()), default=0.0)

    def told(self) -> list[str]:
        """For operators: a sentence of each master of which it lasts."""
        return [
            f"What is written to {master} has not counted for {unheld.seconds:.0f} s: {unheld.why}."
            for master, unheld in self._seen()
            if unheld.said
        ]

    def _seen(self) -> Iterator[tuple[Node, Unheld]]:
        now = self._time()
        return ((master, unheld) for master, unheld in self._unheld.items() if now - unheld.last < QUIET)
