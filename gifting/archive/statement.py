"""A creator's statement, from the archive, and from Redis' stream what is not archived yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gifting.archive.history import Line
from gifting.archive.reading import Archive
from gifting.archive.rows import Cursor, Page
from gifting.archive.tail import read_tail
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.model.payouts import Payout
from gifting.model.statement import Movement, Period, Standing, Statement, make_statement

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from gifting.archive.statement_rows import Mark, Times

KINDS: Final = ("credit", "clawback", "payout")


class Moved(NamedTuple):
    """What a creator had when a period began, and what the ledger has of the period."""

    opening: Standing
    movements: list[Movement]

    @property
    def closing(self) -> Standing:
        return changed(self.opening, self.movements)


def changed(standing: Standing, movements: Iterable[Movement]) -> Standing:
    """What is there and owed after some movements."""
    diamonds, debt = standing
    for movement in movements:
        diamonds, debt = diamonds + movement.change.diamonds, debt + movement.change.debt
    return Standing(diamonds, debt)


class Statements:
    """Of all creators. An entry belongs to the month of its item, as in the seals and the reports of finance."""

    def __init__(self, archive: Archive, redis: BinaryRedis, keys: Keys) -> None:
        self._archive = archive
        self._redis = redis
        self._keys = keys

    async def read(self, creator: str, period: Period, payouts: Mapping[str, Payout], now: int) -> Statement:
        """A creator's statement as of ``now`` (ms since 1970); ``payouts`` are the creator's, by id.

        Raises:
            NoArchive: this server has none.
            ArchiveUnavailable: it can't be asked, or is too far behind.
            Unavailable: Redis can't be asked.
        """
        months = [await self._month(creator, month) for month in period.months(now)]
        movements = [movement for month in months for movement in month.movements]
        return make_statement(creator, period, months[0].opening, movements, payouts, now)

    async def _month(self, creator: str, period: Period) -> Moved:
        """Month by month, so that each has the time that an answer may take the database. Raises as :meth:`read`."""
        partition = self._keys.bases.index(self._keys.base(creator))
        async with self._archive.reading() as connection:
            from gifting.archive import queries, statement_rows  # noqa: PLC0415

            page = await read_tail(self._redis, self._keys, await queries.cursor(connection, partition))
            cursor = await queries.cursor(connection, partition)
            base = await statement_rows.sealed_before(connection, partition, period.first)
            times = statement_rows.around(base.period, period.last)
            found = await _archived(connection, cursor, creator, period, base, times)
            end = await statement_rows.sealed_standing(connection, partition, period.last, creator)
            sealed = (await statement_rows.sealed_before(connection, partition, period.last + 1)).period == period.last
            if sealed and end != found.closing:
                found = await _archived(connection, cursor, creator, period, base, statement_rows.Times())
        before, during = _newer(page, cursor.seq, creator, period)
        return Moved(changed(found.opening, before), found.movements + during)


async def _archived(
    connection: AsyncConnection, cursor: Cursor, creator: str, period: Period, base: Mark, times: Times
) -> Moved:
    """What the database has, of entries of those times, on top of the sealed month ``base``."""
    from gifting.archive.statement_rows import earned, end_of, paid_out, sealed_standing  # noqa: PLC0415

    async def between(after: int, last: int) -> list[Movement]:
        span = creator, times, after, min(last, cursor.seq)
        return await earned(connection, *span) + await paid_out(connection, *span)

    start = await end_of(connection, cursor.partition, base, period.before)
    end = await end_of(connection, cursor.partition, start, period.last)
    opening = await sealed_standing(connection, cursor.partition, base.period, creator)
    return Moved(changed(opening, await between(base.seq, start.seq)), await between(start.seq, end.seq))


def _newer(page: Page, last: int, creator: str, period: Period) -> tuple[list[Movement], list[Movement]]:
    """Of what was read of Redis, the creator's entries before the period and in it, but for the ``last`` items."""
    months: dict[Any, Any] = {seq: month for month, _, seq, *_ in page.items}
    before, during = list[Movement](), list[Movement]()
    for row in page.entries:
        line = Line(*row)  # type: ignore[arg-type]  # a row of that table
        if line.owner == creator and line.kind in KINDS and line.seq > last and months[line.seq] <= period.last:
            (before if months[line.seq] < period.first else during).append(_movement(line))
    return before, during


def _movement(line: Line) -> Movement:
    named = (line.about, line.currency, line.via) if line.kind == "payout" else ("", "", "")
    numbers = (1, line.diamonds, line.debt, line.paid, line.money)
    return Movement(line.ts, line.kind, line.debt < 0, line.commission, *named, *numbers)
