"""Parcels for one partition of hosts: credited in the order in which they came, in calls of which one is in flight.

A parcel is safe from the start: its entry is in the outbox of its source, and a relay credits it if this node does not.
So it is said again as often as need be, and left to the relays where the partition does not answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain
from time import monotonic
from typing import Any, Final

from gifting.ledger.cluster.credit_call import EARLY, GONE, PARKED, CreditCalls, Credited, Told, read_credit
from gifting.ledger.cluster.link import Call
from gifting.ledger.cluster.parcels import PENDING_AFTER, Parcel
from gifting.ledger.cluster.way import Way
from gifting.ledger.connector import RETRY_PAUSE
from gifting.ledger.redis_errors import Fate, fate

log = logging.getLogger(__name__)

KEPT_FOR: Final = 3
"""Time-outs for which a parcel is kept that can't be credited."""

PARKED_FOR: Final = 0.2
"""Seconds after its debit from which a parcel that is parked is said again, each time this lane is looked at."""

PARCELS_MAX: Final = 64
"""Parcels in one call at most."""


class Credits:
    """A lane. ``hole`` is called with the number of a source of which something earlier is missing here: a relay finds
    it in that source's outbox.
    """

    def __init__(self, number: int, slot: int, calls: CreditCalls, way: Way, hole: Callable[[int, int], None]) -> None:
        self._number = number
        self._slot = slot
        self._calls = calls
        self._way = way
        self._hole = hole
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Parcel] = deque()
        self._flying: list[Parcel] = []
        self._parked: dict[tuple[int, int], Parcel] = {}
        self._sending: asyncio.Handle | None = None
        self._resting: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._flying or self._parked)

    def append(self, parcel: Parcel) -> None:
        if self._closed:
            parcel.tell_pending(self._way.counts)
        else:
            self._waiting.append(parcel)
            self._settle()

    def close(self) -> int:
        """Send nothing more, and leave to the relays what is not credited: how many gifts that are."""
        self._closed = True
        left = list(self._all())
        self._waiting.clear()
        self._flying.clear()
        self._parked.clear()
        for parcel in left:
            parcel.tell_pending(self._way.counts)
        return sum(len(parcel.gifts) for parcel in left)

    def expire(self, now: float) -> None:
        """Tell who has waited long enough that its gift is pending, and leave to the relays what is too old."""
        for parcel in self._all():
            if parcel.since <= now - PENDING_AFTER:
                parcel.tell_pending(self._way.counts)
        oldest = now - max(KEPT_FOR * self._way.timeout, PENDING_AFTER)
        gifts = sum(len(parcel.gifts) for parcel in self._waiting)
        while self._waiting and (self._waiting[0].since < oldest or gifts > self._way.gifts_max):
            parcel = self._waiting.popleft()
            parcel.tell_pending(self._way.counts)
            gifts -= len(parcel.gifts)
        self._ask_for_parked(now - PARKED_FOR, oldest)

    def _ask_for_parked(self, since: float, oldest: float) -> None:
        """Say again what has been parked for a while: a relay may have brought what was missing, and was told of it."""
        for place, parcel in list(self._parked.items()):
            if parcel.since <= since:
                del self._parked[place]
                if parcel.since >= oldest:
                    self._waiting.append(parcel)
        self._settle()

    def _all(self) -> Iterator[Parcel]:
        return chain(self._flying, self._waiting, self._parked.values())

    # Out.

    def _settle(self) -> None:
        if self._sending is None and self._may_send():
            self._sending = self._loop.call_soon(self._send)

    def _may_send(self) -> bool:
        return bool(self._waiting) and not self._flying and self._resting is None

    def _send(self) -> None:
        self._sending = None
        if self._may_send():
            self._flying = self._take()
            until = monotonic() + self._way.timeout
            self._way.links.send(Call(self._slot, self._pack, self._land, until))

    def _take(self) -> list[Parcel]:
        """As many gifts as a call may have, and one parcel at least."""
        taken, gifts = [self._waiting.popleft()], 0
        while self._waiting and len(taken) < PARCELS_MAX:
            gifts += len(taken[-1].gifts)
            if gifts + len(self._waiting[0].gifts) > self._way.batch_max:
                break
            taken.append(self._waiting.popleft())
        return taken

    def _pack(self, whole: bool) -> bytes:
        if whole:
            self._calls.load_script()
        return self._calls.pack([parcel.blob for parcel in self._flying])

    # In.

    def _land(self, reply: Any, held: bool) -> None:
        """What Redis says of the call in flight.

        Raises:
            ValueError: it makes no sense.
        """
        if self._closed:
            return
        if isinstance(reply, Exception):
            self._fail(reply)
        elif held:
            said = read_credit(reply, len(self._flying))
            self._tell(said)
        else:
            self._again(self._flying)
        self._settle()
        self._way.settled()

    def _fail(self, error: Exception) -> None:
        if fate(error) is Fate.BROKEN:
            self._way.halted(f"credit: {error}")  # it closes this
        else:
            self._again(self._flying)

    def _again(self, parcels: list[Parcel]) -> None:
        """Before all that came later, after a moment."""
        self._waiting.extendleft(reversed(parcels))
        self._flying = []
        self._resting = self._loop.call_later(RETRY_PAUSE, self._rested)

    def _rested(self) -> None:
        self._resting = None
        self._settle()

    def _tell(self, said: Credited) -> None:
        flown, self._flying = self._flying, []
        early = [parcel for parcel, told in zip(flown, said.told, strict=True) if self._is_early(parcel, told)]
        for parked in said.parked:
            parcel = self._parked.pop((parked.source, parked.seq), None)
            if parcel is not None:
                parcel.tell_results(parked.results, self._way.counts)
        if early:
            self._again(early)

    def _is_early(self, parcel: Parcel, told: Told) -> bool:
        """Tell a parcel's senders what is known; it is early, and to be said again, where something is missing."""
        counts = self._way.counts
        parcel.reached = told.epoch
        if told.how == GONE:
            log.error(
                "gifts of partition %d to %d are lost by the first, by a failover", parcel.blob.source, self._number
            )
            parcel.tell_unknown(counts)
        elif told.how == PARKED:
            self._parked[parcel.blob.source, parcel.blob.seq] = parcel
            self._hole(parcel.blob.source, self._number)
        elif told.how == EARLY:
            self._hole(parcel.blob.source, self._number)
        elif told.results is not None:
            parcel.tell_results(told.results, counts)
        else:
            parcel.tell_credited(counts)
        return told.how == EARLY
