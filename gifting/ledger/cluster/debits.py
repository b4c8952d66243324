"""The gifts of one partition's senders: queued, debited in calls of which one is in flight, and then handed on.

A call counts once replicas hold it. Until then the same gifts are said again: those that it took already are duplicates
then, and what it said of them first holds. So nothing is told, and nothing credited, that a failover may undo.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final

from gifting import errors
from gifting.ledger.cluster.credit_call import read_blob
from gifting.ledger.cluster.debit_call import UNASKED, Asked, DebitCalls, Debited, read_debit
from gifting.ledger.cluster.errands import Errands
from gifting.ledger.cluster.fields import user_of
from gifting.ledger.cluster.flight import Flight, taken_in
from gifting.ledger.cluster.link import Call
from gifting.ledger.cluster.parcels import Paid, Parcel
from gifting.ledger.cluster.way import Way
from gifting.ledger.commit import OK, PendingCommit, abandon, deliver, refuse
from gifting.ledger.connector import RETRY_PAUSE
from gifting.ledger.queue import Queue
from gifting.ledger.redis_errors import Fate, fate

ASKED_FOR: Final = 0.8
"""Of the time that a gift may wait, how much it may wait for what its room says: then it is said without, since it may
have been paid before, which needs no room.
"""

TRIED_FOR: Final = 1.0
"""Seconds for which a call is tried at least, even if its oldest gift has waited longer."""


class Debits:
    """A lane. ``credit`` is told of each parcel, by the number of its partition, once its debit is held."""

    def __init__(
        self, slot: int, calls: DebitCalls, way: Way, numbers: dict[str, int], credit: Callable[[int, Parcel], None]
    ) -> None:
        self._slot = slot
        self._calls = calls
        self._way = way
        self._numbers = numbers
        self._credit = credit
        self._loop = asyncio.get_running_loop()
        self.queue = Queue(2**31, 0)
        self._aside: list[PendingCommit] = []
        self._flight: Flight | None = None
        self._sending: asyncio.Handle | None = None
        self._repeating: asyncio.TimerHandle | None = None
        self._closed: Callable[[], errors.GiftingError] | None = None
        self.errands = Errands(self._settle)

    @property
    def busy(self) -> bool:
        return bool(self.queue.size or self._aside or self._flight or (self.errands.waiting and not self._closed))

    def append(self, item: PendingCommit) -> None:
        self.queue.append(item)
        self._settle()

    def close(self, why: Callable[[], errors.GiftingError]) -> None:
        """Send nothing more. What waits is told ``why``; a reply is still taken."""
        self._closed = why
        if self._repeating is not None:
            self._repeating.cancel()
            self._give_up()
        refuse((*self._aside, *self.queue), why())
        self._aside.clear()
        self.queue.clear()
        self.errands.close()

    def fall(self) -> None:
        """End at once: nobody hears any more what becomes of the call in flight."""
        if self._repeating is not None:
            self._repeating.cancel()
            self._repeating = None
        flight, self._flight = self._flight, None
        if flight is not None:
            abandon(flight.items)

    def expire(self, now: float) -> None:
        """Give up on what has waited too long."""
        oldest = now - self._way.timeout
        late = [*self.queue.expire(oldest), *(item for item in self._aside if item.queued_at < oldest)]
        self._aside = [item for item in self._aside if item.queued_at >= oldest]
        refuse(late, errors.LedgerUnavailable())
        if self._aside and self._waits_in_vain(self._aside[0], now):
            self.look_again()

    def _waits_in_vain(self, item: PendingCommit, now: float) -> bool:
        """Whether there is no time left in which its room could be asked."""
        return item.queued_at < now - ASKED_FOR * self._way.timeout

    def look_again(self) -> None:
        """Something has been asked: what was put aside for it goes before all that came later."""
        if self._aside:
            aside, self._aside = self._aside, []
            self.queue.put_back(aside)
            self._settle()

    # Out.

    def _settle(self) -> None:
        if self._sending is None and self._may_send():
            self._sending = self._loop.call_soon(self._send)

    def _may_send(self) -> bool:
        return self._flight is None and bool(self.queue.size or self.errands.due)

    def _send(self) -> None:
        self._sending = None
        batch = self._take()
        if batch or self.errands.due:
            now = monotonic()
            oldest = batch[0].item.queued_at if batch else now
            self._fly(Flight(batch, max(oldest + self._way.timeout, now + TRIED_FOR), unheld=[]))

    def _take(self) -> list[Asked]:
        """Gifts of which all is known. What one sender sends stays in order."""
        look, batch, now = self._way.rooms.look, list[Asked](), monotonic()
        waiting = {user_of(item.fields) for item in self._aside}
        for item in self.queue.take(self._way.batch_max):
            asked = None if waiting and user_of(item.fields) in waiting else look(item)
            if asked is None and self._waits_in_vain(item, now):
                asked = Asked(item, UNASKED)
            if asked is None:
                waiting.add(user_of(item.fields))
                self._aside.append(item)
            else:
                batch.append(asked)
        return batch

    def _fly(self, flight: Flight) -> None:
        self._flight = flight
        riding = self.errands.ride()

        def pack(whole: bool) -> bytes:
            if whole:
                self._calls.load_script()
            return self._calls.pack(flight.batch, riding)

        self._way.links.send(Call(self._slot, pack, self._land, flight.until))

    # In.

    def _land(self, reply: Any, held: bool) -> None:
        """What Redis says of the call in flight, or why it says nothing.

        Raises:
            ValueError: it makes no sense.
        """
        flight = self._flight
        if flight is None:
            return  # it was abandoned
        if isinstance(reply, Exception):
            self._fail(flight, reply)
        elif held:
            said = read_debit(reply, len(flight.batch))
            self._flight = None
            self.errands.done()
            self._tell(flight, said)
        else:
            flight.unheld.append(read_debit(reply, len(flight.batch)))
            self._repeat(flight)
        self._settle()
        self._way.settled()

    def _fail(self, flight: Flight, error: Exception) -> None:
        became = fate(error)
        if became is Fate.UNKNOWN:
            self._repeat(flight)
            return
        self._flight = None
        self.errands.rest()
        if flight.sent:
            abandon(flight.items)
        elif became is Fate.NO_MEMORY:
            refuse(flight.items, errors.LedgerFull())
        elif became is Fate.NOT_RUN:
            refuse(flight.items, errors.LedgerUnavailable())
        else:
            abandon(flight.items)
        if became is Fate.BROKEN:
            self._way.halted(f"debit: {error}")

    def _repeat(self, flight: Flight) -> None:
        """The same gifts again, by what their rooms say now if they can be asked."""
        flight.sent = True
        if self._closed is not None or monotonic() >= flight.until:
            self._give_up()
        else:
            self._repeating = self._loop.call_later(RETRY_PAUSE, self._say_again, flight)

    def _say_again(self, flight: Flight) -> None:
        self._repeating = None
        look = self._way.rooms.look
        flight.batch = [look(asked.item, at_any_age=True) or asked for asked in flight.batch]
        self._fly(flight)

    def _give_up(self) -> None:
        self._repeating = None
        flight, self._flight = self._flight, None
        assert flight is not None
        self.errands.rest()
        abandon(flight.items)

    # What became of the gifts.

    def _tell(self, flight: Flight, said: Debited) -> None:
        """Each gift that was taken is handed on; of what was not, or had been before, its sender is told."""
        taken = taken_in(said)
        parcels, before = self._parcels(flight, said, taken), set[int]()
        for earlier in reversed(flight.unheld):
            fresh = taken_in(earlier)
            if not fresh & (taken | before):  # else it was lost, whole, before it was held
                before |= fresh
                parcels = self._parcels(flight, earlier, fresh) + parcels
        rest = [at for at in range(len(flight.batch)) if at not in taken and at not in before]
        self._answer([flight.batch[at].item for at in rest], [said.replies[at] for at in rest])
        self._way.counts.batches += bool(flight.batch)
        for number, parcel in parcels:
            self._credit(number, parcel)

    def _answer(self, items: Sequence[PendingCommit], replies: Sequence[Any]) -> None:
        for item, reply in zip(items, replies, strict=True):
            _, status, seq, coins, *_ = reply
            self._way.counts.note(item)
            if status == OK and not seq:  # it was paid before: else it was taken
                self._way.late.tell(item, coins, self.errands)
            else:
                deliver((item,), (reply,))

    def _parcels(self, flight: Flight, said: Debited, taken: set[int]) -> list[tuple[int, Parcel]]:
        """What the call took, by the partitions that it is for."""
        paid: dict[int, list[Paid]] = {}
        for at in sorted(taken):
            item, (how, _, _, coins, _, _) = flight.batch[at].item, said.replies[at]
            paid.setdefault(self._numbers[item.room.base], []).append(Paid(item, how, coins))
        blobs = [(number, read_blob(blob)) for number, blob in said.blobs]
        now = monotonic()
        return [(number, Parcel(number, blob, paid[number], now, self.errands.note)) for number, blob in blobs]
