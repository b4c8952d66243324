"""What is asked of the archive's tables."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from gifting.archive.rows import Row
from gifting.archive.schema import cursors, entries, items
from gifting.model.money import key_time
from gifting.model.periods import following, month_of


async def archived(connection: AsyncConnection, partition: int) -> tuple[int, str]:
    """How many items of a partition are archived, and the last one's id. None: 0 and ``0-0``."""
    asked = select(cursors.c.seq, cursors.c.item_id).where(cursors.c.partition == partition)
    row = (await connection.execute(asked)).first()
    return (row.seq, row.item_id) if row else (0, "0-0")


async def page(
    connection: AsyncConnection,
    owner: str,
    kinds: Collection[str],
    since: int,
    before: tuple[int, int, int],
    last: int,
    limit: int,
) -> list[Row]:
    """An owner's entries, whole rows, the newest first: of the partition's items up to ``last``, ``limit`` at most.

    ``before`` is the place (ts, seq, place in the item) that they come before.
    """
    place = (entries.c.ts, entries.c.seq, entries.c.place)
    asked = select(entries).where(
        entries.c.owner == owner,
        entries.c.kind.in_(kinds),
        entries.c.ts >= since,
        entries.c.ts <= before[0],
        entries.c.seq <= last,
        tuple_(*place) < before,
    )
    ordered = asked.order_by(*(column.desc() for column in place)).limit(limit)
    return [tuple(row) for row in await connection.execute(ordered)]


async def item_of(connection: AsyncConnection, kind: str, key: bytes, keeper: int) -> tuple[bytes, int] | None:
    """The item with the entry of a gift, and the entry's place in it."""
    place = (entries.c.partition, entries.c.seq, entries.c.place, entries.c.ts)
    asked = select(*place).where(
        entries.c.month == month_of(key_time(key)),
        entries.c.kind == kind,
        entries.c.key == key,
        entries.c.keeper == keeper,
    )
    entry = (await connection.execute(asked)).first()
    if entry is None:
        return None
    month = month_of(entry.ts)  # late ones belong to the next, and one more where a clock went back
    item = select(items.c.data).where(
        items.c.period.in_((month, following(month), following(following(month)))),
        items.c.partition == entry.partition,
        items.c.seq == entry.seq,
    )
    data = (await connection.execute(item)).scalar()
    return None if data is None else (data, entry.place)
