"""Group commit: while calls are in flight, gifts queue; when one returns, all that queued go out as the next call.

Nothing waits for a timer, unless ``batch_pause`` asks for it. A batch that is full waits for nothing, not for the call
before it either: up to :data:`FLIGHTS` calls are in flight on one connection, so that Redis finds the next one waiting
while the last one is being told. What one sender sends is committed in that order, also where calls had to be repeated;
only where more waits than fits into a call, gifts go before what is free (``ledger/queue.py``).

What was sent and got no answer is sent again if it has a key, and ends as its stored result or as OutcomeUnknown; what
has no key ends as Unconfirmed. Only what certainly did not run is told so.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError

from gifting import errors
from gifting.config import Settings
from gifting.ledger.commit import PendingCommit, abandon, deliver, read_replies, refuse
from gifting.ledger.commit_connection import NOT_IN_TURN, CommitConnection
from gifting.ledger.fate import Fate, fate
from gifting.ledger.queue import Queue
from gifting.ledger.spot import Spot
from gifting.model.values import Done
from gifting.tasks import Vital, end
from gifting.wire.codec import pack

log = logging.getLogger(__name__)

FLIGHTS = 3
"""Calls in flight at most. All but the first are sent only full."""

RETRY_PAUSE = 0.05
"""Seconds between two tries while Redis is away."""


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
        connect: Callable[[], Any],
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
        self._connection = CommitConnection(connect(), chain, options, now, self._timeout)
        self._vital = vital
        self._halted = halted
        self._queue = Queue(settings.batch_queue, settings.free_queue)
        self._flights: deque[list[PendingCommit]] = deque()
        self._writing = False
        self._again: list[PendingCommit] = []
        self._closed: Callable[[], errors.GiftingError] | None = None
        self._sendable, self._flying, self._idle = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._resting: asyncio.TimerHandle | None = None
        self._trouble = ""
        self.batches = 0
        self.items = 0

    def start(self) -> None:
        self._tasks = [
            self._vital.start("ledger: send", self._send_batches(), self._fall),
            self._vital.start("ledger: replies", self._take_replies(), self._fall),
        ]

    @property
    def queued(self) -> int:
        return self._queue.size

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
        refuse((*self._again, *self._queue), why())
        self._again = []
        self._queue.clear()
        self._settle()

    async def stop(self) -> None:
        """Stop at once. What was in flight is told that nobody knows, what was not sent that it was not."""
        await end(self._tasks)
        if self._resting is not None:
            self._resting.cancel()
        self._fall()
        await self._connection.close()

    def _fall(self) -> None:
        """The tasks have ended."""
        for task in self._tasks:
            task.cancel()
        for batch in self._flights:
            abandon(batch)
        self._flights.clear()
        self.close(_stopping)

    def _settle(self) -> None:
        """Say what is true now."""
        _turn(self._sendable, self._may_send())
        _turn(self._flying, bool(self._flights))
        _turn(self._idle, not (self._queue.size or self._flights or self._again or self._writing))

    def _may_send(self) -> bool:
        """Not while something is to be repeated, which goes first; in a pause or beside a call only a full batch."""
        if self._again:
            return False
        if self._flights and not self._may_send_beside():
            return False
        if self._flights or self._resting is not None:
            return self._queue.size >= self._batch_max
        return self._queue.size > 0

    def _may_send_beside(self) -> bool:
        """Not on a connection other than that of the calls in flight, nor out of their chain."""
        return len(self._flights) < FLIGHTS and self._connection.linked and self._connection.up

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
            try:
                await self._connection.connect()
            except (RedisError, OSError) as error:  # TimeoutError is an OSError
                self._tell_trouble("Redis can't be reached", error)
                self._expire()
                await asyncio.sleep(RETRY_PAUSE)
            else:
                if self._may_send():  # still: it took time to hear of it, and to connect
                    await self._send(self._queue.take(self._batch_max))
            self._settle()

    async def _send(self, batch: list[PendingCommit]) -> None:
        """However the write ends, the batch is in flight then: its reply, or the lack of one, is read."""
        self._writing = True
        if self._pause:
            self._rest()
        try:
            await self._connection.write(batch, link=len(batch) == self._batch_max, beside=bool(self._flights))
        except Exception as error:  # also of what redis-py trips over when the connection goes away in mid-write
            self._tell_trouble("a ledger call could not be written", error)
            await self._connection.drop()
        finally:
            self._writing = False
            self._flights.append(batch)

    # In.

    async def _take_replies(self) -> None:
        pause = 0.0
        while True:
            await self._flying.wait()
            pause = max(pause, await self._take_reply())
            if not self._flights and not self._writing:
                if self._again:
                    await asyncio.sleep(pause)
                    self._repeat()
                pause = 0.0
            self._settle()

    async def _take_reply(self) -> float:
        """End the oldest flight, or all of them where the connection broke. Seconds to wait before a repetition."""
        try:
            reply = await self._connection.read()
        except (RedisError, OSError) as error:
            return await self._fail_flight(error)
        if reply == NOT_IN_TURN:
            self._again += self._flights.popleft()
            return 0.0
        replies = read_replies(reply, len(self._flights[0]))
        deliver(self._flights.popleft(), replies)
        self.batches += 1
        self.items += len(replies)
        self._trouble = ""
        return 0.0

    async def _fail_flight(self, error: Exception) -> float:
        became = fate(error)
        if became is Fate.FORGOTTEN:
            self._connection.load_script()
            self._again += self._flights.popleft()
            return 0.0
        self._tell_trouble("a ledger call failed", error)
        if became is Fate.NOT_RUN:
            self._again += self._flights.popleft()
        elif became is Fate.NO_MEMORY:
            refuse(self._flights.popleft(), errors.LedgerFull())
        elif became is Fate.BROKEN:
            abandon(self._flights.popleft())
            self._halted(f"commit: {error}")
        else:
            await self._lose_flights()
        return RETRY_PAUSE

    async def _lose_flights(self) -> None:
        """What has a key is said again, and the script tells what became of it; the rest is not known."""
        await self._connection.drop()
        lost = [item._replace(sent=True) for batch in self._flights for item in batch]
        self._flights.clear()
        self._again += (item for item in lost if item.sender is not None)
        abandon(item for item in lost if item.sender is None)

    def _repeat(self) -> None:
        """Before all that was queued meanwhile."""
        self._queue.put_back(self._again)
        self._again = []
        if self._closed is not None:
            self.close(self._closed)
        self._expire()

    def _expire(self) -> None:
        """Give up on what has waited too long."""
        refuse(self._queue.expire(self._time() - self._timeout), errors.LedgerUnavailable())

    def _tell_trouble(self, what: str, error: Exception) -> None:
        """Once, until a call succeeds or the trouble is another."""
        trouble = f"{what}: {type(error).__name__}: {error}"
        if trouble != self._trouble:
            log.warning(trouble)
        self._trouble = trouble


def _stopping() -> errors.GiftingError:
    return errors.LedgerUnavailable("The server is shutting down.")


def _turn(event: asyncio.Event, on: bool) -> None:
    if on:
        event.set()
    else:
        event.clear()
