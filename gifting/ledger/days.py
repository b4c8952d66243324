"""Days on which hosts have earned: which are kept, and by which the clock is believed where money is about to leave.

What was earned by day is kept for :data:`gifting.model.earnings.KEPT_DAYS`, the longest hold and reserve that a file of
creators may state and some more, so that one that is read later finds what it asks for. A floor in each partition tells
which day is the first; it rises once a day, by a clock that has held for an hour, and so tells by which day payouts may
go at most: a clock that is ahead for less makes nothing available.
"""

from __future__ import annotations

from typing import Final

from gifting.ledger import scripts
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.floors import HOLD_MAX
from gifting.ledger.keys import Keys
from gifting.model.earnings import KEPT_DAYS, day_of, matters_from
from gifting.model.packing import pack, unpack

FIELD: Final = "days"
"""Of a partition's floors: the first day that is kept."""

EARNED: Final = "earned"
"""Of the same: the first day of which all is known that was earned; what was before, an older version did not keep."""

PAGE: Final = 1000
"""Fields of a partition's diamonds that one call looks at."""

PAGES: Final = 10
"""Calls for a partition in one round of upkeep: a million days of it take some 8 min."""


def believed(today: int, floor: bytes | None) -> int:
    """The day by which a payout goes, of a clock that says it is ``today``."""
    return today if floor is None else min(today, int(floor) + KEPT_DAYS - 1)


class Days:
    """All partitions'. Any number of nodes may forget. Everything raises RedisError or OSError."""

    def __init__(self, redis: BinaryRedis, keys: Keys) -> None:
        self._redis = redis
        self._bases = keys.bases
        self._floor = -1
        self._left: dict[str, str] = {}

    async def raise_to(self, now: int, held: float) -> None:
        """Forget a piece of what is out of every hold at ``now``, a time that has held for ``held`` seconds."""
        if self._floor < 0:
            await self._begin()
        floor = matters_from(day_of(now), KEPT_DAYS)
        if floor > self._floor and held >= HOLD_MAX:
            self._floor, self._left = floor, dict.fromkeys(self._bases, "0")
        for base in list(self._left):
            await self._prune(base, day_of(now))

    async def _begin(self) -> None:
        """With the floor that stands: who raised it last may have died before all below it was gone."""
        pipe = self._redis.pipeline(transaction=False)
        for base in self._bases:
            pipe.hget(f"{base}:floors", FIELD)
        self._floor = min(int(floor or 0) for floor in await pipe.execute())
        self._left = dict.fromkeys(self._bases, "0")

    async def _prune(self, base: str, today: int) -> None:
        keys = [f"{base}:floors", f"{base}:diamonds"]
        for _ in range(PAGES):
            options = pack((self._floor, today, self._left[base], PAGE))
            _, cursor = unpack(await scripts.call(self._redis, "prune_days", keys, options))
            self._left[base] = cursor
            if cursor == "0":
                del self._left[base]
                return
