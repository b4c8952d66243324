"""What is free in one partition's rooms: calls of ``commit`` without senders, of which one is in flight.

It has no key, so nothing is said twice: what was sent and is not held ends as not confirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from gifting import errors
from gifting.ledger.cluster.link import Call
from gifting.ledger.cluster.script_call import ScriptCall
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.cluster.way import Way
from gifting.ledger.commit import PendingCommit, abandon, deliver, pack_batch, read_replies, refuse
from gifting.ledger.queue import Queue
from gifting.ledger.redis_errors import Fate, fate

_NO_CHAIN: Final = (b"", b"")


class Frees:
    """A lane of the partition whose keys begin with ``base``; ``now`` is the script's time."""

    def __init__(self, base: str, way: Way, now: Callable[[], str]) -> None:
        self._slot = slot_of(base)
        self._options = b""
        self._way = way
        self._now = now
        self._calls = ScriptCall("commit", base)
        self._loop = asyncio.get_running_loop()
        self.queue = Queue(0, 2**31)
        self._flying: list[PendingCommit] = []
        self._sending: asyncio.Handle | None = None

    @property
    def busy(self) -> bool:
        return bool(self.queue.size or self._flying)

    def use(self, options: bytes) -> None:
        """What the script takes, from the next call on."""
        self._options = options

    def append(self, item: PendingCommit) -> None:
        self.queue.append(item)
        self._settle()

    def close(self, why: Callable[[], errors.GiftingError]) -> None:
        """What waits is told ``why``; a reply is still taken."""
        refuse(self.queue, why())
        self.queue.clear()

    def fall(self) -> None:
        """End at once: nobody hears any more what becomes of the call in flight."""
        flying, self._flying = self._flying, []
        abandon(flying)

    def expire(self, now: float) -> None:
        """Give up on what has waited too long."""
        refuse(self.queue.expire(now - self._way.timeout), errors.LedgerUnavailable())

    def _settle(self) -> None:
        if self._sending is None and self._may_send():
            self._sending = self._loop.call_soon(self._send)

    def _may_send(self) -> bool:
        return bool(self.queue.size) and not self._flying

    def _send(self) -> None:
        self._sending = None
        if self._may_send():
            self._flying = self.queue.take(self._way.batch_max)
            until = self._flying[0].queued_at + self._way.timeout
            self._way.links.send(Call(self._slot, self._pack, self._land, until))

    def _pack(self, whole: bool) -> bytes:
        if whole:
            self._calls.load_script()
        packed = pack_batch(self._flying)
        arguments = (self._now().encode(), self._options, *packed.arguments, *_NO_CHAIN)
        return self._calls.pack(packed.keys, packed.keys_count, arguments)

    def _land(self, reply: Any, held: bool) -> None:
        """What Redis says of the call in flight.

        Raises:
            ValueError: it makes no sense.
        """
        if not self._flying:
            return  # it was abandoned
        if isinstance(reply, Exception):
            items, self._flying = self._flying, []
            self._fail(items, reply)
        else:
            replies = read_replies(reply, len(self._flying))
            items, self._flying = self._flying, []
            if held:
                deliver(items, replies)
            else:
                abandon(items)
            self._way.counts.note_batch(items)
        self._settle()
        self._way.settled()

    def _fail(self, items: list[PendingCommit], error: Exception) -> None:
        became = fate(error)
        if became is Fate.NOT_RUN:
            refuse(items, errors.LedgerUnavailable())
        elif became is Fate.NO_MEMORY:
            refuse(items, errors.LedgerFull())
        else:
            abandon(items)
        if became is Fate.BROKEN:
            self._way.halted(f"commit: {error}")
