"""Whether an archive and the streams in Redis are one: what both have is the same, and nothing is missing between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from gifting.archive.rows import Cursor
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.stream import Item, Span, item_order, read_items
from gifting.ledger.tail import Tail


class Overlap:
    """Of one partition after another: :meth:`begin`, then each of its rows.

    Each says what is wrong, or ''. Raises RedisError, OSError.
    """

    def __init__(self, redis: BinaryRedis, bases: Sequence[str]) -> None:
        self._redis = redis
        self._bases = bases
        self._tail = Tail(redis, bases)
        self._base = ""
        self._gone = 0
        self._coming: AsyncIterator[Item] | None = None
        self._next: Item | None = None

    async def begin(self, cursor: Cursor) -> str:
        self._base = self._bases[cursor.partition]
        self._coming = self._next = None
        added, self._gone = await self._extent()
        if self._gone > cursor.seq:
            return f"Redis has no more of items {cursor.seq + 1} to {self._gone}, which come after it"
        return f"Redis has had {added} items only" if added < cursor.seq else ""

    async def compare(self, row: Any) -> str:
        if row.seq <= self._gone:
            return ""
        if self._coming is None:
            self._coming = read_items(self._redis, {self._base: Span()})
            await self._step()
        if self._next is None or item_order(self._next.id) > item_order(row.item_id):
            _, self._gone = await self._extent()  # it may have been trimmed in the meantime
            return "" if row.seq <= self._gone else "Redis does not have it"
        if self._next.id != row.item_id:
            return f"Redis has {self._next.id} before it, which the archive has not"
        if (self._next.data or b"") != row.data:
            return "Redis has other bytes of it"
        await self._step()
        return ""

    async def _step(self) -> None:
        assert self._coming is not None
        self._next = await anext(self._coming, None)

    async def _extent(self) -> tuple[int, int]:
        extent = (await self._tail.extents())[self._base]
        return extent.added, extent.gone
