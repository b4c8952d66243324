"""One room on this node: it takes up the events that come, fills gaps from the log, and feeds its two lanes."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from gifting.errors import GiftingError
from gifting.hub.history import History, Log
from gifting.hub.lane import Lane, Shared
from gifting.hub.lanes import AllLane, LiveLane
from gifting.hub.limits import Bucket
from gifting.hub.replays import PAGE
from gifting.hub.snapshots import Snapshots
from gifting.hub.subscription import Subscription
from gifting.model.events import Ranked, RankEvent, ViewersEvent, decode_user
from gifting.model.values import RoomRef
from gifting.wire.batch import Page, RoomBatch, Totals
from gifting.wire.codec import MSGPACK
from gifting.wire.messages import Lane as LaneName
from gifting.wire.removal import blank, removals
from gifting.wire.replies import Snapshot

log = logging.getLogger(__name__)

HEAL_PAUSE = 0.2
"""Seconds until a log that can't be read is tried again."""


class RoomLedger(Log, Protocol):
    """What a room asks of the ledger's rooms."""

    async def snapshot(self, room: RoomRef) -> Snapshot: ...


class Room:
    """A room with subscribers on this node. :meth:`open` must have returned before it is used."""

    def __init__(self, ref: RoomRef, ledger: RoomLedger, shared: Shared, now: float) -> None:
        rate = shared.settings.member_rate
        self._ledger = ledger
        self._shared = shared
        self.ref = ref
        self.id = ref.id
        self.history = History(ref, ledger, shared.settings.recent_max)
        self.snapshots = self._new_snapshots()
        self.lanes: dict[LaneName, Lane] = {}
        self.viewers_here = 0
        self.viewers = 0
        self.empty_since = now
        self.members = Bucket(rate, max(rate, 1) if rate else 0, now)
        self._held: list[RoomBatch] = []
        self._held_size = 0
        self._look_again = False
        self._healing: asyncio.Task[None] | None = None

    # Life.

    async def open(self) -> None:
        """Learn where the room stands. What is published meanwhile is kept. Raises RoomNotFound, Unavailable."""
        self._stand(await self._ledger.snapshot(self.ref))
        self.lanes = {
            "all": AllLane(self.history, self._shared),
            "live": LiveLane(self.history, self._shared, self.totals),
        }
        self._release()

    def _stand(self, found: Snapshot) -> None:
        """Go on from a snapshot."""
        self.history.skip_to(found.seq)
        self.history.epoch = found.epoch or 0
        self.history.totals = Totals(found.coins, found.diamonds, found.likes)
        self.viewers = found.viewers

    def close(self) -> None:
        self.snapshots.close()
        if self._healing is not None:
            self._healing.cancel()

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
        seq, first = self.history.seq, batch.first
        if seq < 0 or self._healing is not None:
            self._hold(batch)
        elif batch.epoch != self.history.epoch:
            self._enter_epoch(batch)
        elif first == seq + 1:
            self._pass_on(batch)
        elif first > seq:
            self._hold(batch)
            self.heal()
        elif batch.last > seq:
            self._pass_on(batch.after(seq))

    def _enter_epoch(self, batch: RoomBatch) -> None:
        """With a new epoch what came by last may be lost: the log tells. What is of an older one is."""
        if batch.epoch > self.history.epoch:
            self._hold(batch)
            self.heal()

    def _hold(self, batch: RoomBatch) -> None:
        """Keep what comes while a gap is being filled, as much as is kept of what came lately; the log has the rest."""
        self._look_again = self._look_again or self._held_size >= self._shared.settings.recent_max
        if not self._look_again:
            self._held.append(batch)
            self._held_size += len(batch.events)

    def heal(self) -> None:
        """Fetch from the log what the feed may have lost; where that is being done, or the room opened, once more."""
        if self.history.seq < 0 or self._healing is not None:
            self._look_again = True
        else:
            self._healing = asyncio.create_task(self._fill_gap(), name=f"heal {self.id}")

    async def _fill_gap(self) -> None:
        came = len(self._held)
        while not await self._read_log():
            await asyncio.sleep(HEAL_PAUSE)
            came = len(self._held)
        self._healing = None
        self._release(came)

    async def _read_log(self) -> bool:
        """Pass on what the log has beyond what came by; whether it could be read."""
        try:
            while await self._is_at(page := await self._read_page()) and page.batches:
                for batch in page.batches:
                    if batch.first > self.history.seq + 1:
                        self._lose_track(batch.first - 1)
                    self._pass_on(batch.after(self.history.seq))
        except GiftingError as error:
            log.warning("room %s: can't read its log: %s", self.id, error)
            return False
        return True

    async def _is_at(self, page: Page) -> bool:
        """Whether a page goes on from here. What has come by may be lost, as a master's last events are with it: then
        the room starts over from a snapshot, and who was in comes back to a gap. Raises Unavailable.
        """
        history, lineage = self.history, page.lineage
        if lineage.has(history.epoch, history.seq) or not (lineage.epochs or history.epoch):
            return True
        found = await self._ledger.snapshot(self.ref)
        log.warning("room %s: events up to %d were lost, it is at %d", self.id, history.seq, found.seq)
        self._shared.counters.gaps += 1
        self.snapshots = self._new_snapshots()
        self._stand(found)
        for lane in self.lanes.values():
            lane.start_over()
        return False

    def _new_snapshots(self) -> Snapshots:
        return Snapshots(lambda: self._ledger.snapshot(self.ref))

    async def agree(self) -> None:
        """Somebody knows of another epoch than this room here: look into the log, and ask for new snapshots."""
        self.snapshots = self._new_snapshots()
        self.heal()
        while self._healing is not None:
            await asyncio.shield(self._healing)

    async def _read_page(self) -> Page:
        async with self._shared.replays.reading:
            return await self.history.logged_after(self.history.seq, PAGE)

    def _release(self, came: int = 0) -> None:
        """Take up what was held back; where some of it did not fit, the log is read once more. So many ``came`` before
        the log was read: what of these is of an epoch that it does not know, was lost.
        """
        held, self._held, self._held_size = self._held, [], 0
        for place, batch in enumerate(held):
            if place >= came or batch.epoch <= self.history.epoch:
                self.receive(batch)
        if self._look_again:
            self._look_again = False
            self.heal()

    def _lose_track(self, seq: int) -> None:
        """The log no longer has what is missing: whoever must not miss an event starts anew."""
        self._shared.counters.gaps += 1
        self.history.skip_to(seq)
        for lane in self.lanes.values():
            lane.dismiss()

    def _pass_on(self, batch: RoomBatch) -> None:
        if removed := removals(batch):
            batch = self._remove(removed, batch)
        self.history.append(batch)
        for lane in self.lanes.values():
            lane.push(batch)
        if batch.rank:
            self.push_state(RankEvent([Ranked(decode_user(user), coins) for user, coins in batch.rank]))

    def _remove(self, seqs: set[int], batch: RoomBatch) -> RoomBatch:
        """Give what these events said to nobody any more, the newest batch included."""
        self.history.blank(seqs)
        for lane in self.lanes.values():
            lane.blank(seqs)
        return blank(batch, seqs)

    # State out.

    def push_state(self, event: ViewersEvent | RankEvent) -> None:
        data = MSGPACK.encode(event)
        for lane in self.lanes.values():
            lane.push_state(type(event), data)

    def count_viewers(self, total: int) -> None:
        if total != self.viewers:
            self.viewers = total
            self.push_state(ViewersEvent(total))

    def totals(self) -> dict[str, int]:
        """As they ride along on lane ``live``."""
        totals = self.history.totals
        return {
            "coins": totals.coins,
            "diamonds": totals.diamonds,
            "likes": totals.likes,
            "viewers": self.viewers,
        }
