"""What an event of a room's log becomes: a row of ``events``. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any, Final, NamedTuple

from gifting.archive.rows import Row
from gifting.model.packing import unpack
from gifting.wire.batch import RoomBatch

UNREADABLE: Final = "unreadable"
"""The type of an event that says nothing that can be kept. It has a row, so that a log has no gap."""

TS, TYPE, USER = 2, 3, 4
"""Where a row has these."""


class RoomPage(NamedTuple):
    """Rows of a log after ``since``, up to ``last``; ``removed``: seqs of which is kept no longer what was said."""

    rows: list[Row]
    removed: set[int]
    since: int
    last: int

    @property
    def missing(self) -> int:
        """Events that the log had no longer."""
        return self.last - self.since - len(self.rows)


def page_of(room: str, since: int, batches: Iterable[RoomBatch], removed: Container[int]) -> RoomPage:
    """The page that batches of a log make, which come after ``since`` or begin before it."""
    rows: list[Row] = []
    unsaid = set()
    last = since
    for batch in batches:
        part = batch.after(since)
        for entry in part.entries():
            rows.append(event_row(room, entry.seq, part.events[entry.start : entry.end], entry.seq in removed))
            if rows[-1][TYPE] == "comment_removed":
                unsaid.add(entry.weight)
        last = batch.last
    return RoomPage(rows, unsaid, since, last)


def event_row(room: str, seq: int, data: bytes, removed: bool) -> Row:
    """A row of ``events``. ``count`` of what removes a comment is that one's seq."""
    try:
        return (room, seq, *_said(unpack(data), removed))
    except (ValueError, TypeError, AttributeError, KeyError):
        return (room, seq, 0, UNREADABLE, "", None, None, "", 0, 0, 0, None)


def _said(event: Mapping[str, Any], removed: bool) -> Row:
    user, gift = event.get("user") or {}, event.get("gift") or {}
    said = None if removed else event.get("text") or event.get("message")
    count = event.get("count") or event.get("comment_seq") or 0
    return (
        int(event["ts"]),
        _words(event["type"]),
        _words(user.get("id", "")),
        _words(user["name"]) if user and not _ends_streak(event) else None,
        _words(said) if said else None,
        _words(gift.get("id", "")),
        int(count),
        int(event.get("coins", 0)),
        int(event.get("diamonds", 0)),
        None,
    )


def _ends_streak(event: Mapping[str, Any]) -> bool:
    """The end of a streak has the name of its beginning, which may have been erased in between."""
    return event["type"] == "gift" and event.get("count") == 0


def _words(text: str) -> str:
    """Without what PostgreSQL can't have in a text."""
    return text.replace("\0", "\ufffd")
