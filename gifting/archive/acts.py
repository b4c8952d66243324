"""Operators' acts in the archive, a step of the archiver: each once, in order; Redis forgets later what is here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gifting.archive.schema import acts
from gifting.archive.store import Store
from gifting.ledger.acts import PAGE, read_acts, trim_acts
from gifting.ledger.clock import in_ms
from gifting.ledger.confirmed import ONE_REDIS, Confirmation
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys

KEEP: Final = 900_000
"""Ms for which Redis has an act at least, as the ledger: a database that is restored to before finds it there."""


class ActLog:
    """Of the books of ``keys``; :meth:`follow` is the step."""

    def __init__(self, redis: BinaryRedis, keys: Keys, store: Store, confirmation: Confirmation = ONE_REDIS) -> None:
        self._confirmation = confirmation
        self._redis = redis
        self._keys = keys
        self._store = store

    async def follow(self) -> int:
        """Archive what is new; returns how many acts. Raises SQLAlchemyError, RedisError, OSError."""
        written = 0
        last = await self._last()
        while page := await read_acts(self._redis, self._keys, last):
            await self._confirmation.hold()
            try:
                async with self._store.writing() as connection:
                    await self._store.insert(connection, acts, page)
            except IntegrityError:  # another archiver was quicker
                return written
            last = page[-1].id
            written += len(page)
            await trim_acts(self._redis, self._keys, last, in_ms(await self._redis.time()) - KEEP)
            if len(page) < PAGE:
                break
        return written

    async def _last(self) -> str:
        async with self._store.engine.connect() as connection:
            return (await connection.scalar(select(func.max(acts.c.id)))) or ""


async def archived_acts(
    connection: AsyncConnection, who: str, since: int, before: str, limit: int
) -> Sequence[Sequence[Any]]:
    """Those before the act of that id, from ``since`` (ms) on, newest first; '' for either: of all."""
    asked = select(acts).where(acts.c.at >= since).order_by(acts.c.id.desc()).limit(limit)
    if who:
        asked = asked.where(acts.c.who == who)
    if before:
        asked = asked.where(acts.c.id < before)
    return (await connection.execute(asked)).all()
