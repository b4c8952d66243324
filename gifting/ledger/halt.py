"""The halt: a script that failed on its way leaves books that may not add up, so nothing more is written into them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from redis.exceptions import RedisError

from gifting.errors import LedgerHalted
from gifting.health import Health
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.moved import require_here
from gifting.tasks import end

log = logging.getLogger(__name__)

FIELD: Final = "halted"
"""Field of ``meta`` that says when and why the books were closed."""

LOOK_PAUSE: Final = 1.0
"""Seconds between two looks at it, and so for which another node may go on at most."""

RETRY_PAUSE: Final = 0.2
"""Seconds until it is tried again to say it."""

TELL_WITHIN: Final = 1.0
"""Seconds a stop waits until it has been said."""


class Halt:
    """Whether the books are closed. The node whose script failed says so in ``meta``; all others look there.

    They stay closed until an operator has looked (``gifting audit``), has opened them (``gifting resume``) and has
    started the nodes again. ``stop`` is called once, when this node must not go on.
    """

    def __init__(self, redis: BinaryRedis, meta: str, health: Health, stop: Callable[[], None]) -> None:
        self._redis = redis
        self._meta = meta
        self._health = health
        self._stop = stop
        self._telling: asyncio.Task[None] | None = None
        self.why = ""
        """Why the books are closed; '' if they are open."""

    def check(self) -> None:
        """Raises LedgerHalted where nothing may be written."""
        if self.why:
            raise LedgerHalted

    def pull(self, why: str) -> None:
        """A script has failed here: close the books for all."""
        if not self.why:
            self._close(f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} UTC, {why}")
            self._telling = asyncio.create_task(self._tell(self.why), name="ledger: halt")

    async def look(self) -> None:
        """Close the books here if they have been closed. Raises RedisError, OSError."""
        found = await self._redis.hget(self._meta, FIELD)
        if found and not self.why:
            self._close(found.decode(errors="replace"))

    async def watch(self) -> None:
        """For ever: look."""
        while True:
            await asyncio.sleep(LOOK_PAUSE)
            with suppress(RedisError, OSError):  # who has to write is told of it
                await self.look()

    async def end(self) -> None:
        """Wait a moment until the others can know."""
        if self._telling is not None:
            await asyncio.wait([self._telling], timeout=TELL_WITHIN)
            await end([self._telling])

    def _close(self, why: str) -> None:
        self.why = why
        log.critical(
            "the ledger is halted (%s). Nothing more is committed, on any node. Where it is not being moved, a script "
            "failed half-way: run `gifting audit`; when the books hold, `gifting resume`, and start the nodes again.",
            why,
        )
        self._health.fail("ledger", f"It is halted: {why}")
        self._stop()

    async def _tell(self, why: str) -> None:
        while True:
            try:
                await self._redis.hsetnx(self._meta, FIELD, why)
            except (RedisError, OSError) as error:
                log.error("the other nodes could not be told of the halt: %r", error)
                await asyncio.sleep(RETRY_PAUSE)
            else:
                return


async def open_books(redis: BinaryRedis, meta: str) -> str:
    """End a halt: when and why it was, or '' if there was none.

    Raises:
        BooksMoved, BooksArriving: they are not here to be opened.
        RedisError, OSError
    """
    found = await redis.hgetall(meta)
    require_here(found)
    why = found.get(FIELD.encode())
    await redis.hdel(meta, FIELD)
    return why.decode(errors="replace") if why else ""
