"""The ends of all ledger streams, as who follows them reads: pages of all partitions in one round trip.

What is read at a time is bounded in bytes. Each page says which Redis it is from: one that was started again may have
lost what was read before, or be another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from redis.exceptions import ResponseError

from gifting.ledger.clock import in_ms
from gifting.ledger.connect import BinaryRedis

PAGES: Final = 2 << 20
"""Bytes of all partitions' pages, about: as many items as had that many bytes in the page before. Those that have more
than they were asked for share it, so that one with all the gifts of a large room is as quick as many."""

PAGE_FIRST: Final = 4
"""Items of a partition in its first page. Each holds the entries of a whole call."""

PAGE_LEAST: Final = 32
"""Items that a partition which had few is asked for at least: so that a few more are no full page."""

PAGE_ITEMS: Final = 2000
"""Items of a partition in a page at most."""

Items = list[tuple[str, bytes | None]]
"""Ids, and the entries of one call as they are stored; None if there are none."""


class Read(NamedTuple):
    """The next items of each partition that has any; ``run``: which start of Redis they are from, '' on a cluster; and
    ``now``: ms by its clock."""

    run: str
    now: int
    items: dict[str, Items]
    full: bool
    """Whether there may be more."""


class Extent(NamedTuple):
    """What a partition's stream is: items ever added, items it still has."""

    added: int
    length: int

    @property
    def gone(self) -> int:
        """How many of the oldest are no longer there."""
        return self.added - self.length


class Tail:
    """Reads what follows, in all of ``bases``. Everything raises RedisError or OSError.

    Of partitions that are ``apart``, on a cluster, no start of Redis is asked for (:mod:`gifting.ledger.confirmed`).
    """

    def __init__(self, redis: BinaryRedis, bases: Sequence[str], *, apart: bool = False) -> None:
        self._redis = redis
        self._apart = apart
        self._counts = dict.fromkeys(bases, PAGE_FIRST)

    async def read(self, after: Mapping[str, str]) -> Read:
        """What comes after these ids, of each partition; ``0-0`` is before all."""
        pipe = self._redis.pipeline(transaction=False)
        if not self._apart:
            pipe.info("server").time()
        for base, item_id in after.items():
            pipe.xrange(f"{base}:ledger", min=f"({item_id}", count=self._counts[base])
        if self._apart:
            run, time, pages = "", await self._redis.time(), await pipe.execute()
        else:
            server, time, *pages = await pipe.execute()
            run = server["run_id"]
        found = dict(zip(after, pages, strict=True))
        full = [base for base, page in found.items() if len(page) >= self._counts[base]]
        for base, page in found.items():
            self._fit(base, page, PAGES // len(full) if base in full else 0)
        items = {
            base: [(name.decode(), fields.get(b"e")) for name, fields in page] for base, page in found.items() if page
        }
        return Read(run, in_ms(time), items, bool(full))

    def _fit(self, base: str, page: list[tuple[bytes, dict[bytes, bytes]]], share: int) -> None:
        """Ask for so many items next time that they have the bytes of its share; 0: of one that had no more, for a
        few times what it had.
        """
        count = self._counts[base]
        if not share:
            self._counts[base] = min(max(4 * len(page), PAGE_LEAST), count)
            return
        size = sum(len(value) for _, fields in page for value in fields.values())
        self._counts[base] = min(max(count * share // max(size, 1), 1), 2 * count, PAGE_ITEMS)

    async def extents(self) -> dict[str, Extent]:
        """What each partition's stream is."""
        pipe = self._redis.pipeline(transaction=False)
        for base in self._counts:
            pipe.xinfo_stream(f"{base}:ledger")
        found = await pipe.execute(raise_on_error=False)
        return {base: _extent(info) for base, info in zip(self._counts, found, strict=True)}

    async def item(self, base: str, item_id: str) -> bytes | None:
        """What the stream has under an id; None where it has no such item, or one without entries."""
        found = await self._redis.xrange(f"{base}:ledger", min=item_id, max=item_id)
        return found[0][1].get(b"e") if found else None


def _extent(info: Any) -> Extent:
    if isinstance(info, ResponseError) and "no such key" in str(info):
        return Extent(0, 0)
    if isinstance(info, Exception):
        raise info
    return Extent(info["entries-added"], info["length"])
