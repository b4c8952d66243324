"""Trims the ledger's streams of what is archived, a step of the archiver: it looks now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.ledger.lookup import longest
from gifting.ledger.meta import read_changes
from gifting.ledger.trimming import trim

log = logging.getLogger(__name__)

KEEP_MIN: Final = 900.0
"""Seconds that an item stays at least, for what reads the newest in Redis; the archive has it much sooner."""

LOOK_EVERY: Final = 5.0
"""Seconds between two looks."""


class Trimmer:
    """Of the books of ``keys``; :meth:`trim` is the step. ``keep_min`` in seconds."""

    def __init__(
        self,
        redis: BinaryRedis,
        keys: Keys,
        keep_min: float = KEEP_MIN,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._keep_min = keep_min
        self._monotonic = monotonic
        self._look_at = 0.0
        self._waiting = 0

    async def trim(self) -> int:
        """Take away what is archived, and older than any key may be that is asked for again; returns how many items.

        Raises RedisError, OSError.
        """
        if self._monotonic() < self._look_at:
            return 0
        self._look_at = self._monotonic() + LOOK_EVERY
        done = await trim(self._redis, self._keys, await self._keep())
        if done.waiting > self._waiting:
            log.warning("%d changes of orders have broken off: nothing beside them is trimmed", done.waiting)
        self._waiting = done.waiting
        return done.items

    async def _keep(self) -> float:
        """Seconds, by the settings that all nodes share, and were changed lately."""
        found = await self._redis.hgetall(self._keys.meta)
        changes = read_changes(found)
        ms = [longest(name, float(found.get(name.encode(), 0)), changes) for name in ("dedupe_window", "key_lead")]
        return max(sum(ms) / 1000, self._keep_min)
