"""What a partition of senders is told with its next debit, or by itself when no gift comes: what has been credited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from gifting.ledger.cluster.debit_call import Completion, Riding

if TYPE_CHECKING:
    from gifting.ledger.cluster.parcels import Parcel

IDLE: Final = 0.25
"""Seconds that errands wait for a gift with which they go."""

RIDING_MAX: Final = 2000
"""Completions that go with one call at most."""


class Errands:
    """Results that are known now, and the epochs that other partitions have reached.

    What rides with a call is done when that call is held, and rides again until then; ``due`` is called when it is time
    to go without a gift.
    """

    def __init__(self, due: Callable[[], None]) -> None:
        self._call = due
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._completions: list[Completion] = []
        self._reached: dict[int, int] = {}
        self._riding = 0
        self._closed = False
        self.due = False
        """Whether it is time to go."""

    @property
    def waiting(self) -> bool:
        return bool(self._completions)

    def note(self, parcel: Parcel, completions: Sequence[Completion]) -> None:
        """A parcel has been credited."""
        self._reached[parcel.to] = max(parcel.reached, self._reached.get(parcel.to, 0))
        self.keep(completions)

    def keep(self, completions: Sequence[Completion]) -> None:
        """Results that are known now."""
        self._completions += completions
        self.rest()

    def hurry(self) -> None:
        """Go now, with or without a gift."""
        self._end_timer()
        if self.waiting and not self._closed:
            self.due = True
            self._call()

    def ride(self) -> Riding:
        """What goes with the next call."""
        self._end_timer()
        self.due = False
        completions = self._completions[:RIDING_MAX]
        self._riding = len(completions)
        return Riding(dict(self._reached), completions=completions)

    def done(self) -> None:
        """The call with which they went is held."""
        del self._completions[: self._riding]
        self._riding = 0
        self.rest()

    def rest(self) -> None:
        """Wait for a gift with which to go, if there is anything to tell."""
        if self._timer is None and self.waiting and not self._closed:
            self._timer = self._loop.call_later(IDLE, self.hurry)

    def close(self) -> None:
        """Go no more."""
        self._closed = True
        self._end_timer()
        self.due = False

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
