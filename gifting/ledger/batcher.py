"""Group commit: while calls are in flight, gifts queue; when one returns, all that queued go out as the next call.

Nothing waits for a timer, unless ``batch_pause`` asks for it. A batch that is full waits for nothing, not for the call
before it either: a few calls are in flight on one connection (``ledger/flights.py``), so that Redis finds the next one
waiting while the last one is being told. What one sender sends is committed in that order, also where calls had to be
repeated; only where more waits than fits into a call, gifts go before what is free (``ledger/queue.py``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from redis.asyncio.connection import AbstractConnection

from gifting import errors
from gifting.config import Settings
from gifting.histogram import Histogram
from gifting.ledger.commit import PendingCommit, refuse
from gifting.ledger.commit_connection import CommitConnection
from gifting.ledger.flights import RETRY_PAUSE, Flights
from gifting.ledger.queue import Queue
from gifting.ledger.spot import Spot
from gifting.model.packing import pack
from gifting.model.values import Done
from gifting.tasks import Vital, end


class Batcher:
    """Owns the queue of what is to be committed, a task that sends it in batches and one that takes the replies.

    Args:
        connect: makes a connection to Redis.
        chain: what the keys begin with by which calls in flight are kept in order.
        settings: sizes, times and the diamond rate.
        now: the time as the script takes it.
        vital: keeps the tasks.
        halted: called when the script has failed; it should :meth:`close` this.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractConnection],
        chain: str,
        settings: Settings,
        now: Callable[[], str],
        vital: Vital,
        halted: Callable[[str], None],
    ) -> None:
        self._batch_max = settings.batch_max
        self._pause = settings.batch_pause
        self._timeout = settings.ledger_timeout
        options = pack(
            (
                round(settings.dedupe_window * 1000),
                round(settings.key_lead * 1000),
                round(settings.streak_window * 1000),
                *settings.diamond_rate(),
                settings.log_keep,
            )
        )
        self._flights = Flights(CommitConnection(connect(), chain, options, now, self._timeout), halted)
        self._vital = vital
        self._queue = Queue(settings.batch_queue, settings.free_queue)
        self._closed: Callable[[], errors.GiftingError] | None = None
        self._sendable, self._flying, self._idle = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._loop = asyncio.get_running_loop()
        self._time = monotonic  # finer than the loop's, which stands still while it works
        self._resting: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._tasks = [
            self._vital.start("ledger: send", self._send_batches(), self._fall),
            self._vital.start("ledger: replies", self._take_replies(), self._fall),
        ]

    @property
    def queued(self) -> int:
        return self._queue.size

    @property
    def batches(self) -> int:
        """Calls that were answered."""
        return self._flights.batches

    @property
    def took(self) -> Histogram:
        """Calls, from written until answered."""
        return self._flights.took

    @property
    def acks(self) -> Histogram:
        """What was committed or refused by the script, from queued until told."""
        return self._flights.acks

    @property
    def items(self) -> int:
        """What was committed or refused by the script."""
        return self._flights.items

    def submit(
        self, kind: int, sender: Spot | None, room: Spot, target: bytes | None, fields: bytes, done: Done
    ) -> None:
        """Queue one :class:`PendingCommit`; ``done`` is called with its result, or with the error that it ended in.

        Raises:
            Overloaded: too much is queued already.
            Unavailable: nothing is taken any more.
        """
        if self._closed is not None:
            raise self._closed()
        queued = self._queue.append(PendingCommit(kind, sender, room, target, fields, done, self._time()))
        if queued == 1 or queued == self._batch_max:  # noqa: PLR1714
            self._settle()

    async def drain(self) -> None:
        """Wait until nothing is queued or in flight."""
        await self._idle.wait()

    def close(self, why: Callable[[], errors.GiftingError]) -> None:
        """Send nothing more. What waits is told ``why``, as is what comes from now on; replies are still taken."""
        self._closed = why
        refuse((*self._flights.take_again(), *self._queue), why())
        self._queue.clear()
        self._settle()

    async def stop(self) -> None:
        """Stop at once. What was in flight is told that nobody knows, what was not sent that it was not."""
        await end(self._tasks)
        if self._resting is not None:
            self._resting.cancel()
        self._fall()
        await self._flights.close()

    def _fall(self) -> None:
        """The tasks have ended."""
        for task in self._tasks:
            task.cancel()
        self._flights.abandon()
        self.close(_stopping)

    def _settle(self) -> None:
        """Say what is true now."""
        flights = self._flights
        _turn(self._sendable, self._may_send())
        _turn(self._flying, bool(flights.calls))
        _turn(self._idle, not (self._queue.size or flights.calls or flights.again or flights.writing))

    def _may_send(self) -> bool:
        """Not while something is to be repeated, which goes first; in a pause or beside a call only a full batch."""
        if self._flights.again:
            return False
        if self._flights.calls and not self._flights.may_send_beside():
            return False
        if self._flights.calls or self._resting is not None:
            return self._queue.size >= self._batch_max
        return self._queue.size > 0

    def _rest(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
        self._resting = self._loop.call_later(self._pause, self._wake)

    def _wake(self) -> None:
        self._resting = None
        self._settle()

    # Out.

    async def _send_batches(self) -> None:
        while True:
            await self._sendable.wait()
            if not await self._flights.connect():
                self._expire()
                await asyncio.sleep(RETRY_PAUSE)
            elif self._may_send():  # still: it took time to hear of it, and to connect
                await self._send(self._queue.take(self._batch_max))
            self._settle()

    async def _send(self, batch: list[PendingCommit]) -> None:
        if self._pause:
            self._rest()
        await self._flights.send(batch, full=len(batch) == self._batch_max)

    # In.

    async def _take_replies(self) -> None:
        pause = 0.0
        while True:
            await self._flying.wait()
            pause = max(pause, await self._flights.end_next())
            if not self._flights.calls and not self._flights.writing:
                if self._flights.again:
                    await asyncio.sleep(pause)
                    self._repeat()
                pause = 0.0
            self._settle()

    def _repeat(self) -> None:
        """Before all that was queued meanwhile."""
        self._queue.put_back(self._flights.take_again())
        if self._closed is not None:
            self.close(self._closed)
        self._expire()

    def _expire(self) -> None:
        """Give up on what has waited too long."""
        refuse(self._queue.expire(self._time() - self._timeout), errors.LedgerUnavailable())


def _stopping() -> errors.GiftingError:
    return errors.LedgerUnavailable("The server is shutting down.")


def _turn(event: asyncio.Event, on: bool) -> None:
    if on:
        event.set()
    else:
        event.clear()
