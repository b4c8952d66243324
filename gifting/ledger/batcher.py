"""Group commit: while calls are in flight, gifts queue; when one returns, all that queued go out as the next call.

Nothing waits for a timer. A batch that is full does not wait for the call before it either: up to :data:`LINES` calls
are in flight, so that Redis works on one while another is being packed or told, and syncs once for all that it finds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from gifting import errors
from gifting.config import Settings
from gifting.ledger.commit import Commit, Done, Item, Line, Result, fail
from gifting.tasks import end
from gifting.wire.codec import pack

__all__ = ["Batcher", "Done", "Result"]

LINES = 3
"""Connections for commit calls; the first takes any batch, the others full ones."""


class Batcher:
    """Owns the queue of what is to be committed, and one task per line that sends it in batches.

    Args:
        connect: makes a connection to Redis.
        settings: sizes, times and the diamond rate.
        now: the time as the script takes it.
    """

    def __init__(self, connect: Callable[[], Any], settings: Settings, now: Callable[[], str] = str) -> None:
        self._batch_max = settings.batch_max
        self._queue_max = settings.batch_queue
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
        self._lines = [Line(connect(), options, now, self._timeout) for _ in range(LINES)]
        self._queue: deque[Item] = deque()
        self._some, self._full, self._idle = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._in_flight = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._time = asyncio.get_running_loop().time
        self.batches = 0
        self.items = 0

    def start(self) -> None:
        first, *others = self._lines
        self._tasks.append(asyncio.create_task(self._run(first, self._some, 1), name="commit any"))
        for line in others:
            self._tasks.append(asyncio.create_task(self._run(line, self._full, self._batch_max), name="commit full"))

    @property
    def queued(self) -> int:
        return len(self._queue)

    def submit(self, kind: int, sender: str | None, room: str, fields: bytes, done: Done) -> None:
        """Queue one item; ``done`` is called with its result, or with the error that it ended in.

        Raises:
            Overloaded: too much is queued already.
        """
        queued = len(self._queue)
        if queued >= self._queue_max:
            raise errors.Overloaded
        self._queue.append(Item(kind, sender, room, fields, done, self._time()))
        if not queued:
            self._some.set()
            self._idle.clear()
        if queued + 1 >= self._batch_max:
            self._full.set()

    async def drain(self) -> None:
        """Wait until nothing is queued or in flight."""
        await self._idle.wait()

    async def stop(self) -> None:
        """Stop at once; what is still queued was not sent, and is told so."""
        await end(self._tasks)
        fail(self._queue, errors.LedgerUnavailable("The server is shutting down."))
        self._queue.clear()
        for line in self._lines:
            await line.close()

    async def _run(self, line: Line, ready: asyncio.Event, least: int) -> None:
        """For ever: when ``ready``, send a batch if at least ``least`` items are queued."""
        while True:
            await ready.wait()
            if len(self._queue) >= least:
                await self._commit(line, [self._queue.popleft() for _ in range(min(len(self._queue), self._batch_max))])
            self._settle()

    async def _commit(self, line: Line, batch: list[Item]) -> None:
        self._in_flight += 1
        self._settle()
        delivered = await Commit(line, batch, self._expired).run()
        self._in_flight -= 1
        self.batches += delivered > 0
        self.items += delivered

    def _settle(self) -> None:
        """Say what is true of the queue now."""
        if len(self._queue) < self._batch_max:
            self._full.clear()
        if not self._queue:
            self._some.clear()
            if not self._in_flight:
                self._idle.set()

    def _expired(self, item: Item) -> bool:
        return self._time() - item.queued_at > self._timeout
