"""What a cluster has credited and lost the debit of, in the archive: a step of the archiver, and what that is worth.

A note says numbers of a pair of partitions, and no keys: which gifts they were is what the entries say that have a
credit of that pair from before the note, and no debit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import exists, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gifting.archive.rows import Row
from gifting.archive.schema import entries, fences
from gifting.archive.store import Store
from gifting.ledger.audit.fences import SKEW
from gifting.ledger.audit.halves import read_fence
from gifting.ledger.confirmed import ONE_REDIS, Confirmation
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.entry_parser import UNREADABLE
from gifting.ledger.keys import Keys

PAGE: Final = 1000
"""Notes of one partition that are read at a time."""


class FenceLog:
    """Of the books of ``keys``; :meth:`follow` is the step. On one Redis there is nothing to follow."""

    def __init__(self, redis: BinaryRedis, keys: Keys, store: Store, confirmation: Confirmation = ONE_REDIS) -> None:
        self._redis = redis
        self._keys = keys
        self._store = store
        self._confirmation = confirmation

    async def follow(self) -> int:
        """Archive what is new; returns how many notes. Raises SQLAlchemyError, RedisError, OSError."""
        if not self._keys.apart:
            return 0
        last = await self._last()
        pipe = self._redis.pipeline(transaction=False)
        for number, base in enumerate(self._keys.bases):
            pipe.xrange(f"{base}:fenced", f"({_native(last[number])}" if number in last else "-", "+", PAGE)
        rows = [row for at, notes in enumerate(await pipe.execute()) for note in notes if (row := _row(at, *note))]
        if not rows:
            return 0
        await self._confirmation.hold()
        try:
            async with self._store.writing() as connection:
                await self._store.insert(connection, fences, rows)
        except IntegrityError:  # another archiver was quicker
            return 0
        return len(rows)

    async def _last(self) -> dict[int, str]:
        asked = select(fences.c.partition, func.max(fences.c.id)).group_by(fences.c.partition)
        async with self._store.engine.connect() as connection:
            return {row[0]: row[1] for row in await connection.execute(asked)}


def _row(partition: int, name: bytes, fields: Mapping[bytes, bytes]) -> Row | None:
    """None of what can't be read, which is the audit's to tell."""
    at, _, number = name.decode().partition("-")
    try:
        return partition, f"{int(at):016}-{int(number):08}", *read_fence(fields)
    except UNREADABLE:
        return None


def _native(name: str) -> str:
    at, _, number = name.partition("-")
    return f"{int(at)}-{int(number)}"


async def told_fences(connection: AsyncConnection) -> list[str]:
    """In sentences: each note, and after those of a pair what was credited there without a debit."""
    found = (await connection.execute(select(fences).order_by(fences.c.partition, fences.c.source, fences.c.id))).all()
    pairs: dict[tuple[int, int], list[Any]] = {}
    for row in found:
        pairs.setdefault((row.source, row.partition), []).append(row)
    return [sentence for pair, notes in pairs.items() for sentence in await _tell(connection, *pair, notes)]


async def _tell(connection: AsyncConnection, source: int, destination: int, notes: Sequence[Any]) -> list[str]:
    pair = f"partition {destination} has credited numbers {{}} to {{}} of partition {source}, noted at {{}}"
    told = [pair.format(note.first, note.last, note.at) for note in notes]
    gifts, coins, diamonds = await _unpaid(connection, source, destination, max(note.at for note in notes) + SKEW)
    return [*told, f"of that pair {gifts} gifts have no debit: {coins} coins and {diamonds} milli-diamonds"]


async def _unpaid(connection: AsyncConnection, source: int, destination: int, until: int) -> tuple[int, int, int]:
    """Gifts, coins and milli-diamonds that were credited until then, in ms, and never debited."""
    debit = entries.alias()
    paid = exists().where(
        debit.c.month == entries.c.month,
        debit.c.kind == "debit",
        debit.c.key == entries.c.key,
        debit.c.keeper == entries.c.keeper,
    )
    sums = func.count(), func.coalesce(func.sum(entries.c.coins), 0), func.coalesce(func.sum(entries.c.diamonds), 0)
    mine = entries.c.kind == "credit", entries.c.keeper == source, entries.c.partition == destination
    gifts, coins, diamonds = (await connection.execute(select(*sums).where(*mine, entries.c.ts <= until, ~paid))).one()
    return int(gifts), int(coins), int(diamonds)
