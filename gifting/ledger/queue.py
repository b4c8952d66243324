"""What waits to be committed, in two lanes: gifts, and events that cost nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from gifting.errors import Overloaded
from gifting.ledger.commit import PendingCommit

FREE_SHARE: Final = 4
"""One place in so many of a call is for free events, while there are more gifts than places."""


class Queue:
    """Where all that waits fits into one call, it is taken as it came. Where it does not, gifts go first.

    A gift may overtake a free event then, but never the reverse: what a sender says after a gift is not committed
    before it. ``gifts_max`` and ``free_max`` of them may wait; ``size`` says how many do.
    """

    __slots__ = ("_first", "_free", "_free_max", "_gifts", "_gifts_max", "_taken", "size")

    def __init__(self, gifts_max: int, free_max: int) -> None:
        self._gifts_max = gifts_max
        self._free_max = free_max
        self._first: deque[PendingCommit] = deque()
        self._gifts: deque[PendingCommit] = deque()
        self._free: deque[tuple[int, PendingCommit]] = deque()
        self._taken = 0
        self.size = 0

    def __iter__(self) -> Iterator[PendingCommit]:
        yield from self._first
        yield from self._gifts
        for _, item in self._free:
            yield item

    def append(self, item: PendingCommit) -> int:
        """How many wait then. Raises Overloaded: too many of its kind wait already."""
        gifts = self._gifts
        if item.sender is not None:
            if len(gifts) >= self._gifts_max:
                raise Overloaded
            gifts.append(item)
        elif len(self._free) >= self._free_max:
            raise Overloaded
        else:
            self._free.append((self._taken + len(gifts), item))
        self.size = size = self.size + 1
        return size

    def put_back(self, items: Iterable[PendingCommit]) -> None:
        """Items that were taken: they are the next to be taken again, in that order."""
        back = tuple(items)
        self._first.extendleft(reversed(back))
        self.size += len(back)

    def take(self, most: int) -> list[PendingCommit]:
        """The next items to commit, in order: ``most``, or all there are."""
        if self.size <= most:
            return self._take_all()
        found = [self._first.popleft() for _ in range(min(len(self._first), most))]
        found += self._take_by_rank(most - len(found))
        self.size -= len(found)
        return found

    def _take_by_rank(self, places: int) -> list[PendingCommit]:
        """Gifts, with a share for free events, and more gifts where these must wait for gifts before them."""
        gifts = self._take_gifts(places - min(len(self._free), places // FREE_SHARE))
        free = self._take_free(places - len(gifts))
        return gifts + free + self._take_gifts(places - len(gifts) - len(free))

    def _take_gifts(self, most: int) -> list[PendingCommit]:
        count = max(min(len(self._gifts), most), 0)
        self._taken += count
        return [self._gifts.popleft() for _ in range(count)]

    def _take_free(self, most: int) -> list[PendingCommit]:
        """Those before which no gift waits any more."""
        found: list[PendingCommit] = []
        while self._free and self._free[0][0] <= self._taken and len(found) < most:
            found.append(self._free.popleft()[1])
        return found

    def _take_all(self) -> list[PendingCommit]:
        """As they came."""
        found = list(self._first)
        for before, item in self._free:
            if before > self._taken:
                found += self._take_gifts(before - self._taken)
            found.append(item)
        found += self._gifts
        self.clear()
        return found

    def expire(self, oldest: float) -> list[PendingCommit]:
        """Take out what was queued before ``oldest``."""
        found: list[PendingCommit] = []
        while self._first and self._first[0].queued_at < oldest:
            found.append(self._first.popleft())
        while self._gifts and self._gifts[0].queued_at < oldest:
            found += self._take_gifts(1)
        while self._free and self._free[0][1].queued_at < oldest:
            found.append(self._free.popleft()[1])
        self.size -= len(found)
        return found

    def clear(self) -> None:
        self._first.clear()
        self._gifts.clear()
        self._free.clear()
        self.size = 0
