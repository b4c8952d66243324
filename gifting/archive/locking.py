"""Months that are locked: their reports are kept as they were, and told so ever after.

They are computed anew each time all the same: where they come out otherwise, the archive is not what it was. Nobody
unlocks a month. What is wrong in it is put right in a later one.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final, NamedTuple, TypeVar

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from gifting.archive.finance import replay
from gifting.archive.schema import cursors, locked_reports, locks
from gifting.archive.statements import REPORTS, Report
from gifting.archive.store import Store, open_store
from gifting.archive.tying import TIES
from gifting.errors import ArchiveUnavailable, BadSetting
from gifting.model.periods import show_period

T = TypeVar("T")

DIFFERENCES_MAX: Final = 20
"""Rows that differ and are told."""


class Lock(NamedTuple):
    """A row of ``locks``, but for its period."""

    at: int
    who: str
    breakage_after: int
    reports_hash: bytes


class Told(NamedTuple):
    """A report of a month; as it was locked, if there is a ``lock``. ``wrong`` says what differs or is missing."""

    report: Report
    lock: Lock | None
    wrong: list[str]


async def at_store(url: str, work: Callable[[Store], Awaitable[T]]) -> T:
    """What ``work`` finds in the archive at ``url``. Raises ArchiveUnavailable: it can't be read."""
    store = open_store(url)
    try:
        return await work(store)
    except SQLAlchemyError as error:
        raise ArchiveUnavailable(f"The archive can't be read: {type(error).__name__}.") from None
    finally:
        await store.close()


async def tell(store: Store, month: int, name: str, breakage_after: int = 0) -> Told:
    """A report of a month. Of one that is locked, with the breakage that it was locked with."""
    lock = await read_lock(store, month)
    computed, wrong = await _compute(store, month, lock.breakage_after if lock else breakage_after, name)
    if lock is None:
        return Told(computed[name], None, wrong)
    kept = await read_reports(store, month)
    if reports_hash(kept) != lock.reports_hash:
        wrong.append("what is kept of the reports is not what was locked")
    for other, report in computed.items():
        wrong.extend(_differences(other, kept.get(other), report))
    return Told(kept.get(name, computed[name]), lock, wrong)


async def lock(store: Store, month: int, who: str, now: int, breakage_after: int = 0) -> bool:
    """Keep the month's reports, at a time in ms; whether it was open until now.

    Raises:
        BadSetting: something may still be entered in it, or not all of it can be read.
    """
    if await read_lock(store, month):
        return False
    await _check_closed(store, month)
    computed, wrong = await _compute(store, month, breakage_after)
    if wrong:
        raise BadSetting(f"{show_period(month)} can't be locked: {wrong[0]}.")
    async with store.writing() as connection:
        await store.lock(connection)
        if (await connection.execute(select(locks.c.at).where(locks.c.period == month))).first():
            return False
        ties = {name: await tie(store, month) for name, tie in TIES.items()}  # nobody takes settlements in now
        await _keep(store, connection, month, Lock(now, who, breakage_after, b""), computed | ties)
    return True


async def read_lock(store: Store, month: int) -> Lock | None:
    """None: it is not locked."""
    columns = [locks.c[name] for name in Lock._fields]
    async with store.engine.connect() as connection:
        found = (await connection.execute(select(*columns).where(locks.c.period == month))).first()
    return Lock(found.at, found.who, found.breakage_after, bytes(found.reports_hash)) if found else None


async def read_reports(store: Store, month: int) -> dict[str, Report]:
    """Those that are kept of a month, by name."""
    columns = (locked_reports.c.name, locked_reports.c.cells)
    asked = select(*columns).where(locked_reports.c.period == month).order_by(columns[0], locked_reports.c.place)
    kept: dict[str, Report] = {}
    async with store.engine.connect() as connection:
        for name, cells in await connection.execute(asked):
            row = tuple(json.loads(cells))
            if name in kept:
                kept[name].rows.append(row)
            else:
                kept[name] = Report(row, [])
    return kept


def reports_hash(reports: Mapping[str, Report]) -> bytes:
    """SHA-256 of reports: what a lock keeps of them."""
    return hashlib.sha256(json.dumps({name: reports[name] for name in sorted(reports)}).encode()).digest()


async def _compute(store: Store, month: int, breakage_after: int, tie: str = "") -> tuple[dict[str, Report], list[str]]:
    """All reports of the books, and that tie-out; and what of the books can't be read."""
    if tie in TIES:
        return {tie: await TIES[tie](store, month)}, []
    finance = await replay(store, month, breakage_after)
    wrong = [f"{finance.unreadable} items of the ledger can't be read"] if finance.unreadable else []
    return {name: report(finance) for name, report in REPORTS.items()}, wrong


async def _check_closed(store: Store, month: int) -> None:
    async with store.engine.connect() as connection:
        opened = (await connection.execute(select(func.min(cursors.c.period)))).scalar()
        if opened is None or opened <= month:
            raise BadSetting(f"{show_period(month)} is not closed in all partitions yet.")


async def _keep(
    store: Store, connection: AsyncConnection, month: int, made: Lock, reports: Mapping[str, Report]
) -> None:
    values = made._replace(reports_hash=reports_hash(reports))._asdict()
    await connection.execute(locks.insert().values(period=month, **values))
    rows = [
        (month, name, place, json.dumps(row))
        for name, report in reports.items()
        for place, row in enumerate([report.columns, *report.rows])
    ]
    await store.insert(connection, locked_reports, rows)


def _differences(name: str, kept: Report | None, now: Report) -> Iterator[str]:
    if kept is None:
        yield f"{name}: it was not locked"
        return
    was, became = (Counter([report.columns, *report.rows]) for report in (kept, now))
    found = [f"{name}: locked {_line(row)}" for row in was - became]
    found += [f"{name}: now {_line(row)}" for row in became - was]
    yield from found[:DIFFERENCES_MAX]
    if len(found) > DIFFERENCES_MAX:
        yield f"{name}: and {len(found) - DIFFERENCES_MAX} more"


def _line(row: tuple[str | int, ...]) -> str:
    return " ".join(map(str, row))
