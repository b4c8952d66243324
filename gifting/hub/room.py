"""One room on this node: what came of its events lately, and the two lanes that carry them on."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any, Protocol

import msgspec

from gifting.config import Settings
from gifting.errors import GiftingError
from gifting.hub.lane import AllLane, Lane, LiveLane
from gifting.hub.limits import Bucket
from gifting.hub.pacer import Pacer
from gifting.hub.replays import PAGE, Replays
from gifting.hub.subscription import Subscription
from gifting.model.events import State
from gifting.wire.batch import RoomBatch, Totals, split
from gifting.wire.codec import Codec, pack, unpack
from gifting.wire.messages import Lane as LaneName
from gifting.wire.replies import Snapshot

log = logging.getLogger(__name__)

SNAPSHOT_AGE = 0.25
"""Seconds for which those who join share one snapshot."""

HEAL_PAUSE = 0.2
"""Seconds until a log that can't be read is tried again."""


class RoomRef(Protocol):
    """What the hub knows of a room before it looks inside."""

    @property
    def id(self) -> str: ...


class RoomLedger(Protocol):
    """What a room asks of the ledger."""

    async def snapshot(self, room: Any) -> Snapshot: ...

    async def replay(self, room: Any, since: int, size: int) -> list[RoomBatch]: ...


class Counters:
    """What the metrics count."""

    def __init__(self) -> None:
        self.frames = 0
        self.events = 0
        self.gaps = 0

    def count(self, events: int, readers: int) -> None:
        """One frame with ``events`` events was written to each of ``readers``."""
        self.frames += readers
        self.events += events * readers


