"""Seals each month that is over, of each partition: a step of the archiver.

The database has the seal first, then the file outside of it: what a crash leaves out there is added at the next start.
A seal that is only in the file, since the database was restored from before it, holds all the same: the month is
sealed by it once more, and items that came after it belong to the next month.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NamedTuple

from sqlalchemy import case, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gifting.archive.closing import Closing, state_hash
from gifting.archive.month_end import MonthEnd
from gifting.archive.origin import read_cursors
from gifting.archive.pages import pages
from gifting.archive.rows import NONE, Cursor
from gifting.archive.schema import books, closings, cursors, items, make_partitions, seals
from gifting.archive.seal_file import SealFile
from gifting.archive.seals import Seal
from gifting.archive.signer import Signer, is_signed
from gifting.archive.store import Store
from gifting.errors import BadArchive
from gifting.ledger.clock import in_ms
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.model.chain import first_hash, next_hash
from gifting.model.periods import ends, following, item_time, month_of, month_of_item

log = logging.getLogger(__name__)

MARGIN: Final = 3_600_000
"""ms after a month's end until it is sealed: a clock that goes back less than that brings nothing late."""

LOOK_EVERY: Final = 60.0
"""Seconds between two looks whether a month is over."""


class Sealer:
    """Seals the books of ``keys``; ``seal_due`` is the step."""

    def __init__(
        self,
        redis: BinaryRedis,
        keys: Keys,
        store: Store,
        signer: Signer,
        file: SealFile,
        month_end: MonthEnd | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._store = store
        self._signer = signer
        self._file = file
        self._month_end = month_end or MonthEnd()
        self._monotonic = monotonic
        self._look_at = 0.0
        self._refused: set[int] = set()

    async def seal_due(self) -> int:
        """Seal the months that are over and archived; returns how many seals were made.

        What does not fit is told in the log, and that partition is sealed no more: it is for the audit to say.
        Raises SQLAlchemyError, RedisError, OSError.
        """
        if self._monotonic() < self._look_at:
            return 0
        async with self._store.engine.connect() as connection:
            at = await read_cursors(connection)
            found = await read_seals(connection)
        newest = max((item_time(cursor.item_id) for cursor in at), default=0)
        now = self._month_end.passed(in_ms(await self._redis.time()), newest)
        self._file.add(seal for seal in found if not is_signed(seal, self._signer.believed))
        last = {seal.partition: seal for seal in found}
        outside = self._file.read()
        made = waiting = 0
        for cursor in at:
            if cursor.partition in self._refused:
                continue
            if not cursor.seq:
                await self._pass_over(cursor, now)
                continue
            try:
                step, behind = await self._seal_all(cursor, last.get(cursor.partition), outside, now)
            except BadArchive as error:
                log.error("partition %d is not sealed: %s", cursor.partition, error.detail)
                self._refused.add(cursor.partition)
            else:
                made, waiting = made + step, waiting + behind
        if not waiting:
            self._look_at = self._monotonic() + LOOK_EVERY
        return made

    async def _seal_all(
        self, cursor: Cursor, last: Seal | None, outside: dict[tuple[int, int], Seal], now: int
    ) -> tuple[int, bool]:
        """All that are due of a partition: how many, and whether one waits for what is not archived yet."""
        made = 0
        period = following(last.period) if last else await self._first_period(cursor.partition)
        while ends(period) + MARGIN <= now:
            if not await self._archived(cursor, period):
                return made, True
            seal = await self._seal(cursor, last, period, outside.get((cursor.partition, period)), now)
            if seal is None:
                return made, True
            cursor = cursor._replace(period=max(cursor.period, following(period)))
            last, period, made = seal, following(period), made + 1
        return made, False

    async def _pass_over(self, cursor: Cursor, now: int) -> None:
        """Close the months that are over of a partition that has nothing: what comes is of a later one."""
        opened = month_of(now - MARGIN)
        if cursor.period >= opened or await self._redis.xlen(f"{self._keys.bases[cursor.partition]}:ledger"):
            return
        empty = (cursors.c.partition == cursor.partition, cursors.c.seq == 0, cursors.c.period < opened)
        async with self._store.writing() as connection:
            await connection.execute(update(cursors).where(*empty).values(period=opened))

    async def _first_period(self, partition: int) -> int:
        async with self._store.engine.connect() as connection:
            asked = select(func.min(items.c.period)).where(items.c.partition == partition)
            return int((await connection.execute(asked)).scalar_one())

    async def _archived(self, cursor: Cursor, period: int) -> bool:
        """Whether all that belongs to a period is: nothing of it waits in the stream."""
        if cursor.period > period:
            return True
        base = self._keys.bases[cursor.partition]
        coming = await self._redis.xrange(f"{base}:ledger", min=f"({cursor.item_id}", count=1)
        return not coming or month_of_item(coming[0][0].decode()) > period

    async def _seal(
        self, cursor: Cursor, last: Seal | None, period: int, outside: Seal | None, now: int
    ) -> Seal | None:
        """None if somebody else came first."""
        until = outside.last_seq if outside else cursor.seq
        async with self._store.engine.connect() as connection:
            reached = await replay(connection, cursor.partition, last, period, until)
        if outside is None:
            seal = self._signer.sign(reached.seal(period, now))
        else:
            seal = outside
            if wrong := is_signed(seal, self._signer.believed):
                raise BadArchive(f"its seal of {period} in {self._file.path} is not ours: {wrong}")
            if reached.seal(period, 0) != seal._replace(made=0, key_id="", signature=b""):
                raise BadArchive(f"its seal of {period} in {self._file.path} is of other items than the database has")
        if not await self._write(cursor, seal, reached.closing):
            return None
        self._file.add([seal])
        log.info("partition %d, %d: sealed items %d to %d", *seal.place, seal.first_seq, seal.last_seq)
        return seal

    async def _write(self, cursor: Cursor, seal: Seal, closing: Closing) -> bool:
        rows = [(seal.period, seal.partition, *name, amount) for name, amount in closing.amounts().items()]
        try:
            async with self._store.writing() as connection:
                if not await _close(connection, cursor, seal):
                    return False
                await self._store.insert(connection, seals, [seal.row()])
                await self._store.insert(connection, closings, rows)
        except IntegrityError:
            return False
        return True


async def read_seals(connection: AsyncConnection) -> list[Seal]:
    """All seals, each partition's in order."""
    own = (await connection.execute(select(books.c.id))).scalar()
    rows = await connection.execute(select(seals).order_by(seals.c.partition, seals.c.period))
    return [Seal(own or "", *row) for row in rows]


async def _close(connection: AsyncConnection, cursor: Cursor, seal: Seal) -> bool:
    """Open the next period, if the partition is still where it was read; items after the seal belong to that."""
    after = following(seal.period)
    here = [cursors.c[name] == getattr(cursor, name) for name in ("partition", "seq", "period")]
    opened = case((cursors.c.period > after, cursors.c.period), else_=after)
    done = await connection.execute(update(cursors).where(*here).values(period=opened))
    late = (items.c.partition == seal.partition, items.c.period == seal.period, items.c.seq > seal.last_seq)
    if done.rowcount == 1 and (await connection.execute(select(items.c.seq).where(*late).limit(1))).first():
        await make_partitions(connection, items, [after])
        await connection.execute(update(items).where(*late).values(period=after))
    return done.rowcount == 1


class Reached(NamedTuple):
    """Where a replay of a period ends."""

    books: str
    partition: int
    first_seq: int
    last_seq: int
    item_id: str
    hash: bytes
    closing: Closing

    def seal(self, period: int, made: int) -> Seal:
        """Not signed."""
        until = (self.first_seq, self.last_seq, self.item_id, self.hash)
        return Seal(self.books, self.partition, period, *until, state_hash(self.closing.amounts()), made, "")


async def replay(connection: AsyncConnection, partition: int, last: Seal | None, period: int, until: int) -> Reached:
    """A partition's items of a period, up to the item ``until``, on top of the closing before. Raises BadArchive."""
    own = (await connection.execute(select(books.c.id))).scalar_one()
    closing = Closing([row async for row in read_closing(connection, partition, last.period)] if last else ())
    if last and state_hash(closing.amounts()) != last.state_hash:
        raise BadArchive(f"the closing of {last.period} is not the one that was sealed")
    seq, item_id = (last.last_seq, last.item_id) if last else (0, NONE)
    chained, first = last.hash if last else first_hash(own, partition), seq + 1
    async for row in read_items(connection, partition, period, seq):
        if row.seq > until:
            break
        chained, seq, item_id = next_hash(chained, partition, row.item_id, row.data), seq + 1, row.item_id
        if row.seq != seq or row.hash != chained:
            raise BadArchive(f"item {seq} ({row.item_id}) is not the one that was archived")
        closing.enter(row.data)
    return Reached(own, partition, first, seq, item_id, chained, closing)


async def read_items(connection: AsyncConnection, partition: int, period: int, after: int) -> AsyncIterator[Any]:
    """Rows of a partition's items of a period, in order."""
    mine = (items.c.period == period, items.c.partition == partition, items.c.seq > after)
    async for row in pages(connection, select(items).where(*mine), items.c.seq):
        yield row


async def read_closing(connection: AsyncConnection, partition: int, period: int) -> AsyncIterator[tuple[str, str, int]]:
    """The amounts of a closing: book, name, amount."""
    columns = (closings.c.book, closings.c.name, closings.c.amount)
    asked = select(*columns).where(closings.c.period == period, closings.c.partition == partition)
    async for row in pages(connection, asked, closings.c.book, closings.c.name):
        yield row.book, row.name, row.amount
