"""The one reader of the ledger streams: item by item as bytes, or entry by entry; of all partitions, merged by time.

So a debit and its credit come close to each other. What is read at a time is bounded in bytes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from heapq import heapify, heappop, heapreplace
from typing import Final, NamedTuple, NoReturn

from gifting.ledger.connect import BinaryRedis
from gifting.ledger.entries import Entry, plausible
from gifting.ledger.entry_parser import UNREADABLE, parse_entries

PAGE: Final = 262_144
"""Bytes of a stream read at a time, about: as many items as had that many bytes in the page before."""

PAGE_FIRST: Final = 4
"""Items in the first page. Each holds the entries of a whole call."""

PAGE_ITEMS: Final = 500
"""Items in a page at most."""


class Span(NamedTuple):
    """Which items of a stream: from one id to another, both included. A time in ms stands for all of its ids."""

    first: str = "-"
    last: str = "+"

    @classmethod
    def after(cls, item_id: str) -> Span:
        """What follows an item. ``0-0`` is before all."""
        return cls(f"({item_id}")


class Item(NamedTuple):
    """An item of a partition's stream: its id, and the entries of one call as they are stored; None if it has none."""

    partition: str
    id: str
    data: bytes | None


def item_order(item_id: str) -> tuple[int, int]:
    """Where an item's id stands among others."""
    time, _, number = item_id.partition("-")
    return int(time), int(number)


class Record(NamedTuple):
    """An entry, and where it stands."""

    partition: str
    item_id: str
    entry: Entry


Older = Callable[[str], AsyncIterator[Item]]
"""A partition's items from its first one on, as far as they are had elsewhere: in the archive."""

Broken = Callable[[str, str, str], None]
"""Told of an item that can't be read: its partition, its id, and why. Nothing of it is yielded."""


class BrokenEntry(ValueError):
    """A ledger stream holds what is no entry. Nothing but a fault or a stranger writes that."""


def refuse_broken(base: str, item_id: str, why: str) -> NoReturn:
    raise BrokenEntry(f"{base}:ledger {item_id}: {why}.")


class _Pages:
    """One partition's items, fetched page by page."""

    def __init__(self, redis: BinaryRedis, base: str, span: Span, rest: float, *, newest_first: bool = False) -> None:
        self.base = base
        self._redis = redis
        self._next, self._last = span
        self._rest = rest
        self._newest_first = newest_first
        self._items: deque[tuple[bytes, dict[bytes, bytes]]] = deque()
        self._count = PAGE_FIRST
        self._more = True
        self._pause = 0.0

    async def next_id(self) -> tuple[int, int] | None:
        if not self._items and self._more:
            await self._fetch()
        if not self._items:
            return None
        time, _, number = self._items[0][0].partition(b"-")
        return int(time), int(number)

    def pop(self) -> Item:
        name, fields = self._items.popleft()
        return Item(self.base, name.decode(), fields.get(b"e"))

    async def _fetch(self) -> None:
        if self._pause:
            await asyncio.sleep(self._pause)
        time = asyncio.get_running_loop().time
        began = time()
        read = self._redis.xrevrange if self._newest_first else self._redis.xrange
        page = await read(f"{self.base}:ledger", min=self._next, max=self._last, count=self._count)
        self._pause = self._rest * (time() - began)
        self._items.extend(page)
        self._more = len(page) == self._count
        if page:
            self._go_on(f"({page[-1][0].decode()}")
            size = sum(len(value) for _, fields in page for value in fields.values())
            self._count = min(max(self._count * PAGE // max(size, 1), 1), 2 * self._count, PAGE_ITEMS)

    def _go_on(self, after: str) -> None:
        if self._newest_first:
            self._last = after
        else:
            self._next = after


class _Continued:
    """One partition's items from elsewhere, and behind them those of its stream."""

    def __init__(self, redis: BinaryRedis, base: str, older: AsyncIterator[Item], span: Span, rest: float) -> None:
        self.base = base
        self._redis = redis
        self._older = older
        self._last = span.last
        self._rest = rest
        self._item: Item | None = None
        self._at = span.first[1:] or "0-0"  # what "(" or "-" stands before
        self._newer: _Pages | None = None

    async def next_id(self) -> tuple[int, int] | None:
        if self._newer is None and self._item is None:
            self._item = await anext(self._older, None)
        if self._item is not None:
            found = item_order(self._item.id)
            return found if found <= item_order(self._last) else None
        if self._newer is None:
            self._newer = _Pages(self._redis, self.base, Span.after(self._at)._replace(last=self._last), self._rest)
        return await self._newer.next_id()

    def pop(self) -> Item:
        if self._item is None:
            assert self._newer is not None
            return self._newer.pop()
        item, self._item = self._item, None
        self._at = item.id
        return item


async def read_back(redis: BinaryRedis, base: str, span: Span, *, rest: float = 0.0) -> AsyncIterator[Item]:
    """A partition's items in a span, newest first; see :func:`read_items`."""
    pages = _Pages(redis, base, span, rest, newest_first=True)
    while await pages.next_id() is not None:
        yield pages.pop()


async def read_items(
    redis: BinaryRedis, spans: Mapping[str, Span], *, rest: float = 0.0, older: Older | None = None
) -> AsyncIterator[Item]:
    """The items of the partitions in ``spans``, of each those in its span.

    Args:
        older: who has the first items of a partition's span, which begins at its first or after one, and ends with
            one; what follows them is read from Redis.
        rest: how long to leave Redis alone after a page, in times of what reading it took.

    Raises:
        RedisError, OSError: Redis could not be read.
    """
    streams: list[_Pages | _Continued] = [
        _Continued(redis, base, older(base), span, rest) if older else _Pages(redis, base, span, rest)
        for base, span in spans.items()
    ]
    heads = [(first, place) for place, pages in enumerate(streams) if (first := await pages.next_id()) is not None]
    heapify(heads)
    while heads:
        place = heads[0][1]
        pages = streams[place]
        yield pages.pop()
        following = await pages.next_id()
        if following is None:
            heappop(heads)
        else:
            heapreplace(heads, (following, place))


async def read_ledger(
    redis: BinaryRedis,
    spans: Mapping[str, Span],
    *,
    broken: Broken = refuse_broken,
    wanted: Callable[[bytes], bool] | None = None,
    rest: float = 0.0,
) -> AsyncIterator[Record]:
    """All entries of the items in ``spans``; see :func:`read_items`.

    Args:
        broken: told of each item that can't be read; by default the reading ends there.
        wanted: whether an item is to be looked into, by its bytes.

    Raises:
        BrokenEntry: by ``broken``, if nothing else is given.
        RedisError, OSError: Redis could not be read.
    """
    async for record in read_entries(read_items(redis, spans, rest=rest), broken, wanted):
        yield record


async def read_entries(
    items: AsyncIterator[Item], broken: Broken, wanted: Callable[[bytes], bool] | None = None
) -> AsyncIterator[Record]:
    """All entries of these items; see :func:`read_ledger`."""
    async for base, item_id, data in items:
        if data is None:
            broken(base, item_id, "it has no entries")
        elif wanted is None or wanted(data):
            for entry in _decode(base, item_id, data, broken):
                yield Record(base, item_id, entry)


def _decode(base: str, item_id: str, data: bytes, broken: Broken) -> list[Entry]:
    try:
        entries = list(parse_entries(data))
        reason = "" if all(map(plausible, entries)) else "a field is not what it must be"
    except UNREADABLE as error:
        reason = repr(error)
    if not reason:
        return entries
    broken(base, item_id, reason)
    return []
