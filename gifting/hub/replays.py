"""Catching up at a bounded cost: who lacks much is given it page by page, in turn, and pays for it.

Of each subscriber one page is on its way at a time, and ``replay_loads`` of them on this node, in the order in which
they were asked for; so those who wait are as many as there are subscribers at most. Pages are given one at a time, each
followed by a rest of three times as long as it took, so that gifts go on meanwhile. Who has had more than its allowance
of bytes waits for the next page until that has filled up again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from time import perf_counter
from typing import Final

from gifting.config import Settings
from gifting.errors import GiftingError
from gifting.hub.meter import Meter
from gifting.hub.subscription import Subscriber, Subscription
from gifting.tasks import end
from gifting.wire.batch import RoomBatch
from gifting.wire.close import CloseCode

log = logging.getLogger(__name__)

PAGE: Final = 65_536
"""Bytes of events given at a time: as JSON about a millisecond of work."""

REST: Final = 3.0
"""How many times as long as giving a page took nothing more is given."""

SHORTEST_REST: Final = 0.001
"""Seconds; timers are no finer. Less is added up."""


class Replays:
    """The queue of those who wait for what they missed, and what each of them has had."""

    def __init__(self, settings: Settings) -> None:
        self.reading = asyncio.Semaphore(settings.replay_loads)
        """Of the logs that are read to fill gaps of rooms."""
        self._loads = settings.replay_loads
        self._meter = Meter(settings.replay_rate, settings.replay_burst)
        self._loop = asyncio.get_running_loop()
        self._wanted: dict[Subscriber, deque[Subscription]] = {}
        self._queue: deque[Subscriber] = deque()
        self._turn = asyncio.Lock()
        self._owed = 0.0
        self._workers: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Subscribers that wait or are being served."""
        return len(self._wanted)

    # What was had.

    def charge(self, subscriber: Subscriber, size: int) -> None:
        """``size`` bytes were read, or made anew, for a subscriber."""
        self._meter.charge(subscriber.payer, self._loop.time(), size)

    def debt(self, subscriber: Subscriber) -> float:
        """Seconds until more may be replayed to a subscriber; 0: now."""
        return self._meter.wait(subscriber.payer, self._loop.time())

    # Who waits.

    def request(self, subscription: Subscription) -> None:
        """Give a subscription its next page when it is its turn; until then it is ``loading``."""
        subscription.loading = True
        subscriber = subscription.subscriber
        wanted = self._wanted.get(subscriber)
        if wanted is not None:
            wanted.append(subscription)
            return
        self._wanted[subscriber] = deque((subscription,))
        self._queue.append(subscriber)
        if len(self._workers) < self._loads:
            worker = asyncio.create_task(self._work(), name="replay")
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def stop(self) -> None:
        self._queue.clear()
        self._wanted.clear()
        await end(self._workers)

    async def _work(self) -> None:
        """Until nobody waits."""
        while self._queue:
            subscriber = self._queue.popleft()
            wanted = self._wanted[subscriber]
            subscription = wanted.popleft()
            try:
                await self._serve(subscription)
            except Exception:
                log.exception("a replay failed")
                subscriber.close(CloseCode.RESYNC)
            if wanted:
                self._queue.append(subscriber)
            else:
                self._wanted.pop(subscriber, None)

    async def _serve(self, subscription: Subscription) -> None:
        if not subscription.is_behind or not subscription.subscriber.can_take:
            subscription.loading = False  # it has left meanwhile, or asks again when it can take something
            return
        if debt := self.debt(subscription.subscriber):
            self._loop.call_later(debt, self.request, subscription)
            return
        try:
            page = await subscription.lane.missed_by(subscription, PAGE)
        except GiftingError:
            page = []
        async with self._turn:
            started = perf_counter()
            subscription.loading = False
            if subscription.is_behind:
                self._give(subscription, page)
            await self._rest(perf_counter() - started)

    def _give(self, subscription: Subscription, page: list[RoomBatch]) -> None:
        if not page:
            subscription.subscriber.close(CloseCode.RESYNC)
            return
        subscription.lane.give_page(subscription, page)
        subscription.lane.catch_up(subscription)

    async def _rest(self, took: float) -> None:
        self._owed += took * REST
        if self._owed < SHORTEST_REST:
            await asyncio.sleep(0)
            return
        pause, self._owed = self._owed, 0.0
        await asyncio.sleep(pause)
