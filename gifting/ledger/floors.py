"""Floors: up to when keys have been forgotten, and are refused for ever.

A key's result lives in the bucket of the key's own time. Redis never expires a bucket: a script raises the partition's
floor and deletes the buckets below it in one call, so no clock, wherever it goes, makes a used key look new.

What is remembered is bounded by the floor: in the long run what came in within the window, the key lead, one bucket's
width and the time between two rounds of upkeep, about 165 bytes a key. After a start or a step of the clock it grows
for as long as the new time must hold before it is believed: 60 s, and where it would raise a floor by more than the
window (which no short stop and no small step does) the window's length, an hour at most. A step ahead that is taken
back sooner costs nothing; later, keys are refused until the time is past the floor again.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gifting.config import Settings
from gifting.ledger import scripts
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import BUCKET_MS, DAY_MS, Keys
from gifting.model.packing import pack

HOLD: Final = 60.0
"""Seconds a new time must have held before floors are raised by it."""

HOLD_MAX: Final = 3600.0
"""The same in seconds, at most, where the floor would rise by more than the window."""

PIECE: Final = 100
"""Buckets deleted in one call."""


class Kind(NamedTuple):
    """The name of one kind's floor and buckets; what a bucket spans and how long a key is good, in ms."""

    name: str
    width: int
    window: int

    def floor(self, now: int) -> int:
        """The floor that fits a time: a bucket's edge."""
        return max(now - self.window, 0) // self.width * self.width

    def hold(self, rise: int) -> float:
        """Seconds a time must have held to raise the floor by ``rise`` ms."""
        return HOLD if rise <= self.window else max(HOLD, min(self.window / 1000, HOLD_MAX))


def kinds(settings: Settings) -> tuple[Kind, Kind]:
    return (
        Kind("keys", BUCKET_MS, round(settings.dedupe_window * 1000)),
        Kind("grants", DAY_MS, round(settings.grant_window * 1000)),
    )


class Floors:
    """All partitions' floors. Any number of nodes may raise them; a floor that stands higher stays.

    Everything raises RedisError or OSError.
    """

    def __init__(self, redis: BinaryRedis, keys: Keys, settings: Settings) -> None:
        self._redis = redis
        self._bases = keys.bases
        self._kinds = kinds(settings)
        self._known: dict[str, int] = {}

    async def raise_to(self, now: int, held: float) -> None:
        """Forget what is out of every window at ``now``, a time that has held for ``held`` seconds."""
        if not self._known:
            await self._read()
        for kind in self._kinds:
            floor = kind.floor(now)
            rise = floor - self._known[kind.name]
            if rise > 0 and held >= kind.hold(rise):
                self._known[kind.name] = min([await self._raise(base, kind.name, floor) for base in self._bases])

    async def _read(self) -> None:
        """A floor is as high as that of the partition where it is lowest."""
        pipe = self._redis.pipeline(transaction=False)
        for base in self._bases:
            pipe.hmget(f"{base}:floors", [kind.name for kind in self._kinds])
        floors = zip(*await pipe.execute(), strict=True)
        for kind, found in zip(self._kinds, floors, strict=True):
            self._known[kind.name] = min(int(floor or 0) for floor in found)

    async def _raise(self, base: str, kind: str, floor: int) -> int:
        """One partition's floor; what it is then."""
        index = f"{base}:{kind}"
        while True:
            below = await self._redis.zrange(index, "-inf", floor, byscore=True, offset=0, num=PIECE)
            raised = await scripts.call(self._redis, "forget", [f"{base}:floors", index, *below], pack((kind, floor)))
            if len(below) < PIECE:
                return int(raised)

    def outage(self, now: int) -> float:
        """Seconds for which every new gift is refused: the clock was ahead for long, and then went back."""
        return max(self._known.get("keys", 0) - now, 0) / 1000
