"""What each master holds of the books, read from it directly; and what is still on its way between partitions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from benchmarks.chaos.books import Books
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.connect import BinaryRedis, connect
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.ports import HOST
from gifting.ledger.entry_parser import parse_entries
from gifting.ledger.stream import Span, item_order, read_items

CALL_S: Final = 30.0


@asynccontextmanager
async def master_of(cluster: EmbeddedCluster, base: str) -> AsyncIterator[BinaryRedis]:
    """A client of the node that has a partition; of it alone."""
    node = await cluster.owner(slot_of(base))
    client = connect(f"redis://{HOST}:{node.port}", CALL_S)
    try:
        yield client
    finally:
        await client.aclose()


async def read_books(cluster: EmbeddedCluster, bases: Iterable[str]) -> Books:
    """All ledgers."""
    books = Books()
    for base in bases:
        async with master_of(cluster, base) as redis:
            async for item in read_items(redis, {base: Span()}):
                books.add(base, item_order(item.id), parse_entries(item.data or b""))
    return books


async def read_fenced(cluster: EmbeddedCluster, bases: Iterable[str]) -> int:
    """How often something was credited whose debit a failover took back."""
    count = 0
    for base in bases:
        async with master_of(cluster, base) as redis:
            count += await redis.xlen(f"{base}:fenced")
    return count
