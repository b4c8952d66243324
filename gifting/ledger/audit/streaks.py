"""Streaks as a room's log tells them: counted right, ended once."""

from __future__ import annotations

from typing import Any, Final

from gifting.ledger.audit import about
from gifting.ledger.audit.cut import OpenStreak, RoomState
from gifting.ledger.audit.report import Findings
from gifting.wire.batch import IndexEntry

_NONE: Final = OpenStreak(0, 0)


class Streaks:
    """Feed it the gift events of a log in order; ``kept`` is the first seq that the log still has."""

    def __init__(self, room: str, kept: int, findings: Findings) -> None:
        self._room = room
        self._kept = kept
        self._findings = findings
        self._open: dict[int, OpenStreak] = {}
        self._who: dict[int, int] = {}
        self._ended: set[int] = set()

    def follow(self, entry: IndexEntry, event: dict[str, Any]) -> None:
        room, _, number = event["streak_id"].rpartition(".")
        first = int(number)
        if room != self._room or first > entry.seq:
            self._found("streak_id_wrong", entry, f"it says {event['streak_id']}")
        elif first in self._ended:
            again = event["repeat_end"] and not event["count"]
            self._found("streak_ended_twice" if again else "gift_after_streak_end", entry, event["streak_id"])
        else:
            self._check_index(entry, event, first)
            self._count(entry, event, first)

    def _check_index(self, entry: IndexEntry, event: dict[str, Any], first: int) -> None:
        if (entry.streak, entry.closes) != (first, event["repeat_end"]):
            self._found("batch_index_wrong", entry, f"streak {entry.streak}, closes {entry.closes}")

    def _count(self, entry: IndexEntry, event: dict[str, Any], first: int) -> None:
        before = self._open.get(first)
        now = OpenStreak(event["repeat_count"], entry.weight)
        # What came before the kept part of the log is not known.
        if before is None and (first == entry.seq or first >= self._kept):
            if first != entry.seq:
                self._found("streak_without_start", entry, event["streak_id"])
            before = _NONE
        if before is not None:
            if now.gifts != before.gifts + event["count"]:
                self._found("repeat_count_wrong", entry, f"{now.gifts} after {before.gifts} and {event['count']} more")
            if now.coins != before.coins + event["coins"]:
                self._found("batch_index_wrong", entry, f"weight {now.coins} after {before.coins}")
        who = hash((event["user"]["id"], event["gift"]["id"]))
        if self._who.setdefault(first, who) != who:
            self._found("streak_mixed", entry, f"another sender or gift in {event['streak_id']}")
        self._open[first] = now
        if event["repeat_end"]:
            del self._open[first], self._who[first]
            self._ended.add(first)

    def close(self, state: RoomState) -> None:
        """The log is read: what is open must be known to who ends it."""
        known = {} if state.streaks is None else state.streaks
        for first in sorted(self._open.keys() | {first for first in known if first >= self._kept}):
            told, kept = self._open.get(first), known.get(first)
            if told != kept:
                name = "open_streaks_differ" if state.live else "streak_never_ended"
                sentence = f"{self._room}.{first}: {told} by the log, Redis has {kept}."
                self._findings.found(name, sentence, about.log(self._room))

    def _found(self, name: str, entry: IndexEntry, what: str) -> None:
        told = f"{self._room}, seq {entry.seq}: {what}."
        self._findings.found(name, told, about.event(self._room, entry.seq), about.log(self._room))
