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

from msgspec import Struct
from msgspec.structs import replace

from gifting import errors
from gifting.ledger.commit import PendingCommit, abandon, deliver, read_replies, refuse
from gifting.ledger.commit_call import NOT_IN_TURN, CommitCalls
from gifting.ledger.connector import RETRY_PAUSE, Connector
from gifting.ledger.counts import Counts
from gifting.ledger.redis_errors import Fate, fate

log = logging.getLogger(__name__)

FLIGHTS_MAX: Final = 3
"""Calls in flight at most. All but the first are sent only full."""


class Flight(Struct, frozen=True):
    """A call in flight: its items, and when it was written."""

    items: list[PendingCommit]
    written_at: float


class Flights:
    """The calls on the connection, ``flying``, the oldest first.

    ``again`` is what must be said again, before all else. ``halted`` is called when the script has failed, ``landed``
    when a call has ended, with the seconds to wait before a repetition.
    """

    def __init__(
        self,
        connector: Connector,
        calls: CommitCalls,
        halted: Callable[[str], None],
        landed: Callable[[float], None],
    ) -> None:
        self._connector = connector
        self._calls = calls
        self._halted = halted
        self._landed = landed
        self.flying: deque[Flight] = deque()
        self._trouble = ""
        self.again: list[PendingCommit] = []
        self.counts = Counts()

    def may_send(self) -> bool:
        """Not without a connection, nor while something is to be said again; beside a call not out of its chain."""
        if self.again or not self._connector.up:
            return False
        return not self.flying or (len(self.flying) < FLIGHTS_MAX and self._calls.linked)

    def send(self, batch: list[PendingCommit], *, full: bool) -> None:
        """From now on it counts as sent. A full one lets the next be sent beside it."""
        beside = bool(self.flying)
        self.flying.append(Flight(batch, monotonic()))  # first of all: so it is told whatever goes wrong from here on
        self._connector.call(self._calls.pack(batch, link=full, beside=beside), self._end_oldest)

    def _end_oldest(self, reply: bytes | Exception) -> None:
        """What Redis says of the oldest call, or why it says nothing.

        Raises:
            ValueError, TypeError: it makes no sense.
        """
        if not self.flying:
            return  # they were abandoned
        if isinstance(reply, Exception):
            self._landed(self._fail(self.flying.popleft().items, reply))
            return
        if reply == NOT_IN_TURN:
            self.again += self.flying.popleft().items
        else:
            replies = read_replies(reply, len(self.flying[0].items))
            flight = self.flying.popleft()
            deliver(flight.items, replies)
            self.counts.took.observe(monotonic() - flight.written_at)
            self.counts.note_batch(flight.items)
            self._trouble = ""
        self._landed(0.0)

    def _fail(self, items: list[PendingCommit], error: Exception) -> float:
        """Seconds to wait before a repetition."""
        became = fate(error)
        if became is Fate.FORGOTTEN:
            self._calls.load_script()
            self.again += items
            return 0.0
        self._tell_trouble(error)
        if became is Fate.NOT_RUN:
            self.again += items
        elif became is Fate.NO_MEMORY:
            refuse(items, errors.LedgerFull())
        elif became is Fate.BROKEN:
            abandon(items)
            self._halted(f"commit: {error}")
        else:
            self._lose(items)
        return RETRY_PAUSE

    def _lose(self, items: list[PendingCommit]) -> None:
        """What has a key is said again, and the script tells what became of it; the rest is not known."""
        self.again += (replace(item, sent=True) for item in items if item.sender is not None)
        abandon(item for item in items if item.sender is None)

    def take_again(self) -> list[PendingCommit]:
        """What is to be said again, which is the caller's then."""
        again, self.again = self.again, []
        return again

    def abandon(self) -> None:
        """Nobody hears any more what becomes of the calls in flight."""
        while self.flying:
            abandon(self.flying.popleft().items)

    def _tell_trouble(self, error: Exception) -> None:
        """Once, until a call succeeds or the trouble is another."""
        trouble = f"a ledger call failed: {type(error).__name__}: {error}"
        if trouble != self._trouble:
            log.warning(trouble)
        self._trouble = trouble
