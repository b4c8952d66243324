"""Proves an archive: every byte is in the chain, every row is what the bytes say, every seal is of what it seals.

It reads one state of the database from the first item on, a page at a time, and keeps the balances of one partition. Of
each partition the first thing that is broken is named; what comes after it there may follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gifting.archive.closing import Closing, state_hash
from gifting.archive.fences import told_fences
from gifting.archive.origin import read_cursors
from gifting.archive.overlap import Overlap
from gifting.archive.pages import PAGE
from gifting.archive.proving import Broken, check_entries, find_stray
from gifting.archive.rows import NONE, Cursor
from gifting.archive.schema import books, entries, items
from gifting.archive.sealing import read_closing, read_seals
from gifting.archive.seals import Seal
from gifting.archive.signer import Public, is_signed
from gifting.archive.store import Store
from gifting.ledger.stream import item_order
from gifting.model.chain import first_hash, next_hash
from gifting.model.periods import following, period_of


class Verified(NamedTuple):
    """What was read, and what is broken: at most one thing of each partition, and each seal outside that differs;
    ``fenced``: what a cluster has credited and lost the debit of, which is not broken.
    """

    items: int
    entries: int
    seals: int
    broken: list[Broken]
    fenced: list[str]

    def as_json(self) -> dict[str, Any]:
        return self._asdict() | {"broken": [one._asdict() for one in self.broken]}

    def lines(self) -> list[str]:
        counted = f"archive: {self.items} items, {self.entries} entries, {self.seals} seals"
        fenced = [f"archive, fenced: {one}" for one in self.fenced]
        return [counted, *fenced, *(f"archive broken: {one}" for one in self.broken)]


async def verify(
    store: Store, public: Public, outside: Mapping[tuple[int, int], Seal], overlap: Overlap | None, now: int
) -> Verified:
    """Prove all of an archive, by the keys that are believed and the seals outside; with Redis, that it goes on there.

    Args:
        outside: read after ``now`` (ms); seals that were made since are not looked for in the database.
        overlap: None where there is no Redis to compare with.

    Raises:
        SQLAlchemyError, RedisError, OSError: one of them can't be read.
    """
    async with store.engine.connect() as connection:
        if store.engine.dialect.name == "postgresql":
            await connection.execution_options(isolation_level="REPEATABLE READ")
        own = (await connection.execute(select(books.c.id))).scalar_one()
        found = await read_seals(connection)
        broken = _compare_outside(found, outside, now)
        read = rows = 0
        for cursor in await read_cursors(connection):
            sealed = [seal for seal in found if seal.partition == cursor.partition]
            one = _Partition(connection, own, cursor, sealed, public, overlap)
            if told := await one.prove():
                broken.append(told)
            read, rows = read + one.seq, rows + one.entries
        return Verified(read, rows, len(found), broken, await told_fences(connection))


def _compare_outside(found: Sequence[Seal], outside: Mapping[tuple[int, int], Seal], now: int) -> list[Broken]:
    inside = {seal.place: seal for seal in found}
    told = []
    for place in sorted(inside.keys() | outside.keys()):
        one, other = inside.get(place), outside.get(place)
        seal = one or other
        assert seal is not None
        if one is None and seal.made < now:
            told.append(_of_seal(seal, "the database does not have it, the file outside does"))
        elif one is not None and other is None:
            told.append(_of_seal(seal, "the file outside does not have it"))
        elif one is not None and one != other:
            told.append(_of_seal(seal, "the file outside has another"))
    return told


def _of_seal(seal: Seal, what: str) -> Broken:
    return Broken(seal.partition, seal.last_seq, seal.item_id, f"seal of {seal.period}: {what}")


class _Partition:
    """One partition, as far as it is proved."""

    def __init__(
        self,
        connection: AsyncConnection,
        own: str,
        cursor: Cursor,
        sealed: Sequence[Seal],
        public: Public,
        overlap: Overlap | None,
    ) -> None:
        self._connection = connection
        self._cursor = cursor
        self._sealed = list(sealed)
        self._public = public
        self._overlap = overlap
        self.seq = self.entries = 0
        self._item_id, self._hash, self._period = NONE, first_hash(own, cursor.partition), 0
        self._closing = Closing()
        self._last: Seal | None = None

    async def prove(self) -> Broken | None:
        """What is broken first."""
        if self._overlap and (what := await self._overlap.begin(self._cursor)):
            return self._broken(what, self._cursor.seq, self._cursor.item_id)
        period = 0
        while (period := await self._next_period(period)) > 0:
            after = self.seq
            while page := await self._page(period, after):
                if told := await self._prove_page(page):
                    return told
                after = page[-1].seq
        return await self._end()

    async def _next_period(self, period: int) -> int:
        mine = items.c.partition == self._cursor.partition
        asked = select(func.min(items.c.period)).where(mine, items.c.period > period)
        return (await self._connection.execute(asked)).scalar() or 0

    async def _page(self, period: int, after: int) -> Sequence[Any]:
        mine = (items.c.period == period, items.c.partition == self._cursor.partition, items.c.seq > after)
        return (await self._connection.execute(select(items).where(*mine).order_by(items.c.seq).limit(PAGE))).all()

    async def _prove_page(self, page: Sequence[Any]) -> Broken | None:
        proved: list[Any] = []
        told = None
        for row in page:
            if told := await self._prove_item(row):
                break
            proved.append(row)
        found, wrong = await check_entries(self._connection, proved)
        self.entries += found
        return wrong or told

    async def _prove_item(self, row: Any) -> Broken | None:
        while self._sealed and self._sealed[0].last_seq < row.seq:
            if told := await self._prove_seal(self._sealed.pop(0)):
                return told
        expected = next_hash(self._hash, row.partition, row.item_id, row.data)
        if row.seq != self.seq + 1:
            return self._broken(f"it is not there: item {row.seq} ({row.item_id}) comes next", self.seq + 1, "none")
        if row.hash != expected:
            return self._broken("its hash is not that of its bytes after the hash before it", row.seq, row.item_id)
        if item_order(row.item_id) <= item_order(self._item_id):
            return self._broken(f"its id is not after {self._item_id}", row.seq, row.item_id)
        if row.period != (period := self._period_due(row)):
            return self._broken(f"its period is {row.period}, not {period}", row.seq, row.item_id)
        if self._overlap and (what := await self._overlap.compare(row)):
            return self._broken(what, row.seq, row.item_id)
        self.seq, self._item_id, self._hash, self._period = row.seq, row.item_id, row.hash, row.period
        self._closing.enter(row.data)
        return None

    def _period_due(self, row: Any) -> int:
        """Which month was open when the first item came is not kept: it may be of a later one, if none before that is
        sealed.
        """
        due = period_of(row.item_id, self._period)
        may_be_later = row.seq == 1 and not (self._sealed and self._sealed[0].period < row.period)
        return max(due, int(row.period)) if may_be_later else due

    async def _prove_seal(self, seal: Seal) -> Broken | None:
        """That it is of what was proved until here, and follows the one before."""
        amounts = self._closing.amounts()
        due = following(self._last.period) if self._last else seal.period
        first = self._last.last_seq + 1 if self._last else 1
        until = (seal.first_seq, seal.last_seq, seal.item_id)
        wrong = is_signed(seal, self._public)
        if seal.period != due:
            wrong = f"there is none of {due}"
        elif not wrong and until != (first, self.seq, self._item_id):
            wrong = f"it is of items {seal.first_seq} to {seal.last_seq} ({seal.item_id}), not {first} to {self.seq}"
        elif not wrong and seal.hash != self._hash:
            wrong = f"its hash is not that of the chain: items {first} to {self.seq} were written anew since"
        elif not wrong and seal.state_hash != state_hash(amounts):
            wrong = "its state is not what the items come to"
        if wrong:
            return _of_seal(seal, wrong)
        async for book, name, amount in read_closing(self._connection, seal.partition, seal.period):
            if amounts.pop((book, name), None) != amount:
                return _of_seal(seal, f"its closing has {amount} for {book} {name!r}: the items don't come to that")
        for book, name in amounts:
            return _of_seal(seal, f"its closing lacks {book} {name!r}")
        self._last, self._period = seal, max(self._period, following(seal.period))
        return None

    async def _end(self) -> Broken | None:
        cursor = self._cursor
        if self.seq < cursor.seq:
            what = f"it is not there, and the archive had items up to {cursor.seq} ({cursor.item_id})"
            return self._broken(what, self.seq + 1, "none")
        while self._sealed:
            if told := await self._prove_seal(self._sealed.pop(0)):
                return told
        if cursor.period > self._period and cursor.seq:
            return self._broken(f"a seal before {cursor.period} is not there", self.seq, self._item_id)
        opened = self._period if cursor.seq else cursor.period  # months close without an item, too
        if cursor[1:] != (self.seq, self._item_id, self._hash, opened):
            return self._broken(f"the cursor is at item {cursor.seq} ({cursor.item_id})", self.seq, self._item_id)
        mine = select(func.count()).select_from(entries).where(entries.c.partition == cursor.partition)
        if (await self._connection.execute(mine)).scalar_one() != self.entries:
            return await find_stray(self._connection, cursor.partition)
        return None

    def _broken(self, what: str, seq: int, item_id: str) -> Broken:
        return Broken(self._cursor.partition, seq, item_id, what)
