"""The archive as a server process reads it: opened when somebody first asks for history, and by nothing else.

So a server that nobody asks has none of SQLAlchemy in its memory. Answers are bounded: in connections, and in time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Final

from gifting.errors import ArchiveUnavailable, NoArchive

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

log = logging.getLogger(__name__)

PATIENCE: Final = 5.0
"""Seconds that one answer may take the database, and as many that it may wait for its turn."""


class Archive:
    """The database at ``url`` (as ``Settings.archive_url`` gives it; '': there is none), for reading only."""

    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        self._url = url
        self._patience = patience
        self._engine: AsyncEngine | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection. What its block asks for is answered in time, or not at all.

        Raises:
            NoArchive: this server has none.
            ArchiveUnavailable: it can't be asked, is not there yet, or took too long.
        """
        engine = await self._opened()
        from gifting.archive.reader import FAILURES, interrupter  # noqa: PLC0415

        try:
            async with asyncio.timeout(2 * self._patience), engine.connect() as connection:
                stop = await interrupter(connection)
                timer = asyncio.get_running_loop().call_later(self._patience, stop)
                try:
                    yield connection
                finally:
                    timer.cancel()
        except FAILURES as error:
            log.warning("the archive can't be read: %s", str(error).partition("\n")[0])
            raise ArchiveUnavailable from None

    async def _opened(self) -> AsyncEngine:
        if not self._url:
            raise NoArchive
        async with self._opening:
            if self._engine is None:
                # Beside the loop: to import it takes a third of a second.
                await asyncio.to_thread(import_module, "gifting.archive.reader")
                from gifting.archive.reader import open_reader  # noqa: PLC0415

                self._engine = open_reader(self._url, self._patience)
        return self._engine

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.dispose()
