"""What came of a room's events: the newest at hand, in bytes a bounded window, and the others in its log."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from gifting.model.lineage import Lineage
from gifting.model.packing import pack
from gifting.model.values import RoomRef
from gifting.wire.batch import Page, RoomBatch, Totals, split
from gifting.wire.removal import blank


class Log(Protocol):
    """Where the events of rooms are kept."""

    async def page(self, room: RoomRef, since: int, size: int) -> Page:
        """What follows ``since``, about ``size`` bytes of it. Raises Unavailable."""


class History:
    """The events of one room up to ``seq``, in ``epoch``, and the totals after them. ``recent_max`` bytes of them are
    at hand.

    ``room`` is the wire bytes of its id.
    """

    def __init__(self, ref: RoomRef, log: Log, recent_max: int) -> None:
        self.room = pack(ref.id)
        self.seq = -1
        self.epoch = 0
        self.totals = Totals(0, 0, 0)
        self.lineage = Lineage(0)
        """As the log was last heard to tell it."""
        self._ref = ref
        self._log = log
        self._recent_max = recent_max
        self._recent: deque[RoomBatch] = deque()
        self._recent_size = 0

    def append(self, batch: RoomBatch) -> None:
        """Remember what follows ``seq``."""
        self.seq = batch.last
        self.epoch = batch.epoch
        self.totals = batch.totals
        self._recent.append(batch)
        self._recent_size += len(batch.events)
        while self._recent_size > self._recent_max:
            self._recent_size -= len(self._recent.popleft().events)

    def blank(self, seqs: set[int]) -> None:
        """What was said in the events with these seqs is not given any more."""
        self._recent = deque(blank(batch, seqs) for batch in self._recent)
        self._recent_size = sum(len(batch.events) for batch in self._recent)

    def skip_to(self, seq: int) -> None:
        """Go on after ``seq``; of what was before nothing is at hand any more."""
        self.seq = seq
        self._recent.clear()
        self._recent_size = 0

    # What follows a seq.

    def recent_after(self, seq: int, last: int) -> list[RoomBatch] | None:
        """The events at hand after ``seq``, up to ``last``, which ends a batch; None if they don't reach back to it."""
        if not self._is_recent(seq):
            return None
        return [batch.after(seq) for batch in self._recent if seq < batch.last <= last]

    def _is_recent(self, seq: int) -> bool:
        """Whether all that follows ``seq`` is at hand."""
        return bool(self._recent) and self._recent[0].first <= seq + 1

    async def page_after(self, seq: int, last: int, size: int) -> list[RoomBatch]:
        """What follows ``seq``, up to ``last``: about ``size`` bytes; nothing where the log has it no longer.

        Raises:
            Unavailable: the log can't be read.
        """
        recent = self.recent_after(seq, last)
        if recent is not None:
            return next(iter(split(recent, size)), [])
        page = [batch.after(seq) for batch in (await self.logged_after(seq, size)).batches if batch.last <= last]
        return page if page and page[0].first == seq + 1 else []

    async def logged_after(self, seq: int, size: int) -> Page:
        """What the log has after ``seq``, about ``size`` bytes of it; there may be a gap before. Raises Unavailable."""
        page = await self._log.page(self._ref, seq, size)
        self.lineage = page.lineage
        return page

    def reaches(self, seq: int, newest: int, epoch: int | None = None) -> bool | None:
        """Whether everything after ``seq`` can still be had; None where only the log can tell.

        ``newest`` is the seq of a snapshot: the feed may be behind it, and who joined with it too. ``epoch`` is that in
        which one saw ``seq``, if that was said.
        """
        if epoch is not None and epoch != self.epoch:
            if not self.lineage.knows(epoch):
                return None
            if not self.lineage.keeps(epoch, seq):
                return False
        if seq > self.seq:
            return seq <= newest
        return True if seq == self.seq or self._is_recent(seq) else None

    async def log_reaches(self, seq: int, newest: int, epoch: int | None = None) -> tuple[bool, int]:
        """:meth:`reaches`, asking the log; and how many bytes had to be read to know. Raises Unavailable."""
        reaches = self.reaches(seq, newest, epoch)
        if reaches is not None:
            return reaches, 0
        found, lineage = await self.logged_after(seq, 1)
        kept = epoch is None or lineage.keeps(epoch, seq)
        reaches = seq == lineage.seq or (bool(found) and found[0].first <= seq + 1)
        return kept and reaches, sum(len(batch.events) for batch in found)
