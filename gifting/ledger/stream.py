"""The ledger streams of all partitions, merged by time, so that a debit and its credit come close to each other."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from heapq import heapify, heappop, heapreplace
from typing import Final

from gifting.ledger.connect import BinaryRedis
from gifting.ledger.entries import UNREADABLE, Entry, parse_entries, plausible

PAGE: Final = 64
"""Stream items read at a time; each holds the entries of a whole call."""

FIRST: Final = "0-0"
"""The id that every item comes after."""

LAST: Final = "+"
"""As an end: all that is there when it is reached."""

Broken = Callable[[str, str, str], None]
"""Told of an item that can't be read: its partition, its id, and why. Nothing of it is yielded."""


class BrokenEntry(ValueError):
    """A ledger stream holds what is no entry. Nothing but a fault or a stranger writes that."""


def refuse_broken(base: str, item_id: str, why: str) -> None:
    raise BrokenEntry(f"{base}:ledger {item_id}: {why}.")


class _Feed:
    """One partition's stream after ``start`` and up to ``end``."""

    def __init__(self, redis: BinaryRedis, base: str, start: str, end: str) -> None:
        self._redis = redis
        self._start = start
        self._end = end
        self._page: deque[tuple[bytes, dict[bytes, bytes]]] = deque()
        self.base = base

    async def next_id(self) -> tuple[int, int] | None:
        if not self._page:
            key = f"{self.base}:ledger"
            self._page.extend(await self._redis.xrange(key, min=f"({self._start}", max=self._end, count=PAGE))
            if not self._page:
                return None
            self._start = self._page[-1][0].decode()
        time, _, number = self._page[0][0].partition(b"-")
        return int(time), int(number)

    def pop(self, broken: Broken) -> tuple[str, list[Entry]]:
        """The next item: its id and its entries."""
        name, fields = self._page.popleft()
        item_id = name.decode()
        try:
            entries = list(parse_entries(fields[b"e"]))
            reason = "" if all(map(plausible, entries)) else "a field is not what it must be"
        except UNREADABLE as error:
            reason = repr(error)
        if not reason:
            return item_id, entries
        broken(self.base, item_id, reason)
        return item_id, []


async def read_ledger(
    redis: BinaryRedis, ends: Mapping[str, str], after: Mapping[str, str] | None = None, broken: Broken = refuse_broken
) -> AsyncIterator[tuple[str, str, Entry]]:
    """All entries of the partitions in ``ends``, up to the item named there; each with its partition and its item's id.

    Args:
        after: where to begin, by partition: after that item.
        broken: told of each item that can't be read; by default the reading ends there.

    Raises:
        BrokenEntry: by ``broken``, if nothing else is given.
        RedisError, OSError: Redis could not be read.
    """
    starts = after or {}
    feeds = [_Feed(redis, base, starts.get(base, FIRST), end) for base, end in ends.items()]
    heads = [(first, place) for place, feed in enumerate(feeds) if (first := await feed.next_id()) is not None]
    heapify(heads)
    while heads:
        place = heads[0][1]
        feed = feeds[place]
        item_id, entries = feed.pop(broken)
        for entry in entries:
            yield feed.base, item_id, entry
        following = await feed.next_id()
        if following is None:
            heappop(heads)
        else:
            heapreplace(heads, (following, place))
