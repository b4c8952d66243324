"""The ledger's items as the archive has them, for who reads the ledger from its beginning: the audit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from gifting.archive.schema import books, items
from gifting.archive.store import Store, open_store
from gifting.errors import ArchiveUnavailable, BadArchive
from gifting.ledger.keys import Keys
from gifting.ledger.stream import Item, item_order

PAGE: Final = 1000
"""Items read at a time, between which nothing is open: what is archived meanwhile is read too."""


class LedgerItems:
    """Of all partitions of ``keys``."""

    def __init__(self, store: Store, keys: Keys, periods: Sequence[int]) -> None:
        self.store = store
        self._numbers = {base: number for number, base in enumerate(keys.bases)}
        self._periods = periods

    async def of(self, base: str, last: int = 0) -> AsyncIterator[Item]:
        """A partition's items from the first one on, or those after the item ``last``.

        Raises:
            BadArchive: one is missing.
            ArchiveUnavailable
        """
        for period in self._periods:
            while page := await self._page(base, period, last):
                for seq, item_id, data in page:
                    if seq != last + 1:
                        raise BadArchive(f"It lacks item {last + 1} of {base}:ledger.")
                    last = seq
                    yield Item(base, item_id, data)

    async def back(self, base: str, before: str) -> AsyncIterator[Item]:
        """A partition's items before the one of that id, the newest first, to the first one of all.

        Raises:
            BadArchive: one is missing.
            ArchiveUnavailable
        """
        following = 0
        for period in reversed(self._periods):
            where = (items.c.period == period, items.c.partition == self._numbers[base])
            asked = select(items.c.seq, items.c.item_id, items.c.data).where(*where).order_by(items.c.seq.desc())
            last = 2**62
            while page := await _rows(self.store, asked.where(items.c.seq < last).limit(PAGE)):
                for last, item_id, data in page:
                    if following and last != following - 1:
                        raise BadArchive(f"It lacks item {following - 1} of {base}:ledger.")
                    following = last
                    if item_order(item_id) < item_order(before):
                        yield Item(base, item_id, data)
        if following > 1:
            raise BadArchive(f"It lacks item {following - 1} of {base}:ledger.")

    async def _page(self, base: str, period: int, last: int) -> Sequence[Any]:
        where = (items.c.period == period, items.c.partition == self._numbers[base], items.c.seq > last)
        asked = select(items.c.seq, items.c.item_id, items.c.data).where(*where).order_by(items.c.seq).limit(PAGE)
        return await _rows(self.store, asked)


@asynccontextmanager
async def ledger_items(url: str, keys: Keys, archive: str) -> AsyncIterator[LedgerItems]:
    """Those of the archive at ``url``, which must be that of the books whose ``meta`` names ``archive``.

    Raises:
        BadArchive: it is another.
        ArchiveUnavailable: it can't be read.
    """
    store = open_store(url)
    try:
        own = [str(row.id) for row in await _rows(store, select(books.c.id))]
        if own != [archive]:
            raise BadArchive(f"It has the books {own[0] if own else 'of nobody'}, and those in Redis are {archive}.")
        found = await _rows(store, select(items.c.period).distinct().order_by(items.c.period))
        yield LedgerItems(store, keys, [row.period for row in found])
    finally:
        await store.close()


async def _rows(store: Store, asked: Any) -> Sequence[Any]:
    try:
        async with store.engine.connect() as connection:
            return (await connection.execute(asked)).all()
    except SQLAlchemyError as error:
        raise ArchiveUnavailable(f"The archive can't be read: {str(error).partition(chr(10))[0]}") from None
