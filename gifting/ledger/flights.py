"""Commit calls in flight, from their writing until all their items are told or are to be said again.

What was sent and got no answer is said again if it has a key, and ends as its stored result or as OutcomeUnknown; what
has no key ends as Unconfirmed. Only what certainly did not run is told so.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

from redis.exceptions import RedisError

from gifting import errors
from gifting.histogram import Histogram
from gifting.ledger.commit import PendingCommit, abandon, deliver, read_replies, refuse
from gifting.ledger.commit_connection import NOT_IN_TURN, CommitConnection
from gifting.ledger.fate import Fate, fate

log = logging.getLogger(__name__)

FLIGHTS_MAX: Final = 3
"""Calls in flight at most. All but the first are sent only full."""

RETRY_PAUSE: Final = 0.05
"""Seconds between two tries while Redis is away."""


class Flights:
    """The ``calls`` on one connection, by their items, the oldest first.

    ``again`` is what must be said again, before all else. ``halted`` is called when the script has failed. ``acks`` is
    how long items took, from queued until told.
    """

    def __init__(self, connection: CommitConnection, halted: Callable[[str], None]) -> None:
        self._connection = connection
        self._halted = halted
        self.calls: deque[list[PendingCommit]] = deque()
        self._trouble = ""
        self.writing = False
        self.again: list[PendingCommit] = []
        self.batches = 0
        self.items = 0
        self.acks = Histogram()

    @property
    def took(self) -> Histogram:
        """Calls, from written until answered."""
        return self._connection.took

    def may_send_beside(self) -> bool:
        """Not on a connection other than that of the calls in flight, nor out of their chain."""
        return len(self.calls) < FLIGHTS_MAX and self._connection.linked and self._connection.up

    async def connect(self) -> bool:
        """Whether there is a connection now."""
        try:
            await self._connection.connect()
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            self._tell_trouble("Redis can't be reached", error)
            return False
        return True

    async def send(self, batch: list[PendingCommit], *, full: bool) -> None:
        """However the write ends, the batch is in flight then: its reply, or the lack of one, is read."""
        self.writing = True
        try:
            await self._connection.write(batch, link=full, beside=bool(self.calls))
        except Exception as error:  # also of what redis-py trips over when the connection goes away in mid-write
            self._tell_trouble("a ledger call could not be written", error)
            await self._connection.drop()
        finally:
            self.writing = False
            self.calls.append(batch)

    async def end_next(self) -> float:
        """End the oldest call, or all of them where the connection broke. Seconds to wait before a repetition."""
        try:
            reply = await self._connection.read()
        except (RedisError, OSError) as error:
            return await self._fail(error)
        if reply == NOT_IN_TURN:
            self.again += self.calls.popleft()
            return 0.0
        replies = read_replies(reply, len(self.calls[0]))
        call = self.calls.popleft()
        deliver(call, replies)
        now = monotonic()
        self.acks.observe_run(now - call[0].queued_at, now - call[-1].queued_at, len(call))
        self.batches += 1
        self.items += len(replies)
        self._trouble = ""
        return 0.0

    async def _fail(self, error: Exception) -> float:
        became = fate(error)
        if became is Fate.FORGOTTEN:
            self._connection.load_script()
            self.again += self.calls.popleft()
            return 0.0
        self._tell_trouble("a ledger call failed", error)
        if became is Fate.NOT_RUN:
            self.again += self.calls.popleft()
        elif became is Fate.NO_MEMORY:
            refuse(self.calls.popleft(), errors.LedgerFull())
        elif became is Fate.BROKEN:
            abandon(self.calls.popleft())
            self._halted(f"commit: {error}")
        else:
            await self._lose()
        return RETRY_PAUSE

    async def _lose(self) -> None:
        """What has a key is said again, and the script tells what became of it; the rest is not known."""
        await self._connection.drop()
        lost = [item._replace(sent=True) for batch in self.calls for item in batch]
        self.calls.clear()
        self.again += (item for item in lost if item.sender is not None)
        abandon(item for item in lost if item.sender is None)

    def take_again(self) -> list[PendingCommit]:
        """What is to be said again, which is the caller's then."""
        again, self.again = self.again, []
        return again

    def abandon(self) -> None:
        """Nobody reads any more what becomes of the calls in flight."""
        for batch in self.calls:
            abandon(batch)
        self.calls.clear()

    async def close(self) -> None:
        await self._connection.close()

    def _tell_trouble(self, what: str, error: Exception) -> None:
        """Once, until a call succeeds or the trouble is another."""
        trouble = f"{what}: {type(error).__name__}: {error}"
        if trouble != self._trouble:
            log.warning(trouble)
        self._trouble = trouble
