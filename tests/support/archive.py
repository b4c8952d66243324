"""What an archive must be: the ledger's streams, item by item, each once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, func, select

from gifting.archive.origin import read_cursors
from gifting.archive.rows import NONE, Cursor, turn
from gifting.archive.schema import books, entries, items
from gifting.archive.store import Store
from gifting.ledger.keys import Keys
from gifting.ledger.tail import Items
from gifting.model.chain import first_hash


async def rows_of(store: Store, table: Table) -> list[Any]:
    """All rows, in the order of their columns."""
    async with store.engine.connect() as connection:
        found = await connection.execute(select(table))
        return sorted(map(tuple, found.all()))


async def count_of(store: Store, table: Table) -> int:
    async with store.engine.connect() as connection:
        return (await connection.execute(select(func.count()).select_from(table))).scalar_one()


async def stream_of(redis: Any, base: str) -> Items:
    return [(name.decode(), fields.get(b"e")) for name, fields in await redis.xrange(f"{base}:ledger")]


async def assert_whole(store: Store, redis: Any, keys: Keys) -> int:
    """The archive is exactly the streams, of which nothing is trimmed; how many entries it has."""
    ((books_id, *_),) = await rows_of(store, books)
    kept: list[Any] = []
    said: list[Any] = []
    ends = []
    for number, base in enumerate(keys.bases):
        first = Cursor(number, 0, NONE, first_hash(books_id, number), 0)
        page = turn(first, await stream_of(redis, base), len(keys.bases))
        kept += page.items
        said += page.entries
        ends.append(page.after)
        mark = await redis.get(f"{base}:archived")
        assert (mark or b"0-0").decode() == page.after.item_id, base
    assert await rows_of(store, items) == sorted(kept)
    assert await rows_of(store, entries) == sorted(said)
    async with store.engine.connect() as connection:
        at = [cursor if cursor.seq else cursor._replace(period=0) for cursor in await read_cursors(connection)]
    assert at == ends
    return len(said)
