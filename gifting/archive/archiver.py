"""The archiver: follows the ledger's streams into the database, for ever. Nothing waits for it.

It may be killed between any two lines, and there may be several: the cursors are written with the rows, from where
they were read. So each item is archived once, in order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gifting.archive.origin import begin
from gifting.archive.rows import Cursor, turn
from gifting.archive.store import Store
from gifting.archive.writing import Overtaken, Writer
from gifting.errors import BadArchive
from gifting.ledger import connect, scripts
from gifting.ledger.confirmed import ONE_REDIS, Confirmation
from gifting.ledger.keys import Keys
from gifting.ledger.meta import REFUSED
from gifting.ledger.tail import Tail

log = logging.getLogger(__name__)

PAUSE: Final = 0.25
"""Seconds until it looks again, after it has read all there was."""

RETRY_MIN, RETRY_MAX = 0.25, 15.0
"""Seconds until it tries again what failed: first, and at most. It doubles."""

FAILURES: Final = (SQLAlchemyError, *connect.FAILURES)
"""What passes, and is tried again: the database or Redis can't be asked, or a disk is full."""

Step = Callable[[], Awaitable[object]]
"""What is done after the ledger in each round. It is cheap where there is nothing to do, and may raise FAILURES."""


class Archiver:
    """Follows the books of ``keys`` into ``store``; after each page come ``steps``, in order. What is read is written
    once ``confirmation`` holds it.
    """

    def __init__(
        self,
        redis: connect.BinaryRedis,
        keys: Keys,
        prefix: str,
        store: Store,
        steps: Sequence[Step] = (),
        confirmation: Confirmation = ONE_REDIS,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._prefix = prefix
        self._store = store
        self._steps = steps
        self._confirmation = confirmation
        self._tail = Tail(redis, keys.bases, apart=keys.apart)
        self._writer = Writer(store)
        self._upgraded = False
        self._run = ""
        self._at: dict[str, Cursor] = {}
        self._marked: dict[str, str] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``, and then what came until then, if that can be had.

        Raises:
            BadArchive: the database is not the archive of these books, or does not fit what Redis has.
        """
        failed = 0
        while True:
            stopping = stop.is_set()
            try:
                more = await self.round()
            except BadArchive as error:
                await self._tell_refused(error)
                raise
            except FAILURES as error:
                self.forget()
                _tell(error, failed, stopping)
                failed, more = failed + 1, False
            else:
                if failed:
                    log.warning("the archive goes on again, after %d tries", failed)
                failed = 0
            if stopping and not more:
                return
            if not more:
                await _rest(stop, min(RETRY_MIN * 2 ** (failed - 1), RETRY_MAX) if failed else PAUSE)

    async def round(self) -> bool:
        """Archive the next page of each partition, and do all steps. Returns whether there may be more.

        Raises FAILURES, and BadArchive.
        """
        if not self._at:
            await self._begin()
        read = await self._tail.read({base: cursor.item_id for base, cursor in self._at.items()})
        if read.run != self._run:  # Redis was started again: is it still what it was?
            self.forget()
            return True
        if read.items:
            await self._confirmation.hold()
        pages = [turn(self._at[base], found, len(self._at)) for base, found in read.items.items()]
        try:
            await self._writer.write(pages, read.now)
        except Overtaken:
            self.forget()
            return True
        self._at |= {self._keys.bases[page.after.partition]: page.after for page in pages}
        await self._mark()
        for step in self._steps:
            await step()
        return read.full

    def forget(self) -> None:
        """What is known of the database and of Redis: it is read again, and compared."""
        self._at = {}
        self._marked = {}

    async def _begin(self) -> None:
        if not self._upgraded:
            await self._store.upgrade()
            self._upgraded = True
        await self._confirmation.begin()
        read = await self._tail.read({})
        at = await begin(self._store, self._redis, self._keys, self._prefix, read.now)
        await self._redis.hdel(self._keys.meta, REFUSED)
        self._run = read.run
        self._at = dict(zip(self._keys.bases, at, strict=True))

    async def _tell_refused(self, error: BadArchive) -> None:
        """Servers are degraded from then on, until an archiver follows these books again."""
        with suppress(*connect.FAILURES):
            await self._redis.hset(self._keys.meta, REFUSED, error.detail)

    async def _mark(self) -> None:
        """Tell Redis what is archived durably: of all partitions at once, which is one sync of its files."""
        pipe = self._redis.pipeline(transaction=False)
        for base, cursor in self._at.items():
            if cursor.seq and self._marked.get(base) != cursor.item_id:
                names = [f"{base}:archived", f"{base}:archived/items"]
                pipe.eval(scripts.source("archived"), len(names), *names, cursor.item_id, cursor.seq)
        await pipe.execute()
        self._marked = {base: cursor.item_id for base, cursor in self._at.items()}


def _tell(error: Exception, failed: int, stopping: bool) -> None:
    """Without what SQLAlchemy adds: statements, and whom they are about."""
    why = error.orig if isinstance(error, DBAPIError) else error
    if stopping:
        log.error("not all is archived (%s): it is when the archiver runs again", why)
    elif not failed:
        log.error("the archive stands still (%s): gifts go on, and it is tried again", why)


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
