"""Periods that are locked: the hash of their trial balance is kept, and what the archive tells later must have it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from gifting.archive.finance import Finance, replay
from gifting.archive.schema import cursors, locks
from gifting.archive.statements import totals_hash
from gifting.archive.store import Store, open_store
from gifting.errors import ArchiveUnavailable, BadArchive, BadSetting
from gifting.model.periods import show_period

T = TypeVar("T")


async def month_of_books(url: str, month: int, locker: str = "", breakage_after: int = 0) -> Finance:
    """The books of a month, from the archive at ``url``; locked by ``locker``, if anybody.

    Raises:
        ArchiveUnavailable: it can't be read; and as :func:`lock` and :func:`check`.
    """

    async def read(store: Store) -> Finance:
        finance = await replay(store, month, breakage_after)
        if locker:
            await lock(store, finance, month, locker, int(time.time() * 1000))
        await check(store, finance, month)
        return finance

    return await at_store(url, read)


async def at_store(url: str, work: Callable[[Store], Awaitable[T]]) -> T:
    """What ``work`` finds in the archive at ``url``. Raises ArchiveUnavailable: it can't be read."""
    store = open_store(url)
    try:
        return await work(store)
    except SQLAlchemyError as error:
        raise ArchiveUnavailable(f"The archive can't be read: {type(error).__name__}.") from None
    finally:
        await store.close()


async def locked(store: Store, month: int) -> bytes | None:
    """The hash that is kept of a month, or None."""
    async with store.engine.connect() as connection:
        found = await connection.execute(select(locks.c.totals_hash).where(locks.c.period == month))
        kept = found.scalar_one_or_none()
        return None if kept is None else bytes(kept)


async def lock(store: Store, finance: Finance, month: int, who: str, now: int) -> None:
    """Keep what the month's books are; again changes nothing.

    Raises:
        BadSetting: something may still be entered in it.
        BadArchive: it was locked with other books.
    """
    if await locked(store, month) is not None:
        await check(store, finance, month)
        return
    async with store.writing() as connection:
        await store.lock(connection)
        still = select(cursors.c.partition).where((cursors.c.seq > 0) & (cursors.c.period <= month))
        if (await connection.execute(still.limit(1))).first() is not None:
            raise BadSetting(f"{show_period(month)} is not closed in all partitions yet.")
        values = {"period": month, "at": now, "who": who, "totals_hash": totals_hash(finance)}
        await connection.execute(locks.insert().values(values))


async def check(store: Store, finance: Finance, month: int) -> None:
    """Raises BadArchive where a month is locked and its books are not what they were."""
    kept = await locked(store, month)
    if kept is not None and kept != totals_hash(finance):
        raise BadArchive(f"The books of {show_period(month)} are not those that were locked.")
