"""Settlements as providers tell them, page by page, from where the last one ended.

A page and the place after it are one transaction. So who dies between two pages goes on where it was, and of two that
ask at once one finds that the other was there first.
"""

from __future__ import annotations

import logging
from typing import Final, NamedTuple, Protocol

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gifting.archive.schema import books, collected
from gifting.archive.settling import enter
from gifting.archive.store import Store
from gifting.model.periods import month_of, preceding, starts
from gifting.model.settlements import SettledPage

log = logging.getLogger(__name__)

OVERLAP: Final = 3_600_000
"""ms before the end of what is taken in from which it is asked again: clocks differ, and some is listed late."""


class Teller(Protocol):
    """Who tells what was settled, as a provider of payments does."""

    @property
    def name(self) -> str: ...

    async def settlements(self, since_ms: int, until_ms: int, page: str) -> SettledPage: ...


class Place(NamedTuple):
    """A row of ``collected``, but for the provider's name."""

    since: int
    until: int = 0
    page: str = ""


async def collect(store: Store, teller: Teller, now: int) -> int:
    """Take in what was settled until ``now`` (ms), and what is left of a span that broke off; how many were new.

    Raises ProviderFailed and SQLAlchemyError: what was taken in stays, and the next call goes on from there.
    """
    new = 0
    while True:
        at = await read_place(store, teller.name)
        was = at if at and at.since <= now else Place(await _beginning(store, now, at))
        until = was.until or now
        told = await teller.settlements(was.since, until, was.page)
        after = Place(was.since, until, told.next) if told.next else Place(max(until - OVERLAP, was.since))
        entered = await _take_in(store, teller.name, told, at, after)
        new += entered or 0
        if entered is not None and not told.next and until == now:
            return new


async def read_place(store: Store, provider: str) -> Place | None:
    """How far a provider's settlements are taken in; None: nothing was asked of it yet."""
    asked = select(collected.c.since, collected.c.until, collected.c.page).where(collected.c.provider == provider)
    async with store.engine.connect() as connection:
        found = (await connection.execute(asked)).first()
    return Place(*found) if found else None


async def _beginning(store: Store, now: int, at: Place | None) -> int:
    """The beginning of the month before the books were begun; where a clock was ahead, of the month before now."""
    async with store.engine.connect() as connection:
        made = None if at else (await connection.execute(select(books.c.made))).scalar()
    return starts(preceding(month_of(min(made or now, now))))


async def _take_in(store: Store, provider: str, told: SettledPage, was: Place | None, after: Place) -> int | None:
    """How many were new; None: somebody else came first, and nothing is taken in."""
    try:
        async with store.writing() as connection:
            if not await _move(connection, provider, was, after):
                return None
            new, strange = await enter(store, connection, told.rows)
    except IntegrityError:
        return None
    for row in strange:
        log.error("%s tells %s of order %r otherwise than before", provider, row.reference, row.order_id)
    return new


async def _move(connection: AsyncConnection, provider: str, was: Place | None, after: Place) -> bool:
    if was is None:
        await connection.execute(collected.insert().values(provider=provider, **after._asdict()))
        return True
    here = [collected.c[name] == value for name, value in was._asdict().items()]
    moved = update(collected).where(collected.c.provider == provider, *here).values(**after._asdict())
    return (await connection.execute(moved)).rowcount == 1
