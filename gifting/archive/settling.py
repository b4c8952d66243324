"""What providers say they settled, held against the books: order by order, matched, missing on a side, or different."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from sqlalchemy import func, select

from gifting.archive.schema import entries, settlements
from gifting.archive.statements import Report
from gifting.archive.store import Store
from gifting.errors import BadSetting
from gifting.model.currencies import EXPONENTS
from gifting.model.periods import ends, starts
from gifting.model.settlements import OF_ORDERS

KINDS: Final = (*OF_ORDERS, "fee", "payout")
COLUMNS: Final = tuple(column.name for column in settlements.c)
_NUMBERS: Final = ("gross", "tax", "fee", "net", "at")

Settled = dict[str, str | int]


def read_settlements(lines: Iterable[str]) -> Iterator[Settled]:
    """Rows of a CSV with the columns of ``settlements``. Raises BadSetting, with the line, for one that can't be."""
    reader = csv.DictReader(lines)
    if set(reader.fieldnames or ()) != set(COLUMNS):
        raise BadSetting(f"Line 1: the columns are {', '.join(COLUMNS)}.")
    for row in reader:
        try:
            yield _settled(row)
        except (TypeError, ValueError) as error:
            raise BadSetting(f"Line {reader.line_num}: {error}.") from None


def _settled(row: dict[str, str]) -> Settled:
    found: Settled = {name: int(row[name]) if name in _NUMBERS else row[name] for name in COLUMNS}
    if row["kind"] not in KINDS or row["currency"] not in EXPONENTS or not row["reference"]:
        raise ValueError("its kind, currency or reference is none")
    if int(row["gross"]) - int(row["tax"]) - int(row["fee"]) != int(row["net"]):
        raise ValueError("gross less tax and fee is not net")
    return found


async def take_in(store: Store, rows: Iterable[Settled]) -> int:
    """All or none of them; how many were new. Raises BadSetting where one was told otherwise before."""
    new = 0
    async with store.writing() as connection:
        await store.lock(connection)
        for row in rows:
            one = (settlements.c.provider == row["provider"]) & (settlements.c.reference == row["reference"])
            known = (await connection.execute(select(settlements).where(one))).mappings().first()
            if known is None:
                await connection.execute(settlements.insert().values(**row))
                new += 1
            elif dict(known) != row:
                raise BadSetting(f"{row['provider']} {row['reference']} was told otherwise before.")
    return new


async def tie_out(store: Store, month: int) -> Report:
    """By order and currency: what the books say it brought, and what was settled of it in the month."""
    here: Counter[tuple[str, str]] = Counter()
    money = select(entries.c.about, entries.c.currency, entries.c.kind, func.sum(entries.c.money))
    booked = (entries.c.month == month) & entries.c.kind.in_(("purchase", "reversal")) & (entries.c.money != 0)
    sums = [func.sum(settlements.c[name]) for name in ("gross", "tax", "fee", "net")]
    settled = select(settlements.c.order_id, settlements.c.currency, *sums)
    of_month = (settlements.c.at >= starts(month)) & (settlements.c.at < ends(month))
    of_orders = of_month & settlements.c.kind.in_(OF_ORDERS)
    async with store.engine.connect() as connection:
        grouped = money.where(booked).group_by(entries.c.about, entries.c.currency, entries.c.kind)
        for order, currency, kind, amount in await connection.execute(grouped):
            here[order, currency] += int(amount) if kind == "purchase" else -int(amount)
        found = settled.where(of_orders).group_by(settlements.c.order_id, settlements.c.currency)
        there = {(row[0], row[1]): tuple(map(int, row[2:])) for row in await connection.execute(found)}
    columns = ("order", "currency", "status", "books", "gross", "tax", "fee", "net")
    rows: list[tuple[str | int, ...]] = []
    for place in sorted(here.keys() | there.keys()):
        gross, tax, fee, net = there.get(place, (0, 0, 0, 0))
        rows.append((*place, _status(place, here, there), here[place], gross, tax, fee, net))
    return Report(columns, rows)


def _status(
    place: tuple[str, str], here: Counter[tuple[str, str]], there: dict[tuple[str, str], tuple[int, ...]]
) -> str:
    if place not in there:
        return "only here"
    if place not in here:
        return "only there"
    return "matched" if here[place] == there[place][0] else "differs"
