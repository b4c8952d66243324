"""A lane: how subscribers of a room are fed; ``hub/lanes.py`` has the two that there are.

Those who have everything up to ``position`` share each frame. The others are *behind*: they came back with an older
``since``, or their socket was full and they were skipped. One that can take data again is caught up by itself, from the
room's recent batches or else its log, and then shares again. A slow reader so never delays another. Little is given at
once; more than a page by ``hub/replays.py``.

A frame has ``frame_max`` bytes at most, or a single event; so what waits in a socket is ``write_buffer`` and one frame.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from time import monotonic
from typing import NamedTuple

from msgspec import Struct

from gifting.config import Settings
from gifting.hub.counters import Counters
from gifting.hub.history import History
from gifting.hub.memo import Memo
from gifting.hub.pacer import Pacer
from gifting.hub.replays import PAGE, Replays
from gifting.hub.subscription import Subscription
from gifting.wire.batch import RoomBatch, split
from gifting.wire.close import CloseCode
from gifting.wire.codec import Codec
from gifting.wire.framing import frame
from gifting.wire.removal import blank


class Shared(NamedTuple):
    """What all lanes of a node share."""

    settings: Settings
    pacer: Pacer
    replays: Replays
    counters: Counters


class Message(Struct, frozen=True, gc=False):
    """Wire bytes, how many events are in them, and the streaks that its readers then wait to see end."""

    data: bytes
    events: int
    shown: frozenset[int]


NOTHING_SHOWN: frozenset[int] = frozenset()

HEAD_MAX = 512
"""Bytes of a message besides its events: the room's id, seq, totals."""

MEMO_SIZE = 1_048_576
"""Bytes of frames for those who are behind that a lane keeps for others who lack the same."""


