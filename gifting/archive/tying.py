"""What providers settled, held against the books, by order and by payout: matched, missing on a side, or different."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, Subquery, case, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from gifting.archive.schema import entries, items, settlements
from gifting.archive.statements import Cell, Report
from gifting.archive.store import Store
from gifting.model.periods import following, preceding
from gifting.model.settlements import OF_ORDERS, OF_PAYOUTS

OPEN_FOR: Final = 3
"""Months after the last in which anything of an order moved, in which it is listed by name if it is not matched."""


class Sides(NamedTuple):
    """What is tied: the entries of the books and the kinds of settlements that are about one ``of`` these."""

    of: str
    booked: Sequence[str]
    settled: Sequence[str]


ORDERS: Final = Sides("order", ("purchase", "reversal"), OF_ORDERS)
PAYOUTS: Final = Sides("payout", ("payout",), OF_PAYOUTS)

_MONEY: Final = ("gross", "tax", "fee", "net")
_SETTLED: Final = ("order_amount", *_MONEY)


async def tie_out(store: Store, month: int) -> Report:
    """By order: what the books and the provider say it brought until the end of the month."""
    return await _tie(store, month, ORDERS)


async def tie_payouts(store: Store, month: int) -> Report:
    """By payout: what of it left until the end of the month, below 0, by the books and by the provider's transfers. One
    that came back, and was never sent or is back there too, is not told.
    """
    return await _tie(store, month, PAYOUTS)


async def _tie(store: Store, month: int, sides: Sides) -> Report:
    """Told are those of which anything moved in the month, and those that are not matched: by name for
    :data:`OPEN_FOR` months, and then added up by currency.
    """
    columns = (sides.of, "currency", "status", "books", "order_amount", "settled_in", "rate", *_MONEY)
    rows: list[tuple[Cell, ...]] = []
    older: dict[str, list[int]] = {}
    async with store.engine.connect() as connection:
        asked = await _both_sides(connection, month, sides)
        for (order, currency), lines in groupby(await connection.execute(asked), key=lambda line: line[:2]):
            told = list(lines)
            status, books, settled = _status(told)
            if sides is PAYOUTS and not books and not settled:
                continue
            moved = max(line.moved for line in told)
            if moved == 2 or (moved and status != "matched"):
                rows.extend(_rows(order, currency, status, books, told))
            elif status != "matched":
                sums = older.setdefault(currency, [0, 0])
                sums[:] = sums[0] + books, sums[1] + settled
    empty = ("", "", 0, 0, 0, 0)
    rows.extend(("", currency, "open before", *sums, *empty) for currency, sums in sorted(older.items()))
    return Report(columns, rows)


def _status(lines: Sequence[Any]) -> tuple[str, int, int]:
    """What holds of an order, and what was booked and settled of it, in its currency."""
    books, settled = (sum(int(getattr(line, name)) for line in lines) for name in ("books", "order_amount"))
    if all(line.settled_in == "" for line in lines):
        return "only here", books, settled
    if all(line.settled_in for line in lines):
        return "only there", books, settled
    return ("matched" if books == settled else "differs"), books, settled


def _rows(order: str, currency: str, status: str, books: int, lines: Sequence[Any]) -> Iterator[tuple[Cell, ...]]:
    """One for each currency that it is settled in; the first says what the books have."""
    there = [line for line in lines if line.settled_in] or lines
    for line in there:
        rate = line.rate if line.rate == line.rate_too else "several"
        money = (int(getattr(line, name)) for name in _MONEY)
        yield order, currency, status, books, int(line.order_amount), line.settled_in, rate, *money
        books = 0


async def _both_sides(connection: AsyncConnection, month: int, sides: Sides) -> Select[Any]:
    """Lines in the order of orders; ``moved`` is 2 in the month, 1 in those before it that are listed, else 0."""
    recent = month
    for _ in range(OPEN_FOR + 1):
        recent = preceding(recent)
    booked = await _booked(connection, month, recent, sides.booked)
    both = union_all(booked, _settled(month, recent, sides.settled)).subquery()
    return select(both).order_by(both.c.order_id, both.c.order_currency, both.c.settled_in)


async def _booked(connection: AsyncConnection, month: int, recent: int, booked: Sequence[str]) -> Select[Any]:
    until = _reached(month, recent)
    kinds = entries.c.month.in_(await _months(connection)) & entries.c.kind.in_(booked)
    here = (entries.c.partition == until.c.partition) & (entries.c.seq <= until.c.last)
    amount = case((entries.c.kind == "purchase", entries.c.money), else_=-entries.c.money)
    moved = case((entries.c.seq >= until.c.month, 2), (entries.c.seq > until.c.before, 1), else_=0)
    return (
        select(
            entries.c.about.label("order_id"),
            entries.c.currency.label("order_currency"),
            literal("").label("settled_in"),
            func.sum(amount).label("books"),
            *(literal(0).label(name) for name in _SETTLED),
            literal("").label("rate"),
            literal("").label("rate_too"),
            func.max(moved).label("moved"),
        )
        .join_from(entries, until, here)
        .where(kinds & (entries.c.money != 0))
        .group_by(entries.c.about, entries.c.currency)
    )


def _reached(month: int, recent: int) -> Subquery:
    """By partition: the last item of the books until the end of the month, the first of the month, and the last that
    is too old to be listed.
    """
    of_month = case((items.c.period == month, items.c.seq))
    old = case((items.c.period <= recent, items.c.seq), else_=0)
    wanted = (
        items.c.partition,
        func.max(items.c.seq).label("last"),
        func.min(of_month).label("month"),
        func.max(old).label("before"),
    )
    return select(*wanted).where(items.c.period <= month).group_by(items.c.partition).subquery()


async def _months(connection: AsyncConnection) -> list[int]:
    """All of ``entries``, by which its key is searched."""
    first, last = (await connection.execute(select(func.min(entries.c.month), func.max(entries.c.month)))).one()
    months: list[int] = []
    while first and first <= last:
        months.append(first)
        first = following(first)
    return months


def _settled(month: int, recent: int, kinds: Sequence[str]) -> Select[Any]:
    sums = (func.sum(settlements.c[name]).label(name) for name in _SETTLED)
    moved = case((settlements.c.period == month, 2), (settlements.c.period > recent, 1), else_=0)
    names = (settlements.c.order_id, settlements.c.order_currency, settlements.c.currency)
    rates = (func.min(settlements.c.rate).label("rate"), func.max(settlements.c.rate).label("rate_too"))
    asked = select(
        *names[:2],
        names[2].label("settled_in"),
        literal(0).label("books"),
        *sums,
        *rates,
        func.max(moved).label("moved"),
    )
    return asked.where((settlements.c.period <= month) & settlements.c.kind.in_(kinds)).group_by(*names)


async def settled(store: Store, month: int) -> Report:
    """What was settled in the month, by provider and kind, in the currencies that it was settled in."""
    names = ("provider", "kind", "currency")
    grouped = [settlements.c[name] for name in names]
    sums = [func.sum(settlements.c[name]) for name in _MONEY]
    asked = select(*grouped, func.count(), *sums).where(settlements.c.period == month)
    async with store.engine.connect() as connection:
        found = await connection.execute(asked.group_by(*grouped).order_by(*grouped))
        rows = [(*row[:3], *map(int, row[3:])) for row in found]
    return Report((*names, "count", *_MONEY), rows)


TIES: Final[dict[str, Callable[[Store, int], Awaitable[Report]]]] = {
    "tie-out": tie_out,
    "payouts": tie_payouts,
    "settled": settled,
}
