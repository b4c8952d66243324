"""Upkeep: what every node does every few seconds so that the books stay what they are."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from gifting.config import Settings
from gifting.health import Health
from gifting.ledger.backlog import Backlog
from gifting.ledger.clock import Clock, in_ms
from gifting.ledger.coins import Coins
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.days import Days
from gifting.ledger.floors import Floors
from gifting.ledger.keys import Keys
from gifting.ledger.lookup import Lookup
from gifting.ledger.meta import Meta
from gifting.ledger.waiting import Waiting

PERIOD: Final = 5.0
"""Seconds between two rounds."""


class Upkeep:
    """Watches Redis' clock and forgets old keys and days by it. ``now`` gives the time in ms, or '' for Redis' own."""

    def __init__(
        self,
        redis: BinaryRedis,
        keys: Keys,
        settings: Settings,
        health: Health,
        meta: Meta,
        lookup: Lookup,
        now: Callable[[], str] = str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._health = health
        self._meta = meta
        self._lookup = lookup
        self._now = now
        self._looked = False
        self.clock = Clock(monotonic)
        self.floors = Floors(redis, keys, settings)
        self.days = Days(redis, keys)
        self.coins = Coins(redis, keys)
        self.waiting = Waiting(redis, keys)
        self.backlog = Backlog(redis, keys, health, settings.archive_backlog)

    def span_ms(self) -> tuple[int, int]:
        """The earliest and the latest that it may be (:meth:`.Clock.span_ms`)."""
        given = self._now()
        return (int(given), int(given)) if given else self.clock.span_ms()

    async def round(self) -> None:
        """Once around. Raises RedisError, OSError."""
        now, step = await self._measure()
        if step < 0 or not self._looked:
            await self._lookup.note_peaks(now)
            self._looked = True
        await self.floors.raise_to(now, self.clock.held)
        await self.days.raise_to(now, self.clock.held)
        self._tell_outage(now)
        await self._compare_settings()
        await self.coins.read()
        await self.backlog.read(now)
        await self.waiting.read(now)

    async def _measure(self) -> tuple[int, float]:
        """The time, and by how much the clock has stepped, in ms."""
        asked = self.clock.monotonic()
        now = int(self._now() or in_ms(await self._redis.time()))
        return now, self.clock.measure(now, asked)

    async def _compare_settings(self) -> None:
        """With those of the data: somebody may have changed them under this node."""
        if difference := await self._meta.difference():
            self._health.fail("settings", f"{difference} This node goes on with its own until it is restarted.")
        else:
            self._health.mend("settings")

    def _tell_outage(self, now: int) -> None:
        """Of a clock that was ahead for longer than floors wait, and has gone back."""
        if outage := self.floors.outage(now):
            self._health.fail("clock", f"Redis' clock was ahead: gifts are refused as key_expired for {outage:.0f} s.")
        else:
            self._health.mend("clock")
