"""Since when replicas have been away from their masters: those that were too long can't be elected by themselves.

A master counts how often a replica has begun to follow it. While that count stays as it was, nobody has come back in
between, however seldom it was looked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final

from msgspec import Struct, field

log = logging.getLogger(__name__)

COUNTS: Final = ("master_replid", "sync_full", "sync_partial_ok")
"""What ``INFO replication stats`` has of a master that changes whenever a replica comes or comes back to it."""

History = tuple[str, ...]
"""The values of :data:`COUNTS`."""


class Away(Struct):
    """Of one master: its history, and of each replica that is away since when (monotonic seconds), in it."""

    history: History
    since: dict[str, float] = field(default_factory=dict)
    excused: frozenset[str] = frozenset()


class Absences:
    """Of all masters, by their ids; ``lag`` says for how many ms a replica may lack writes and be elected all the same.

    ``time``: seconds, never stepping back.
    """

    def __init__(self, lag: Callable[[], int], time: Callable[[], float] = monotonic) -> None:
        self._lag = lag
        self._time = time
        self._masters: dict[str, Away] = {}
        self.watched: set[str] = set()
        """Masters of which the history is wanted."""

    def excused(self, master: str, away: Iterable[str], history: History) -> frozenset[str]:
        """Of those that are away from a master now, who has been for too long; ``history`` () where it is not known."""
        away, now = frozenset(away), self._time()
        if not away:
            self.watched.discard(master)
            self._masters.pop(master, None)
            return away
        self.watched.add(master)
        known = self._masters.get(master)
        if not history:
            return frozenset()
        if known is None or known.history != history:
            known = self._masters[master] = Away(history)
        known.since = {replica: known.since.get(replica, now) for replica in away}
        found = frozenset(replica for replica, since in known.since.items() if since < now - self._lag() / 1000)
        if new := found - known.excused:
            log.warning(
                "%s was away for so long that no election makes a master of it: nothing waits for it until it is back",
                ", ".join(sorted(new)),
            )
        known.excused = found
        return found
