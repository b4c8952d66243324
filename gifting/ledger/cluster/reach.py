"""Up to where all is credited that one outbox has: told by numbers, of what was given and of marks, reading no item.

What is credited stays in the outbox for a while (``keeping.py``), since a destination may go back behind it: a replica
takes over that lacked it. Then its marks are behind what was known as credited, and all is looked at again from the
first item.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final, NamedTuple

from gifting.ledger.cluster.owed import NOTHING, Marks, Reached, is_credited
from gifting.ledger.stream import item_order

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

    def without(self, numbers: Set[int]) -> Stand:
        """As it is to the other partitions."""
        return self._replace(given={number: each for number, each in self.given.items() if number not in numbers})


class Front:
    """``credited``: how a source stood the last time that all was; ``awaited``: what is not yet, as it stood when that
    was first seen.
    """

    def __init__(self, source: int, credited: Stand) -> None:
        self._source = source
        self.credited = credited
        self.awaited: Stand | None = None

    def see(self, stand: Stand, marks: Marks) -> bool:
        """How it stands now, and marks that were read then. Returns whether ``credited`` is another one."""
        was = self.credited
        if stand.epoch != was.epoch or not was.is_credited(self._source, marks):
            self._pass(Stand(stand.epoch), None)
        if stand.is_credited(self._source, marks):
            self._pass(stand, None)
        elif self.awaited is None:
            self.awaited = stand
        elif self.awaited.is_credited(self._source, marks):
            self._pass(self.awaited, stand)
        return self.credited is not was

    def _pass(self, credited: Stand, awaited: Stand | None) -> None:
        self.credited, self.awaited = credited, awaited


class Reach:
    """Of the source with this number: for all partitions, and for those that answer. ``silent``: the others, of those
    to which it has given something.

    Items behind what is credited to those that answer are looked at in passes, now from ``place`` on. Of a pass:
    ``lacking``, partitions that are to get something, ``stuck``, those of them that could not take it, and ``oldest``,
    when the first item was debited that somebody is to get (ms), or None.
    """

    def __init__(self, source: int) -> None:
        self.source = source
        self.silent: Set[int] = frozenset()
        self.place = START
        self.lacking: set[int] = set()
        self.stuck: set[int] = set()
        self.oldest: int | None = None
        self._all = self._near = Front(source, Stand())
        self._anew = True
        self._begun: Marks = {}

    @property
    def credited(self) -> Stand:
        """How it stood the last time that all was credited."""
        return self._all.credited

    @property
    def awaited(self) -> Stand | None:
        """What is not credited yet, as it stood when that was first seen."""
        return self._all.awaited

    @property
    def epoch(self) -> int:
        """In which it stood so."""
        return self.credited.epoch

    def see(self, stand: Stand, marks: Marks, silent: Set[int] = frozenset()) -> None:
        """How it stands now; marks that were read then, or earlier of those that are ``silent``."""
        moved = self._all.see(stand, marks)
        if (now_silent := stand.given.keys() & silent) != self.silent:
            self.silent = now_silent
            self._near = Front(self.source, self.credited.without(now_silent)) if now_silent else self._all
            moved = True
        if now_silent:
            moved |= self._near.see(stand.without(now_silent), marks)
        if moved:
            self.oldest = None
            self.again()

    def is_left(self, until: int) -> bool:
        """Whether those that answer have not been credited what was debited until then (ms)."""
        awaited = self._near.awaited
        return awaited is not None and awaited.at <= until

    def owed_since(self, until: int) -> int | None:
        """When the oldest was debited that is not credited, as far as that is known and was until then (ms)."""
        awaited = self.awaited.at if self.awaited and self.awaited.last != START else None
        return min([at for at in (self.oldest, awaited) if at is not None and at <= until], default=None)

    def again(self) -> None:
        """The next page begins a pass."""
        self._anew = True

    def page(self, marks: Marks) -> bytes:
        """The item behind which the next page begins, that is looked at by these marks."""
        if self._anew:
            self._anew, self.place, self.oldest = False, self._near.credited.last, None
            self.lacking, self.stuck = set(), set(self.silent)
            self._begun = marks
        return self.place

    def missing(self, until: int) -> dict[int, tuple[Reached, Reached]]:
        """At the end of a pass up to what was debited until then (ms): what partitions have been given, when they have
        not been credited it and nothing for them is left; and their marks when the pass began.

        Unless a mark is another one by now, that is missing: whatever is not credited is in the outbox.
        """
        awaited = self._near.awaited if self.is_left(until) else None
        found = {}
        for number, given in awaited.given.items() if awaited else ():
            mark = self._begun[number].get(self.source, NOTHING)
            if number not in self.lacking and not mark.covers(given):
                found[number] = given, mark
        return found

    def note(self, at: int) -> None:
        """An item that was debited then is left."""
        if self.oldest is None:
            self.oldest = at
