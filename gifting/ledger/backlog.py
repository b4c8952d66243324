"""How far the archive is behind, as Redis knows it: the age of the oldest item that is not archived."""

from __future__ import annotations

from typing import Final

from gifting.health import Health
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.ledger.meta import ARCHIVE
from gifting.ledger.stream import item_order

PART: Final = "archive"
"""As ``/readyz`` names it."""


class Backlog:
    """Of books that an archive follows; 0 for others. Above ``most`` seconds this node is degraded: gifts go on, and
    Redis must keep all that is not archived.
    """

    def __init__(self, redis: BinaryRedis, keys: Keys, health: Health, most: float) -> None:
        self._redis = redis
        self._keys = keys
        self._health = health
        self._most = most
        self.seconds = 0.0

    async def read(self, now: int) -> None:
        """At ``now``, ms by Redis' clock. Raises RedisError, OSError."""
        followed = await self._redis.hexists(self._keys.meta, ARCHIVE)
        oldest = await self._oldest() if followed else None
        self.seconds = 0.0 if oldest is None else max(now - oldest, 0) / 1000
        if self.seconds > self._most:
            minutes = f"{self.seconds / 60:.0f} minutes"
            self._health.degrade(PART, f"It is {minutes} behind: is `gifting archive` running? Gifts go on.")
        else:
            self._health.recover(PART)

    async def _oldest(self) -> int | None:
        """The time of the oldest item that is not archived, in ms."""
        pipe = self._redis.pipeline(transaction=False)
        for base in self._keys.bases:
            pipe.get(f"{base}:archived")
        archived = await pipe.execute()
        for base, item_id in zip(self._keys.bases, archived, strict=True):
            pipe.xrange(f"{base}:ledger", min=f"({item_id.decode()}" if item_id else "-", count=1)
        return min((item_order(found[0][0].decode())[0] for found in await pipe.execute() if found), default=None)
