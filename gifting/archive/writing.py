"""Pages of the ledger into the database: rows and the cursor in one transaction, or nothing of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import chain
from typing import Any, Final

from sqlalchemy import Table, update
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gifting.archive.rows import Page, Row
from gifting.archive.schema import cursors, entries, items, make_partitions, oddities
from gifting.archive.store import Store
from gifting.errors import BadArchive

PARTITION, SEQ, PLACE = 3, 4, 5
"""Where a row of ``entries`` has these."""

_UNFIT: Final = (IntegrityError, DataError)
"""What the database says of a row that it can't have."""


Insert = Callable[[AsyncConnection, list[Row]], Awaitable[None]]


class Overtaken(Exception):
    """Another archiver, or who seals, was there first; nothing was written. Read the cursors again."""


class Writer:
    """Writes pages into one archive. What fails raises SQLAlchemyError, and nothing is written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._made: set[tuple[str, int]] = set()

    async def write(self, pages: Sequence[Page], now: int) -> None:
        """Write the pages, one of each partition at most, at a time in ms.

        Raises:
            Overtaken: a cursor is not where its page begins.
            BadArchive: the database has items after its cursor.
        """
        try:
            await self._write(pages, now, self._insert_all)
        except _UNFIT:  # an entry that can't be in, such as one whose key came before: which, is looked for
            await self._write(pages, now, self._insert_each)

    async def _write(self, pages: Sequence[Page], now: int, insert: Insert) -> None:
        months = {(table, month) for table, month in _months(pages) if (table.name, month) not in self._made}
        rows = list(chain.from_iterable(page.entries for page in pages))
        async with self._store.writing() as connection:
            for page in sorted(pages):
                await _advance(connection, page, now)
            for table in {table for table, _ in months}:
                await make_partitions(connection, table, sorted(month for of, month in months if of is table))
            kept = list(chain.from_iterable(page.items for page in pages))
            await self._store.insert(connection, oddities, list(chain.from_iterable(page.oddities for page in pages)))
            await self._insert_items(connection, kept)
            await insert(connection, rows)
        self._made |= {(table.name, month) for table, month in months}

    async def _insert_items(self, connection: AsyncConnection, rows: list[Row]) -> None:
        try:
            await self._store.insert(connection, items, rows)
        except _UNFIT as error:
            raise BadArchive(f"It has items that come after its cursor ({type(error.orig).__name__}).") from None

    async def _insert_all(self, connection: AsyncConnection, rows: list[Row]) -> None:
        await self._store.insert(connection, entries, rows)

    async def _insert_each(self, connection: AsyncConnection, rows: list[Row]) -> None:
        """Slow: each row for itself. Of one that can't be in, it is noted why."""
        for row in rows:
            try:
                async with connection.begin_nested():
                    await self._store.insert(connection, entries, [row])
            except _UNFIT as error:
                why = "its key came before" if isinstance(error, IntegrityError) else f"it can't be kept: {error.orig}"
                await self._store.insert(connection, oddities, [(row[PARTITION], row[SEQ], row[PLACE], why[:500])])


def _months(pages: Sequence[Page]) -> Iterator[tuple[Table, Any]]:
    for page in pages:
        yield from ((items, period) for period in {row[0] for row in page.items})
        yield from ((entries, month) for month in {row[0] for row in page.entries})


async def _advance(connection: AsyncConnection, page: Page, now: int) -> None:
    """First of all, so that of two who write the same the second waits here, and then finds that it is done."""
    before, after = page.before, page.after
    here = (cursors.c.partition == before.partition, cursors.c.seq == before.seq, cursors.c.period == before.period)
    done = await connection.execute(update(cursors).where(*here).values(**after._asdict(), updated=now))
    if done.rowcount != 1:
        raise Overtaken(f"partition {before.partition} is no longer at {before.seq}")
