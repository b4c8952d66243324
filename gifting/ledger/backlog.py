"""How far the archive is behind, as Redis knows it: the age of the oldest item that is not archived, and how many."""

from __future__ import annotations

from typing import Final

from gifting.health import Health
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.ledger.meta import ARCHIVE, LOST, REFUSED
from gifting.ledger.stream import item_order
from gifting.ledger.tail import Tail

PART: Final = "archive"
"""As ``/readyz`` names it."""


class Backlog:
    """Of books that an archive follows; 0 for others. Above ``most`` seconds, or at once where an archiver refuses
    them, this node is degraded: gifts go on, and Redis must keep all that is not archived. ``items`` are those of the
    ledger that wait, each with what one call has entered in a partition; ``lost``: events of rooms that it will never
    have.
    """

    def __init__(self, redis: BinaryRedis, keys: Keys, health: Health, most: float) -> None:
        self._redis = redis
        self._keys = keys
        self._tail = Tail(redis, keys.bases)
        self._health = health
        self._most = most
        self.seconds = 0.0
        self.items = 0
        self.lost = 0

    async def read(self, now: int) -> None:
        """At ``now``, ms by Redis' clock. Raises RedisError, OSError."""
        followed, refused, lost = await self._redis.hmget(self._keys.meta, ARCHIVE, REFUSED, LOST)
        oldest = await self._oldest() if followed else None
        self.items = await self._waiting() if followed else 0
        self.lost = int(lost or 0)
        self.seconds = 0.0 if oldest is None else max(now - oldest, 0) / 1000
        if refused:
            self._health.degrade(PART, f"The archiver does not follow these books: {refused.decode()} Gifts go on.")
        elif self.seconds > self._most:
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

    async def _waiting(self) -> int:
        """Items that were added since those that are archived."""
        pipe = self._redis.pipeline(transaction=False)
        for base in self._keys.bases:
            pipe.get(f"{base}:archived/items")
        counts = await pipe.execute()
        extents = await self._tail.extents()
        return sum(
            max(extents[base].added - int(count or 0), 0) for base, count in zip(self._keys.bases, counts, strict=True)
        )
