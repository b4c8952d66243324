"""What the archive's tables have of a creator's statement."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Select, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gifting.archive.schema import closings, entries, items, seals
from gifting.model.money import MAX_AMOUNT
from gifting.model.periods import ends, following
from gifting.model.statement import Movement, Standing

EARNED: Final = ("credit", "clawback")
PAYOUT: Final = "payout"

SLACK: Final = 31 * 86_400_000
"""ms that an entry's own time may be off from the month of its item, where a clock was wrong; with more, all of the
creator's entries are read."""


class Mark(NamedTuple):
    """The last item of a partition up to the end of a ``period``."""

    period: int
    seq: int


async def sealed_before(connection: AsyncConnection, partition: int, period: int) -> Mark:
    """The end of the last sealed month before one; (0, 0): there is none."""
    asked = select(seals.c.period, seals.c.last_seq).where(seals.c.partition == partition, seals.c.period < period)
    row = (await connection.execute(asked.order_by(seals.c.period.desc()).limit(1))).first()
    return Mark(row.period, row.last_seq) if row else Mark(0, 0)


async def end_of(connection: AsyncConnection, partition: int, after: Mark, period: int) -> Mark:
    """The end of a month, from that of one before it on."""
    at = after.period
    if not at:
        mine = select(items.c.period).where(items.c.partition == partition)
        at = (await connection.execute(mine.order_by(items.c.period).limit(1))).scalar() or period
        at = min(at, period) - 1
    last = after.seq
    while at < period:
        at = following(at)
        mine = select(func.max(items.c.seq)).where(items.c.period == at, items.c.partition == partition)
        last = (await connection.execute(mine)).scalar() or last
    return Mark(period, last)


async def sealed_standing(connection: AsyncConnection, partition: int, period: int, creator: str) -> Standing:
    """What a creator had and owed at the end of a sealed month."""
    asked = select(closings.c.book, closings.c.amount).where(
        closings.c.period == period,
        closings.c.partition == partition,
        closings.c.book.in_(("diamonds", "host_debt")),
        closings.c.name == creator,
    )
    found = {row.book: row.amount for row in await connection.execute(asked)}
    return Standing(found.get("diamonds", 0), found.get("host_debt", 0))


_NUMBERS: Final = (entries.c.diamonds, entries.c.debt, entries.c.paid, entries.c.money)


class Times(NamedTuple):
    """When the entries were that are looked for, in ms; ``until`` not among them."""

    since: int = 0
    until: int = MAX_AMOUNT


def _of(creator: str, times: Times, after: int, last: int, *columns: ColumnElement[Any]) -> Select[Any]:
    ts, seq = entries.c.ts, entries.c.seq
    return select(*columns).where(
        entries.c.owner == creator, ts >= times.since, ts < times.until, seq > after, seq <= last
    )


async def earned(connection: AsyncConnection, creator: str, times: Times, after: int, last: int) -> list[Movement]:
    """What was earned and taken back by the items after one up to another, by day and commission."""
    day: ColumnElement[int] = literal_column("ts / 86400000")
    settles: ColumnElement[bool] = entries.c.debt < 0
    names: tuple[ColumnElement[Any], ...] = (day, entries.c.kind, settles, entries.c.commission)
    sums = (func.count(), *(func.sum(number) for number in _NUMBERS))
    asked = _of(creator, times, after, last, *names, *sums).where(entries.c.kind.in_(EARNED)).group_by(*names)
    return [
        Movement(day * 86_400_000, kind, bool(settled), commission, "", "", "", *map(int, numbers))
        for day, kind, settled, commission, *numbers in await connection.execute(asked)
    ]


async def paid_out(connection: AsyncConnection, creator: str, times: Times, after: int, last: int) -> list[Movement]:
    """The payouts that these items have, one each."""
    named = (entries.c.ts, entries.c.about, entries.c.currency, entries.c.via)
    asked = _of(creator, times, after, last, *named, *_NUMBERS).where(entries.c.kind == PAYOUT)
    return [
        Movement(ts, PAYOUT, False, 0, payout, currency, provider, 1, *map(int, numbers))
        for ts, payout, currency, provider, *numbers in await connection.execute(asked)
    ]


def around(before: int, last: int) -> Times:
    """When the entries were of the months after one (0: of all) up to another, by clocks that were not too wrong."""
    return Times(max(ends(before) - SLACK, 0) if before else 0, ends(last) + SLACK)