class Room:
    """A room with subscribers on this node. :meth:`open` must have returned before it is used."""

    def __init__(
        self,
        ref: RoomRef,
        ledger: RoomLedger,
        settings: Settings,
        pacer: Pacer,
        replays: Replays,
        counters: Counters,
        now: float,
    ) -> None:
        self.ref = ref
        self.id = ref.id
        self.settings = settings
        self.pacer = pacer
        self.replays = replays
        self.counters = counters
        self.seq = -1
        self.viewers_here = 0
        self.viewers = 0
        self.empty_since = now
        self.members = Bucket(settings.member_rate, max(settings.member_rate, 1), now)
        self._ledger = ledger
        self._totals = Totals(0, 0, 0)
        self._recent: deque[RoomBatch] = deque()
        self._recent_size = 0
        self._held: list[RoomBatch] = []
        self._held_size = 0
        self._overflowed = False
        self._healing: asyncio.Task[None] | None = None
        self._snapshot: asyncio.Task[Snapshot] | None = None
        self._snapshot_at = 0.0
        self._encoded_of: Snapshot | None = None
        self._encoded: dict[Codec, bytes] = {}
        self.lanes: dict[LaneName, Lane] = {}

    # Life.

    async def open(self) -> None:
        """Learn where the room stands. What is published meanwhile is kept."""
        found = await self._ledger.snapshot(self.ref)
        self.seq = found.seq
        self._totals = Totals(found.coins, found.diamonds, found.likes)
        self.viewers = found.viewers
        self.lanes = {"all": AllLane(self), "live": LiveLane(self)}
        self._release()

    def close(self) -> None:
        for task in (self._healing, self._snapshot):
            if task is not None:
                task.cancel()

    def __len__(self) -> int:
        return sum(map(len, self.lanes.values()))

    def subscribe(self, subscription: Subscription) -> None:
        self.viewers_here += subscription.counts
        subscription.lane.add(subscription)

    def unsubscribe(self, subscription: Subscription, now: float) -> None:
        subscription.lane.remove(subscription)
        self.viewers_here -= subscription.counts
        self.empty_since = now

    # Events in.

    def receive(self, batch: RoomBatch) -> None:
        """A batch from the feed: passed on if it is the next; kept if there is a gap before it; dropped if known."""
        if self.seq < 0 or self._healing is not None:
            self._hold(batch)
        elif batch.first > self.seq + 1:
            self._hold(batch)
            self.heal()
        elif batch.last > self.seq:
            self._pass_on(batch.after(self.seq))

    def _hold(self, batch: RoomBatch) -> None:
        """Keep what comes while a gap is being filled, as much as is kept of what came lately; the log has the rest."""
        self._overflowed = self._overflowed or self._held_size >= self.settings.recent_max
        if not self._overflowed:
            self._held.append(batch)
            self._held_size += len(batch.events)

    def heal(self) -> None:
        """Fetch from the log what the feed may have lost."""
        if self.seq >= 0 and self._healing is None:
            self._healing = asyncio.create_task(self._fill_gap(), name=f"heal {self.id}")

    async def _fill_gap(self) -> None:
        while not await self._read_log():
            await asyncio.sleep(HEAL_PAUSE)
        self._healing = None
        self._release()

    async def _read_log(self) -> bool:
        """Pass on what the log has beyond what came by; whether it could be read."""
        try:
            while batches := await self._read_page():
                for batch in batches:
                    if batch.first > self.seq + 1:
                        self._lose_track(batch.first - 1)
                    self._pass_on(batch.after(self.seq))
        except GiftingError as error:
            log.warning("room %s: can't read its log: %s", self.id, error)
            return False
        return True

    async def _read_page(self) -> list[RoomBatch]:
        async with self.replays.reading:
            return await self._ledger.replay(self.ref, self.seq, PAGE)

    def _release(self) -> None:
        """Take up what was held back; where some of it did not fit, the log is read once more."""
        held, self._held, self._held_size = self._held, [], 0
        for batch in held:
            self.receive(batch)
        if self._overflowed:
            self._overflowed = False
            self.heal()

    def _lose_track(self, seq: int) -> None:
        """The log no longer has what is missing: whoever must not miss an event starts anew."""
        self.counters.gaps += 1
        self._recent.clear()
        self._recent_size = 0
        self.seq = seq
        for lane in self.lanes.values():
            lane.dismiss()

    def _pass_on(self, batch: RoomBatch) -> None:
        self.seq = batch.last
        self._totals = batch.totals
        self._recent.append(batch)
        self._recent_size += len(batch.events)
        while self._recent_size > self.settings.recent_max:
            self._recent_size -= len(self._recent.popleft().events)
        for lane in self.lanes.values():
            lane.push(batch)
        if batch.rank:
            top = [{"user": unpack(user), "coins": coins} for user, coins in batch.rank]
            self.push_state("rank", {"top": top})

    # State out.

    def push_state(self, kind: State, fields: dict[str, Any]) -> None:
        event = pack({"type": kind, **fields})
        for lane in self.lanes.values():
            lane.push_state(kind, event)

    def count_viewers(self, total: int) -> None:
        if total != self.viewers:
            self.viewers = total
            self.push_state("viewers", {"count": total})

    def totals(self) -> dict[str, int]:
        return {**self._totals._asdict(), "viewers": self.viewers}

    # Catching up.

    def recent_after(self, seq: int, last: int) -> list[RoomBatch] | None:
        """The recent events after ``seq``, up to ``last``, which ends a batch; None if they don't reach back so far."""
        if not self._recent or self._recent[0].first > seq + 1:
            return None
        return [batch.after(seq) for batch in self._recent if seq < batch.last <= last]

    async def missed_by(self, subscription: Subscription, size: int) -> list[RoomBatch]:
        """What follows a subscription's position, about ``size`` bytes of it; nothing where the log has it no longer.

        Raises:
            GiftingError: the log can't be read.
        """
        position, last = subscription.position, subscription.lane.position
        recent = self.recent_after(position, last)
        if recent is not None:
            return next(iter(split(recent, size)), [])
        found = await self._ledger.replay(self.ref, position, size)
        page = [batch.after(position) for batch in found if batch.last <= last]
        return page if page and page[0].first == position + 1 else []

    # Snapshots.

    def snapshot_at_hand(self, now: float) -> Snapshot | None:
        """What :meth:`snapshot` gives, if that is there already."""
        found = self._snapshot
        if not self.lanes or found is None or not found.done() or now - self._snapshot_at > SNAPSHOT_AGE:
            return None
        return None if found.cancelled() or found.exception() else found.result()

    async def snapshot(self, now: float) -> Snapshot:
        """The room as it stands, shared by all who ask within :data:`SNAPSHOT_AGE`."""
        if self._snapshot is None or now - self._snapshot_at > SNAPSHOT_AGE:
            self._snapshot = asyncio.create_task(self._ledger.snapshot(self.ref))
            self._snapshot_at = now
        return await asyncio.shield(self._snapshot)

    def encode_snapshot(self, found: Snapshot, codec: Codec) -> msgspec.Raw:
        """A snapshot as the reply to a join has it. Whoever waited for the log may still have an older one."""
        if found is not self._encoded_of:
            self._encoded_of, self._encoded = found, {}
        if codec not in self._encoded:
            self._encoded[codec] = codec.encode(found)
        return msgspec.Raw(self._encoded[codec])

    def reaches(self, seq: int, newest: int) -> bool | None:
        """Whether everything after ``seq`` can still be had; None where only the log can tell.

        ``newest`` is the seq of a snapshot: the feed may be behind it, and who joined with it too.
        """
        if seq > self.seq:
            return seq <= newest
        return True if seq == self.seq or self.recent_after(seq, self.seq) is not None else None

    async def log_reaches(self, seq: int, newest: int) -> tuple[bool, int]:
        """:meth:`reaches`, asking the log; and how many bytes had to be read to know."""
        reaches = self.reaches(seq, newest)
        if reaches is not None:
            return reaches, 0
        found = await self._ledger.replay(self.ref, seq, 1)
        return bool(found) and found[0].first <= seq + 1, sum(len(batch.events) for batch in found)
