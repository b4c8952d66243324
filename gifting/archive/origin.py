"""Whose archive a database is, and whether it and Redis still fit: nothing is missing between the two, nothing differs.

One of them may have been restored from a backup, or be another. What fits is followed, also where the archive is far
behind; what does not is refused as ``bad_archive``, and nothing is written. docs/archive.md says what to do then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from gifting.archive.rows import NONE, Cursor
from gifting.archive.schema import books, cursors, items
from gifting.archive.store import Store
from gifting.errors import BadArchive
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.ledger.meta import ARCHIVE
from gifting.ledger.stream import item_order
from gifting.ledger.tail import Extent, Tail
from gifting.model.chain import first_hash
from gifting.model.periods import preceding

MONTHS_BACK: Final = 1200
"""How far back a partition's last item is looked for: nothing may have come since."""


class Books(NamedTuple):
    """The row of ``books``."""

    id: str
    prefix: str
    partitions: int
    made: int


async def begin(store: Store, redis: BinaryRedis, keys: Keys, prefix: str, now: int) -> list[Cursor]:
    """Where to go on, of each partition; of a database that is empty, at the beginning.

    Raises:
        BadArchive: it is the archive of other books, or does not fit what Redis has.
        SQLAlchemyError, RedisError, OSError: one of them can't be asked.
    """
    asked = await redis.hget(keys.meta, ARCHIVE)
    kept = asked.decode() if asked else ""
    ours = Books(kept or str(uuid4()), prefix, len(keys.bases), now)
    async with store.writing() as connection:
        await store.lock(connection)
        found = await _read_books(connection)
        _compare(found or ours, ours, kept)
        at = await read_cursors(connection) if found else _first(ours)
        await lower_marks(redis, keys, at)
        await check(connection, Tail(redis, keys.bases), dict(zip(keys.bases, at, strict=True)))
        if found is None:
            await store.insert(connection, books, [ours])
            await store.insert(connection, cursors, [(*cursor, now) for cursor in at])
    own = (found or ours).id
    await redis.hsetnx(keys.meta, ARCHIVE, own)
    if (kept := (await redis.hget(keys.meta, ARCHIVE)).decode()) != own:
        raise BadArchive(f"It has the books {own}, and the archive of those in Redis has {kept}.")
    return at


async def _read_books(connection: AsyncConnection) -> Books | None:
    row = (await connection.execute(select(books))).first()
    return Books(*row) if row else None


async def read_cursors(connection: AsyncConnection) -> list[Cursor]:
    """Of all partitions, in their order."""
    columns = [cursors.c[name] for name in Cursor._fields]
    return [Cursor(*row) for row in await connection.execute(select(*columns).order_by(cursors.c.partition))]


def _first(ours: Books) -> list[Cursor]:
    return [Cursor(number, 0, NONE, first_hash(ours.id, number), 0) for number in range(ours.partitions)]


def _compare(found: Books, ours: Books, kept: str) -> None:
    if kept and found.id != kept:
        raise BadArchive(f"It has the books {found.id}, and the archive of those in Redis has {kept}.")
    if (found.prefix, found.partitions) != (ours.prefix, ours.partitions):
        its = f"the prefix {found.prefix} and {found.partitions} partitions"
        raise BadArchive(f"It has books with {its}, and those in Redis {ours.prefix} and {ours.partitions}.")


async def lower_marks(redis: BinaryRedis, keys: Keys, at: Sequence[Cursor]) -> None:
    """Let nothing be trimmed that the database has not, or no longer: it may be one from before."""
    pipe = redis.pipeline(transaction=False)
    for base in keys.bases:
        pipe.get(f"{base}:archived")
    for base, mark, cursor in zip(keys.bases, await pipe.execute(), at, strict=True):
        if mark and item_order(mark.decode()) > item_order(cursor.item_id):
            await redis.mset({f"{base}:archived": cursor.item_id, f"{base}:archived/items": cursor.seq})


async def check(connection: AsyncConnection, tail: Tail, at: Mapping[str, Cursor]) -> None:
    """Whether each stream is the one that its cursor is of, with all that comes after. Raises BadArchive."""
    extents = await tail.extents()
    for base, cursor in at.items():
        _check_extent(base, cursor, extents[base])
        if cursor.seq > extents[base].gone:
            there = await tail.item(base, cursor.item_id)
            if there is None or there != await _recall(connection, cursor):
                raise BadArchive(f"Item {cursor.seq} of {base}:ledger, {cursor.item_id}, is another in Redis, or none.")


def _check_extent(base: str, cursor: Cursor, extent: Extent) -> None:
    if extent.gone > cursor.seq:
        ids = f"items {cursor.seq + 1} to {extent.gone} of {base}:ledger, the first after {cursor.item_id}"
        raise BadArchive(f"It is behind: Redis no longer has {ids}.")
    if extent.added < cursor.seq:
        ids = f"item {cursor.seq} of {base}:ledger, {cursor.item_id}, and Redis ends with item {extent.added}"
        raise BadArchive(f"It is ahead: it has {ids}.")


async def _recall(connection: AsyncConnection, cursor: Cursor) -> bytes | None:
    """The data of a cursor's item. Its period is the cursor's, or before: one that is sealed closes without an item."""
    period = cursor.period
    for _ in range(MONTHS_BACK):
        key = (items.c.period == period, items.c.partition == cursor.partition, items.c.seq == cursor.seq)
        if (row := (await connection.execute(select(items.c.data).where(*key))).first()) is not None:
            return bytes(row.data)
        period = preceding(period)
    return None