class Lane(ABC):
    """The subscribers of one lane of one room, whose events so far are ``history``."""

    interval: float
    """Seconds between two frames at least."""

    name: str

    def __init__(self, history: History, shared: Shared) -> None:
        self.history = history
        self.position = history.seq
        self.epoch = history.epoch
        self.due = 0.0
        self._pacer = shared.pacer
        self._replays = shared.replays
        self._counters = shared.counters
        self._frame_max = shared.settings.frame_max
        self._events_max = self._frame_max - HEAD_MAX
        self._pending: list[RoomBatch] = []
        self._since = 0.0
        self._delivery = shared.counters.delivery[self.name]
        self._states: dict[type, bytes] = {}
        self._sharing: dict[Codec, dict[Subscription, Callable[[bytes], None]]] = {}
        self._behind: set[Subscription] = set()
        self._shown = NOTHING_SHOWN
        self._memo: Memo[Message] = Memo(MEMO_SIZE)

    # Who is in.

    def __len__(self) -> int:
        return sum(map(len, self._sharing.values())) + len(self._behind)

    def subscriptions(self) -> Iterator[Subscription]:
        for group in self._sharing.values():
            yield from group
        yield from self._behind

    def is_behind(self, subscription: Subscription) -> bool:
        """Whether a subscription is in, and waits to be caught up."""
        return subscription in self._behind

    def add(self, subscription: Subscription) -> None:
        """Feed a subscription from its own position on."""
        if not len(self):
            self._pending.clear()
            self._states.clear()
            self.position, self.epoch = self.history.seq, self.history.epoch
        self._behind.add(subscription)
        self.catch_up(subscription)

    def remove(self, subscription: Subscription) -> None:
        self._behind.discard(subscription)
        self._unshare(subscription)

    def hold(self, subscription: Subscription) -> None:
        """Skip a subscription whose socket is full. It has been given everything up to ``position``."""
        if self._unshare(subscription):
            subscription.position = self.position
            subscription.shown = self._shown
            self._behind.add(subscription)

    def _unshare(self, subscription: Subscription) -> bool:
        """Give it no more frames of all; whether it had them. A codec without readers is not made."""
        group = self._sharing.get(subscription.codec, {})
        shared = group.pop(subscription, None) is not None
        if shared and not group:
            del self._sharing[subscription.codec]
        return shared

    def dismiss(self) -> None:
        """What was to go out is lost: whoever is in comes back for it, or finds out that there is a gap."""
        for subscription in tuple(self.subscriptions()):
            subscription.subscriber.close(CloseCode.RESYNC)

    def start_over(self) -> None:
        """What has gone out did not last: whoever has had it is dismissed, and the room is as its history says."""
        self.dismiss()
        self._pending, self._states, self._shown = [], {}, NOTHING_SHOWN
        self._memo.clear()
        self.position, self.epoch = self.history.seq, self.history.epoch

    # What goes out.

    def push(self, batch: RoomBatch) -> None:
        """A batch that follows the last one."""
        if not self._sharing and not self._behind:
            self.position, self.epoch = batch.last, batch.epoch
            return
        if not self._pending:
            self._since = monotonic()
        self._pending.append(batch)
        self._pacer.mark(self)

    def blank(self, seqs: set[int]) -> None:
        """What was said in the events with these seqs goes out no more."""
        self._pending = [blank(batch, seqs) for batch in self._pending]
        self._memo.clear()

    def push_state(self, kind: type, event: bytes) -> None:
        """The wire bytes of a state event: not numbered, not replayed; only the newest of its kind matters."""
        if len(self):
            self._states[kind] = event
            self._pacer.mark(self)

    def flush(self, now: float) -> None:
        """Write what is pending: one frame for everyone (more only where it would be too big)."""
        batches, states, readers = self._pending, [*self._states.values()], 0
        self._pending, self._states = [], {}
        self.due = now + self.interval
        for part in split(batches, self._room_for(states)) or ([[]] if states else []):
            if part:
                self.position, self.epoch = part[-1].last, part[-1].epoch
            readers = self._share(self.message(self.position, part, states, self._shown))
            states = []
        if batches:
            self._delivery.observe(monotonic() - self._since, readers)
        if not self._behind:
            self._memo.clear()
        for subscription in tuple(self._behind):
            self.catch_up(subscription)

    def _room_for(self, states: list[bytes]) -> int:
        """Bytes that a frame has left for events."""
        return max(self._events_max - sum(map(len, states)), 1) if states else self._events_max

    def _share(self, message: Message) -> int:
        """Write a message to all that are up to date; how many they are. One may leave for being written to."""
        self._shown = message.shown
        readers = 0
        for codec, group in tuple(self._sharing.items()):
            readers += len(group)
            data = self._frames(codec, message)
            for write in tuple(group.values()):
                write(data)
        self._counters.count(message.events, readers)
        return readers

    def _frames(self, codec: Codec, message: Message) -> bytes:
        """A message as its readers get it; as JSON, which is longer, it may be more than one frame."""
        return b"".join([frame(codec.opcode, part) for part in codec.transcode(message.data, self._frame_max)])

    # Catching up.

    def catch_up(self, subscription: Subscription) -> None:
        """Give a subscription that is behind what it lacks, as far as its socket takes it."""
        while subscription.can_take:
            if subscription.position == self.position:
                self._shown |= subscription.shown
                self._behind.discard(subscription)
                self._sharing.setdefault(subscription.codec, {})[subscription] = subscription.write
                return
            if subscription.position > self.position:
                return  # its snapshot is newer than what has come by; the next flush looks again
            if not self._give_made(subscription, self.position) and not self._give_next(subscription):
                self._replays.request(subscription)
                return

    def _give_next(self, subscription: Subscription) -> bool:
        """Give what is at hand, if that is little, or was given to another before."""
        missed = self.history.recent_after(subscription.position, self.position)
        runs = split(missed, self._page) if missed else []
        if len(runs) != 1:
            return bool(runs) and self._give_made(subscription, runs[0][-1].last)
        self.give(subscription, runs[0])
        return True

    async def missed_by(self, subscription: Subscription, size: int) -> list[RoomBatch]:
        """What a subscription lacks next, about ``size`` bytes; nothing where it is gone. Raises Unavailable."""
        return await self.history.page_after(subscription.position, self.position, size)

    def give_page(self, subscription: Subscription, batches: list[RoomBatch]) -> None:
        """Write batches that follow the subscription's position to it alone, as far as its socket takes them."""
        for run in split(batches, self._page):
            if subscription.can_take:
                self.give(subscription, run)

    @property
    def _page(self) -> int:
        return min(PAGE, self._events_max)

    def give(self, subscription: Subscription, batches: list[RoomBatch]) -> None:
        """Write what has the size of a frame; who has it made for itself pays for all that it was made of."""
        position = batches[-1].last
        if not self._give_made(subscription, position):
            message = self.message(position, batches, [], subscription.shown)
            data = self._frames(subscription.codec, message)
            self._memo.put(self._key(subscription, position), data, message)
            self._write(subscription, position, data, message, sum(len(batch.events) for batch in batches))

    def _give_made(self, subscription: Subscription, position: int) -> bool:
        """Write what brings a subscription to ``position``, if that was made for another before."""
        made = self._memo.get(self._key(subscription, position))
        if made is None:
            return False
        self._write(subscription, position, *made, len(made[0]))
        return True

    def _write(self, subscription: Subscription, position: int, data: bytes, message: Message, cost: int) -> None:
        subscription.position, subscription.shown = position, message.shown
        self._counters.count(message.events, 1)
        self._replays.charge(subscription.subscriber, cost)
        subscription.subscriber.send_frames(data)

    def _key(self, subscription: Subscription, position: int) -> tuple[int, int, Codec, frozenset[int]]:
        """What a frame depends on that brings a subscription to ``position``."""
        return subscription.position, position, subscription.codec, subscription.shown

    @abstractmethod
    def message(self, position: int, batches: list[RoomBatch], states: list[bytes], shown: frozenset[int]) -> Message:
        """What brings readers, who wait for the streaks ``shown`` to end, to ``position``."""

    def _epoch(self, batches: list[RoomBatch]) -> int:
        """In which one is with them; states alone don't change it."""
        return batches[-1].epoch if batches else self.epoch
