"""Up to where all is credited that one outbox has: told by numbers, of what was given and of marks, reading no item.

What is credited stays in the outbox for a while (``keeping.py``), since a destination may go back behind it: a replica
takes over that lacked it. Then its marks are behind what was known as credited, and all is looked at again from the
first item.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from gifting.ledger.cluster.owed import Marks, Reached, is_credited
from gifting.ledger.stream import item_order

ITEMS_MAX: Final = 100_000
"""Items of an outbox beyond which those that are credited are not kept."""

STEP: Final = 30_000
"""Ms of an outbox that are trimmed at once."""

START: Final = b"0-0"


class Stand(NamedTuple):
    """A source at a moment: its epoch, the last item of its outbox, and what it had given to each partition."""

    epoch: int = 0
    last: bytes = START
    given: Mapping[int, Reached] = {}

    @property
    def at(self) -> int:
        """When its last item was debited, ms since 1970."""
        return item_order(self.last.decode())[0]

    def is_credited(self, source: int, marks: Marks) -> bool:
        return is_credited(source, self.given, marks)


class Reach:
    """Of the source with this number. ``credited``: how it stood the last time that all was; ``awaited``: what is not
    yet, as it stood when that was first seen.

    Items behind ``credited`` are looked at in passes, now from ``place`` on. Of a pass: ``stuck``, partitions that
    could not take something, and ``oldest``, when the first item was debited that one of them is to get (ms), or None.
    """

    def __init__(self, source: int) -> None:
        self.source = source
        self.credited = Stand()
        self.awaited: Stand | None = None
        self.place = START
        self.stuck: set[int] = set()
        self.oldest: int | None = None
        self._anew = True

    def see(self, stand: Stand, marks: Marks) -> None:
        """How it stands now, and marks that were read after that."""
        if stand.epoch != self.credited.epoch or not self.credited.is_credited(self.source, marks):
            self._pass(Stand(stand.epoch), None)
        if stand.is_credited(self.source, marks):
            self._pass(stand, None)
        elif self.awaited is None:
            self.awaited = stand
        elif self.awaited.is_credited(self.source, marks):
            self._pass(self.awaited, stand)

    def _pass(self, credited: Stand, awaited: Stand | None) -> None:
        self.credited, self.awaited, self.oldest = credited, awaited, None
        self.again()

    def again(self) -> None:
        """The next page begins a pass."""
        self._anew = True

    def page(self) -> bytes:
        """The item behind which the next page begins."""
        if self._anew:
            self._anew, self.place, self.oldest = False, self.credited.last, None
            self.stuck.clear()
        return self.place

    def note(self, at: int) -> None:
        """An item that was debited then is left."""
        if self.oldest is None:
            self.oldest = at

    def spare(self, first: bytes, items: int, now: int, keep: int, slack: int) -> bytes:
        """The id before which the outbox may end, that has so many items from the ``first`` one on; b"": as it does.

        What was debited in the last ``keep`` ms stays, and it is not worth it for less than ``slack`` ms.
        """
        began, many = item_order(first.decode())[0], items > ITEMS_MAX
        if self.credited.last == START or (began >= now - keep - slack and not many):
            return b""
        until = min(now if many else now - keep, began + STEP)
        return b"%d-0" % until if until <= self.credited.at else self.credited.last
