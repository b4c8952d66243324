"""Gifts and free events on a Redis Cluster: a lane per partition for debits, one for credits, and one for what is free.

It is to the rest of the ledger what :class:`gifting.ledger.batcher.Batcher` is on one Redis.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import Final

from gifting import errors
from gifting.config import Settings
from gifting.ledger.cluster.asked import AskedRooms
from gifting.ledger.cluster.credit_call import CreditCalls, credit_options
from gifting.ledger.cluster.credits import Credits
from gifting.ledger.cluster.debit_call import DebitCalls, debit_options
from gifting.ledger.cluster.debits import Debits
from gifting.ledger.cluster.frees import Frees
from gifting.ledger.cluster.late import Late
from gifting.ledger.cluster.links import Links
from gifting.ledger.cluster.parcels import Parcel
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.cluster.way import Way
from gifting.ledger.commit import PendingCommit
from gifting.ledger.commit_call import commit_options
from gifting.ledger.commit_keys import Spot
from gifting.ledger.counts import Counts
from gifting.ledger.keys import Keys
from gifting.model.values import Done, Outcome

log = logging.getLogger(__name__)

TICK: Final = 0.1
"""Seconds between two looks at who has waited too long."""


class ClusterBatcher:
    """Owns the lanes. It has no task: all is done by callbacks of ``links``.

    Args:
        hole: told that something is missing between two partitions, source and destination, by their numbers.
        now: the time as the scripts take it.
        halted: called when a script has failed; it should :meth:`close` this.
    """

    def __init__(
        self,
        links: Links,
        keys: Keys,
        settings: Settings,
        now: Callable[[], str],
        halted: Callable[[str], None],
        hole: Callable[[int, int], None],
    ) -> None:
        self._settings = settings
        self._links = links
        self.counts = Counts(took=links.rounds.took)
        self.rooms = AskedRooms(links, settings.ledger_timeout, self._look_again)
        self.late = Late(self._note_settled)
        way = Way(
            links,
            self.rooms,
            self.counts,
            settings.batch_max,
            settings.ledger_timeout,
            halted,
            self._note_settled,
            settings.batch_queue,
            self.late,
        )
        numbers = {base: number for number, base in enumerate(keys.bases)}
        self._numbers = numbers
        self.debit_calls = [DebitCalls(base, numbers, b"", now) for base in keys.bases]
        self.credit_calls = [CreditCalls(base, b"", now) for base in keys.bases]
        slots = [slot_of(base) for base in keys.bases]
        self._credits = [
            Credits(number, slots[number], calls, way, hole) for number, calls in enumerate(self.credit_calls)
        ]
        self._debits = [
            Debits(slots[number], calls, way, numbers, self._credit) for number, calls in enumerate(self.debit_calls)
        ]
        self._frees = [Frees(base, way, now) for base in keys.bases]
        self.use_commission(0)
        self._open = [0, 0]
        self._closed: Callable[[], errors.GiftingError] | None = None
        self._idle = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._ticking: asyncio.TimerHandle | None = None

    def use_commission(self, commission: int) -> None:
        """What is taken off for hosts who have no commission of their own, in basis points, from the next call on."""
        settings = self._settings
        for number, debit_calls in enumerate(self.debit_calls):
            debit_calls.use(debit_options(settings, commission, number))
        for credit_calls in self.credit_calls:
            credit_calls.use(credit_options(settings, commission))
        free = commit_options(settings, commission)
        for lane in self._frees:
            lane.use(free)

    @property
    def queued(self) -> int:
        """What was taken and is not told yet."""
        return sum(self._open)

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
        """As :meth:`gifting.ledger.batcher.Batcher.submit`.

        Raises:
            Overloaded: too much is on its way already.
            Unavailable: nothing is taken any more.
        """
        if self._closed is not None:
            raise self._closed()
        free = sender is None
        if self._open[free] >= (self._settings.free_queue if free else self._settings.batch_queue):
            raise errors.Overloaded
        self._open[free] += 1

        def told(outcome: Outcome) -> None:
            self._open[free] -= 1
            done(outcome)

        item = PendingCommit(kind, sender, room, target, fields, told, monotonic(), False, terms)
        if sender is None:
            self._frees[self._numbers[room.base]].append(item)
        else:
            self._debits[self._numbers[sender.base]].append(item)
        if self._ticking is None:
            self._ticking = self._loop.call_later(TICK, self._tick)

    async def drain(self) -> None:
        """Wait until nothing is queued or in flight: what is paid is credited then, or left to the relays."""
        for lane in self._debits:
            lane.errands.hurry()
        while self._busy():
            self._idle.clear()
            await self._idle.wait()

    def close(self, why: Callable[[], errors.GiftingError]) -> None:
        """Send nothing more. What waits is told ``why``, as is what comes from now on; what is paid is told so, and
        left to the relays of other nodes; replies of debits are still taken.
        """
        self._closed = why
        for debits in self._debits:
            debits.close(why)
        for frees in self._frees:
            frees.close(why)
        left = sum(credits.close() for credits in self._credits)
        if left:
            log.warning("%d gifts are paid and not credited yet: a relay of any node does that", left)
        self._note_settled()

    def fall(self) -> None:
        """End at once. What was in flight is told that nobody knows, what was not sent that it was not."""
        if self._ticking is not None:
            self._ticking.cancel()
        for debits in self._debits:
            debits.fall()
        for frees in self._frees:
            frees.fall()
        self.close(_stopping)

    def _credit(self, number: int, parcel: Parcel) -> None:
        self._credits[number].append(parcel)

    def _busy(self) -> bool:
        lanes = self._debits, self._frees, self._credits, (self.late,)
        return any(lane.busy for each in lanes for lane in each)

    def _note_settled(self) -> None:
        """Something has ended."""
        if not self._idle.is_set() and not self._busy():
            self._idle.set()

    def _look_again(self) -> None:
        for lane in self._debits:
            lane.look_again()

    def _tick(self) -> None:
        """Tell who has waited too long."""
        now = monotonic()
        for lanes in (self._debits, self._frees, self._credits):
            for lane in lanes:
                lane.expire(now)
        self._note_settled()
        self._ticking = self._loop.call_later(TICK, self._tick) if self._busy() else None


def _stopping() -> errors.GiftingError:
    return errors.LedgerUnavailable("The server is shutting down.")
