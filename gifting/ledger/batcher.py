"""Group commit: while calls are in flight, gifts queue; when one returns, all that queued go out as the next call.

Nothing waits for a timer, unless ``batch_pause`` asks for it. A batch that is full waits for nothing, not for the call
before it either: a few calls are in flight on one connection (``ledger/flights.py``), so that Redis finds the next one
waiting while the last one is being told. What one sender sends is committed in that order, also where calls had to be
repeated; only where more waits than fits into a call, gifts go before what is free (``ledger/queue.py``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import monotonic

from gifting import errors
from gifting.config import Settings
from gifting.ledger.commit import PendingCommit, refuse
from gifting.ledger.commit_call import CommitCalls, commit_options
from gifting.ledger.commit_keys import Spot
from gifting.ledger.connector import Connector
from gifting.ledger.flights import Flights
from gifting.ledger.queue import Queue
from gifting.model.values import Done


class Batcher:
    """Owns the queue of what is to be committed, and sends it in batches. It has no task: all is done by callbacks.

    Args:
        connector: the connection to Redis; who runs it calls :meth:`fall` when it runs no more.
        chain: what the keys begin with by which calls in flight are kept in order.
        settings: sizes, times and the diamond rate.
        now: the time as the script takes it.
        halted: called when the script has failed; it should :meth:`close` this.
    """

    def __init__(
        self,
        connector: Connector,
        chain: str,
        settings: Settings,
        now: Callable[[], str],
        halted: Callable[[str], None],
    ) -> None:
        self._batch_max = settings.batch_max
        self._rest = settings.batch_pause
        self._timeout = settings.ledger_timeout
        self._connector = connector
        self._options = partial(commit_options, settings)
        self._calls = CommitCalls(chain, self._options(0), now)
        self._flights = Flights(connector, self._calls, halted, self._landed)
        self.counts = self._flights.counts
        self._queue = Queue(settings.batch_queue, settings.free_queue)
        self._closed: Callable[[], errors.GiftingError] | None = None
        self._idle = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._time = monotonic  # finer than the loop's, which stands still while it works
        self._sending: asyncio.Handle | None = None
        self._resting: asyncio.TimerHandle | None = None
        self._repeating: asyncio.TimerHandle | None = None
        self._pause = 0.0
        connector.came_up.append(self._settle)
        connector.tried.append(self._expire)

    def use_commission(self, commission: int) -> None:
        """What is taken off for hosts who have no commission of their own, in basis points, from the next call on."""
        self._calls.use(self._options(commission))

    @property
    def queued(self) -> int:
        return self._queue.size

    def submit(
        self,
        kind: int,
        sender: Spot | None,
        room: Spot,
        target: bytes | None,
        fields: bytes,
        done: Done,
        terms: bytes = b"",
    ) -> None:
        """Queue one :class:`PendingCommit`; ``done`` is called with its result, or with the error that it ended in.

        Raises:
            Overloaded: too much is queued already.
            Unavailable: nothing is taken any more.
        """
        if self._closed is not None:
            raise self._closed()
        queued = self._queue.append(PendingCommit(kind, sender, room, target, fields, done, self._time(), False, terms))
        if queued == 1 or queued == self._batch_max:  # noqa: PLR1714
            self._settle()

    async def drain(self) -> None:
        """Wait until nothing is queued or in flight."""
        while self._busy():
            self._idle.clear()
            await self._idle.wait()

    def close(self, why: Callable[[], errors.GiftingError]) -> None:
        """Send nothing more. What waits is told ``why``, as is what comes from now on; replies are still taken."""
        self._closed = why
        refuse((*self._flights.take_again(), *self._queue), why())
        self._queue.clear()
        self._settle()

    def fall(self) -> None:
        """End at once. What was in flight is told that nobody knows, what was not sent that it was not."""
        for timer in (self._sending, self._resting, self._repeating):
            if timer is not None:
                timer.cancel()
        self._flights.abandon()
        self.close(_stopping)

    # Out.

    def _settle(self) -> None:
        """Something has changed: send what may be sent now, with all else that comes in this pass of the loop."""
        if self._sending is None and self._may_send():
            self._sending = self._loop.call_soon(self._send)
        if not self._busy():
            self._idle.set()

    def _busy(self) -> bool:
        return bool(self._queue.size or self._flights.flying or self._flights.again)

    def _may_send(self) -> bool:
        """In a pause or beside a call only a full batch."""
        least = self._batch_max if self._flights.flying or self._resting is not None else 1
        return self._queue.size >= least and self._flights.may_send()

    def _send(self) -> None:
        self._sending = None
        try:
            while self._may_send():
                self._send_batch(self._queue.take(self._batch_max))
        except Exception as error:
            self._connector.fail(error)

    def _send_batch(self, batch: list[PendingCommit]) -> None:
        if self._rest:
            if self._resting is not None:
                self._resting.cancel()
            self._resting = self._loop.call_later(self._rest, self._rested)
        self._flights.send(batch, full=len(batch) == self._batch_max)

    def _rested(self) -> None:
        self._resting = None
        self._settle()

    # In.

    def _landed(self, pause: float) -> None:
        """A call has ended. What is to be said again waits until all calls have, and for the longest ``pause``."""
        self._pause = max(self._pause, pause)
        if not self._flights.flying:
            if self._flights.again:
                self._repeating = self._loop.call_later(self._pause, self._repeat)
            self._pause = 0.0
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
        self._settle()


def _stopping() -> errors.GiftingError:
    return errors.LedgerUnavailable("The server is shutting down.")
