"""Whether the rows of ``entries`` are what the bytes of the items say, each column of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from gifting.archive.pages import pages
from gifting.archive.rows import WHOLE, Row, rows_of_item
from gifting.archive.schema import books, entries, items, oddities
from gifting.ledger.entry_parser import UNREADABLE

KEYS: Final = 500
"""Keys asked for at a time."""

MONTH, KIND, KEY, PARTITION, SEQ, PLACE = range(6)
"""Where a row has these."""

_NAMES: Final = tuple(column.name for column in entries.columns)


class Broken(NamedTuple):
    """What is not as it must be, and where."""

    partition: int
    seq: int
    item_id: str
    what: str

    def __str__(self) -> str:
        return f"partition {self.partition}, item {self.seq} ({self.item_id}): {self.what}"


async def check_entries(connection: AsyncConnection, page: Sequence[Any]) -> tuple[int, Broken | None]:
    """How many rows the items of a page have, and the first that is not what its item says."""
    partitions = await _partitions(connection)
    said = [(item, row) for item in page for row in _said(item, partitions)]
    kept = await _kept(connection, [row for _, row in said if row[PLACE] != WHOLE])
    count = 0
    for item, row in said:
        found = kept.get(_name(row))
        if found == row:
            count += 1
        elif not await _is_odd(connection, row):
            return count, Broken(item.partition, item.seq, item.item_id, _differs(found, row))
    return count, None


async def _partitions(connection: AsyncConnection) -> int:
    found: int = (await connection.execute(select(books.c.partitions))).scalar_one()
    return found


def _name(row: Row) -> Row:
    """The columns by which no other row is called."""
    return *row[:PARTITION], row[-1]


def _said(item: Any, partitions: int) -> Iterator[Row]:
    """Of one that can't be read, a row without columns whose place is :data:`WHOLE`."""
    try:
        yield from rows_of_item(item.partition, item.seq, item.data, partitions)
    except UNREADABLE:
        yield (0, "", b"", item.partition, item.seq, WHOLE)


async def _kept(connection: AsyncConnection, rows: Sequence[Row]) -> dict[Row, Row]:
    keys: dict[tuple[Any, Any], list[Any]] = defaultdict(list)
    for row in rows:
        keys[row[MONTH], row[KIND]].append(row[KEY])
    found: dict[Row, Row] = {}
    for (month, kind), wanted in keys.items():
        for at in range(0, len(wanted), KEYS):
            named = entries.c.key.in_(wanted[at : at + KEYS])
            asked = select(entries).where(entries.c.month == month, entries.c.kind == kind, named)
            found |= {_name(tuple(row)): tuple(row) for row in await connection.execute(asked)}
    return found


async def _is_odd(connection: AsyncConnection, row: Row) -> bool:
    """Whether the archiver has noted that an entry, or an item, has no row."""
    place = (oddities.c.partition == row[PARTITION], oddities.c.seq == row[SEQ], oddities.c.place == row[PLACE])
    return (await connection.execute(select(oddities.c.why).where(*place))).first() is not None


def _differs(found: Row | None, row: Any) -> str:
    if row[PLACE] == WHOLE:
        return "it can't be read, and nothing says that it could not"
    entry = f"entry {row[PLACE]} ({row[KIND]} {row[KEY].hex()})"
    if found is None:
        return f"{entry} has no row"
    names = [name for name, one, other in zip(_NAMES, found, row, strict=True) if one != other]
    return f"{entry} has another {', '.join(names)} in its row"


async def find_stray(connection: AsyncConnection, partition: int) -> Broken:
    """A row of a partition that is of no item: there is one."""
    asked = select(entries).where(entries.c.partition == partition)
    partitions = await _partitions(connection)
    async for row in pages(connection, asked, *entries.primary_key.columns):
        mine = (items.c.partition == partition, items.c.seq == row.seq)
        item = (await connection.execute(select(items).where(*mine))).first()
        if item is None or tuple(row) not in set(_said(item, partitions)):
            what = f"there is a row of {row.kind} {row.key.hex()}, which no item has"
            return Broken(partition, row.seq, item.item_id if item else "none", what)
    return Broken(partition, 0, "none", "there are more rows of entries than entries")
