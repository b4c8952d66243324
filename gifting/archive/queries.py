"""What is asked of the archive's tables."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, func, literal_column, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from gifting.archive.rows import NONE, Cursor, Row
from gifting.archive.schema import cursors, entries, items
from gifting.model.money import key_time
from gifting.model.periods import following, month_of

if TYPE_CHECKING:
    from gifting.archive.history import Narrowed


async def cursor(connection: AsyncConnection, partition: int) -> Cursor:
    """How far a partition is archived."""
    columns = [cursors.c[name] for name in Cursor._fields]
    row = (await connection.execute(select(*columns).where(cursors.c.partition == partition))).first()
    return Cursor(*row) if row else Cursor(partition, 0, NONE, bytes(32), 0)


async def page(
    connection: AsyncConnection,
    owner: str,
    kinds: Collection[str],
    since: int,
    before: tuple[int, int, int],
    last: int,
    limit: int,
    narrowed: Narrowed,
) -> list[Row]:
    """An owner's entries, whole rows, the newest first: of the partition's items up to ``last``, ``limit`` at most.

    ``before`` is the place (ts, seq, place in the item) that they come before. Each kind is asked for by itself, by the
    index: three purchases among a million gifts are found at once.
    """
    place = (entries.c.ts, entries.c.seq, entries.c.place)
    asked = select(entries).where(
        entries.c.owner == owner,
        entries.c.ts >= since,
        entries.c.ts <= min(before[0], narrowed.until),
        entries.c.seq <= last,
        tuple_(*place) < before,
    )
    if narrowed.room:
        asked = asked.where(entries.c.room == narrowed.room)
    if narrowed.key:
        asked = asked.where(entries.c.key == narrowed.key)
    ordered = asked.order_by(*(column.desc() for column in place)).limit(limit)
    found = [row for kind in kinds for row in await connection.execute(ordered.where(entries.c.kind == kind))]
    return [tuple(row) for row in sorted(found, key=lambda row: (row.ts, row.seq, row.place), reverse=True)[:limit]]


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


async def sums(
    connection: AsyncConnection, owner: str, kinds: Collection[str], since: int, last: int, limit: int
) -> list[tuple[Any, ...]]:
    """An owner's entries by day, kind and currency, the newest first, as :class:`.history.Sum` has them: of the
    partition's items up to ``last``, ``limit`` rows at most.
    """
    day: ColumnElement[int] = literal_column("ts / 86400000")
    names: tuple[ColumnElement[Any], ...] = (day, entries.c.kind, entries.c.currency)
    numbers = (entries.c.coins, entries.c.diamonds, entries.c.debt, entries.c.money)
    asked = select(*names, func.count(), *(func.sum(number) for number in numbers)).where(
        entries.c.owner == owner, entries.c.kind.in_(kinds), entries.c.ts >= since, entries.c.seq <= last
    )
    ordered = asked.group_by(*names).order_by(*(name.desc() for name in names)).limit(limit)
    return [(*row[:3], *map(int, row[3:])) for row in await connection.execute(ordered)]
