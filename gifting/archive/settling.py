"""What providers say they settled, taken in: each movement of money once, whoever tells it and how often.

It is told in the month of its time; where that is locked, in the first month after all that are.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gifting.archive.schema import locks, settlements
from gifting.archive.store import Store
from gifting.errors import BadSetting
from gifting.model.currencies import EXPONENTS
from gifting.model.periods import following, month_of
from gifting.model.settlements import Settlement, is_converted

COLUMNS: Final = ("provider", "reference", "order_id", "kind", "gross", "tax", "fee", "net", "currency", "at", "batch")
CONVERTED: Final = ("order_amount", "order_currency", "rate")
"""Columns that a file has as well where anything was converted."""


def read_settlements(lines: Iterable[str]) -> Iterator[Settlement]:
    """Rows of a CSV. Raises BadSetting, with the line, for one that can't be."""
    reader = csv.DictReader(lines)
    named = set(reader.fieldnames or ())
    if named not in (set(COLUMNS), {*COLUMNS, *CONVERTED}):
        raise BadSetting(f"Line 1: the columns are {', '.join(COLUMNS)}, and all or none of {', '.join(CONVERTED)}.")
    for row in reader:
        try:
            yield _settlement(row)
        except (TypeError, ValueError, KeyError) as error:
            raise BadSetting(f"Line {reader.line_num}: {error}.") from None


def _settlement(row: dict[str, str]) -> Settlement:
    told = row | {name: row.get(name) or row[of] for name, of in zip(CONVERTED, ("gross", "currency"), strict=False)}
    told.setdefault("rate", "")
    found = msgspec.convert([told[name] for name in Settlement._fields], Settlement, strict=False)
    if not {found.currency, found.order_currency} <= EXPONENTS.keys():
        raise ValueError("its currency is none")
    if not found.provider or not found.reference:
        raise ValueError("it names no provider, or no reference")
    if found.gross - found.tax - found.fee != found.net:
        raise ValueError("gross less tax and fee is not net")
    if not is_converted(found):
        raise ValueError("gross is not what order_amount comes to at the rate")
    return found


async def take_in(store: Store, rows: Iterable[Settlement]) -> int:
    """All or none of them; how many were new. Raises BadSetting where one was told otherwise before."""
    async with store.writing() as connection:
        new, strange = await enter(store, connection, rows)
        if strange:
            raise BadSetting(f"{strange[0].provider} {strange[0].reference} was told otherwise before.")
    return new


async def enter(store: Store, connection: AsyncConnection, rows: Iterable[Settlement]) -> tuple[int, list[Settlement]]:
    """How many were new, and those that were told otherwise before: they are not entered."""
    await store.lock(connection)
    last = (await connection.execute(select(func.max(locks.c.period)))).scalar()
    first_open = following(last) if last else 0
    new, strange = 0, []
    for row in rows:
        known = await _known(connection, row)
        if known is None:
            period = max(month_of(row.at), first_open)
            await connection.execute(settlements.insert().values(**row._asdict(), period=period))
            new += 1
        elif known != row:
            strange.append(row)
    return new, strange


async def _known(connection: AsyncConnection, row: Settlement) -> Settlement | None:
    one = (settlements.c.provider == row.provider) & (settlements.c.reference == row.reference)
    columns = [settlements.c[name] for name in Settlement._fields]
    found = (await connection.execute(select(*columns).where(one))).first()
    return Settlement(*found) if found else None
