"""Group commit: while calls are in flight, gifts queue; when one returns, all that queued go out as the next call.

Nothing waits for a timer, unless ``batch_pause`` asks for it. A batch that is full waits for nothing, not for the call
before it either: up to :data:`FLIGHTS` calls are in flight on one connection, so that Redis finds the next one waiting
while the last one is being told. What one sender sends is committed in that order, also where calls had to be repeated.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from gifting import errors
from gifting.config import Settings
from gifting.ledger.commit import Done, Item, Line, Result, deliver, fail, give_up
from gifting.tasks import end
from gifting.wire.codec import pack

__all__ = ["Batcher", "Done", "Result"]

log = logging.getLogger(__name__)

FLIGHTS = 3
"""Calls in flight at most. All but the first are sent only full."""

RETRY_PAUSE = 0.05
"""Seconds between two tries while Redis is away."""

NOT_RUN = (BusyLoadingError, ClusterDownError, MasterDownError, ReadOnlyError, TryAgainError)
"""Error replies after which the script has not run but may, later."""


class Batcher:
    """Owns the queue of what is to be committed, a task that sends it in batches and one that takes the replies.

    Args:
        connect: makes a connection to Redis.
        settings: sizes, times and the diamond rate.
        now: the time as the script takes it.
    """

    def __init__(self, connect: Callable[[], Any], settings: Settings, now: Callable[[], str] = str) -> None:
        self._batch_max = settings.batch_max
        self._queue_max = settings.batch_queue
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
        self._line = Line(connect(), options, now, self._timeout)
        self._queue: deque[Item] = deque()
        self._flights: deque[list[Item]] = deque()
        self._writing = False
        self._again: list[Item] = []
        self._sendable, self._flying, self._idle = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._resting: asyncio.TimerHandle | None = None
        self.batches = 0
        self.items = 0

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._send_batches(), name="commit: send"),
            asyncio.create_task(self._take_replies(), name="commit: replies"),
        ]

    @property
    def queued(self) -> int:
        return len(self._queue)

    def submit(self, kind: int, sender: str | None, room: str, target: bytes | None, fields: bytes, done: Done) -> None:
        """Queue one item (see :class:`Item`); ``done`` is called with its result, or with the error that it ended in.

        Raises:
            Overloaded: too much is queued already.
        """
        queued = len(self._queue)
        if queued >= self._queue_max:
            raise errors.Overloaded
        self._queue.append(Item(kind, sender, room, target, fields, done, self._time()))
        if not queued or queued + 1 == self._batch_max:
            self._settle()

    async def drain(self) -> None:
        """Wait until nothing is queued or in flight."""
        await self._idle.wait()

    async def stop(self) -> None:
        """Stop at once; what is still queued was not sent, and is told so."""
        await end(self._tasks)
        if self._resting is not None:
            self._resting.cancel()
        for batch in (*self._flights, self._again):
            fail(batch, errors.OutcomeUnknown())
        fail(self._queue, errors.LedgerUnavailable("The server is shutting down."))
        self._flights.clear()
        self._again.clear()
        self._queue.clear()
        await self._line.close()

    def _settle(self) -> None:
        """Say what is true now."""
        _turn(self._sendable, self._may_send())
        _turn(self._flying, bool(self._flights))
        _turn(self._idle, not (self._queue or self._flights or self._again or self._writing))

    def _may_send(self) -> bool:
        """Not while something is to be repeated, which goes first; in a pause or beside a call only a full batch."""
        if self._again:
            return False
        if self._flights or self._resting is not None:
            return len(self._queue) >= self._batch_max and len(self._flights) < FLIGHTS
        return bool(self._queue)

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
                await self._line.connect()
            except (RedisError, OSError):  # TimeoutError is an OSError
                self._expire()
                await asyncio.sleep(RETRY_PAUSE)
            else:
                if self._may_send():  # still: it took time to hear of it, and to connect
                    await self._send([self._queue.popleft() for _ in range(min(len(self._queue), self._batch_max))])
            self._settle()

    async def _send(self, batch: list[Item]) -> None:
        """However the write ends, the batch is in flight then: its reply, or the lack of one, is read."""
        self._writing = True
        if self._pause:
            self._rest()
        try:
            await self._line.write(batch)
        except Exception as error:  # also of what redis-py trips over when the connection goes away in mid-write
            log.warning("a ledger call could not be written: %r", error)
            await self._line.drop()
        finally:
            self._writing = False
            self._flights.append(batch)

    # In.

    async def _take_replies(self) -> None:
        while True:
            await self._flying.wait()
            pause = await self._take_reply()
            if self._again and not self._flights and not self._writing:
                await asyncio.sleep(pause)
                self._repeat()
            self._settle()

    async def _take_reply(self) -> float:
        """End the oldest flight, or all of them where the connection broke. Seconds to wait before a repetition."""
        try:
            reply = await self._line.read()
        except NoScriptError:
            self._line.load_script()
            self._again += self._flights.popleft()
            return 0.0
        except NOT_RUN:
            self._again += self._flights.popleft()
        except OutOfMemoryError:
            fail(self._flights.popleft(), errors.LedgerFull())
        except ResponseError as error:
            log.error("the ledger script failed: %s", error)
            fail(self._flights.popleft(), errors.OutcomeUnknown())
        except (RedisError, OSError) as error:
            log.warning("a ledger call got no reply: %r", error)
            await self._lose_flights()
        else:
            batch = self._flights.popleft()
            deliver(batch, reply)
            self.batches += 1
            self.items += len(batch)
        return RETRY_PAUSE

    async def _lose_flights(self) -> None:
        """What has a key is said again, and the script tells what became of it; the rest is not known."""
        lost = [item._replace(sent=True) for batch in self._flights for item in batch]
        self._flights.clear()
        self._again += (item for item in lost if item.sender is not None)
        await self._line.drop()
        give_up(item for item in lost if item.sender is None)

    def _repeat(self) -> None:
        """Before all that was queued meanwhile."""
        self._queue.extendleft(reversed(self._again))
        self._again = []
        self._expire()

    def _expire(self) -> None:
        """Give up on what has waited too long; the queue is in order of time."""
        oldest = self._time() - self._timeout
        while self._queue and self._queue[0].queued_at < oldest:
            give_up((self._queue.popleft(),))


def _turn(event: asyncio.Event, on: bool) -> None:
    if on:
        event.set()
    else:
        event.clear()
