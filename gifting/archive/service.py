"""The archiver, wired: what a process that follows the books needs, from its settings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from sqlalchemy.engine import make_url

from gifting.archive.acts import ActLog
from gifting.archive.archiver import Archiver, Step
from gifting.archive.erasing import Eraser
from gifting.archive.fences import FenceLog
from gifting.archive.room_logs import RoomLogs
from gifting.archive.seal_file import SealFile
from gifting.archive.sealing import Sealer
from gifting.archive.signer import find_signer
from gifting.archive.store import open_store
from gifting.archive.trimming import Trimmer
from gifting.config import Settings
from gifting.errors import BadSetting
from gifting.ledger.audit import find_books
from gifting.ledger.cluster.confirmed import confirmation
from gifting.ledger.connect import FAILURES, BinaryRedis, connect
from gifting.ledger.keys import Keys
from gifting.ledger.moved import look_here

log = logging.getLogger(__name__)

TIMEOUT: Final = 15.0
"""Seconds that a call of Redis may take."""

WAIT: Final = 0.2
"""Seconds between two looks whether there are books by now."""


async def follow(settings: Settings, url: str, stop: asyncio.Event, *, patient: bool = False) -> None:
    """Archive the books in the Redis at ``url`` until ``stop``.

    Args:
        patient: wait until there are books, as who is started with the server that makes them has to.

    Raises:
        BadSetting: there are no such books, no archive is named, or the key of seals can't be used.
        BadArchive: the database is not the archive of these books, or does not fit what Redis has.
        BooksMoved: they are followed where they are now.
        RedisError, OSError: Redis could not be asked for the books.
    """
    archive = settings.archive_url()
    if not archive:
        raise BadSetting("No archive is named: say --archive sqlite:///path or postgresql://user@host/database.")
    store = open_store(archive)
    async with _client(url, settings) as redis:
        keys = await _books(redis, settings, stop, patient)
        if keys is None:
            return
        here = partial(look_here, redis, keys.meta)
        await here()
        holding = confirmation(redis, keys, settings.replicas_waited, every=settings.every_replica)
        sealer = Sealer(redis, keys, store, find_signer(settings.seal_key_path), SealFile(settings.seals_path))
        log.info("the books are archived in %s", make_url(archive).render_as_string(hide_password=True))
        try:
            said = [RoomLogs(redis, keys, store, confirmation=holding).follow, Eraser(redis, keys, store).erase_due]
            acts, fences = ActLog(redis, keys, store, holding), FenceLog(redis, keys, store, holding)
            steps: list[Step] = [here, *said, acts.follow, fences.follow, sealer.seal_due, Trimmer(redis, keys).trim]
            await Archiver(redis, keys, settings.key_prefix, store, steps, holding).run(stop)
        finally:
            await store.close()


@asynccontextmanager
async def _client(url: str, settings: Settings) -> AsyncIterator[BinaryRedis]:
    client = connect(url, TIMEOUT, settings.replicas_waited)
    try:
        yield client
    finally:
        await client.aclose()


async def _books(redis: BinaryRedis, settings: Settings, stop: asyncio.Event, patient: bool) -> Keys | None:
    """None: there were none until ``stop``."""
    place = "The private Redis" if not settings.redis else "Redis"
    while True:
        try:
            return await find_books(redis, settings.key_prefix, place)
        except (BadSetting, *FAILURES):
            if not patient:
                raise
        if stop.is_set():
            return None
        await asyncio.sleep(WAIT)
