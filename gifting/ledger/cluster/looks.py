"""How partitions stand, as sources and as destinations; those that don't answer are as they were last seen."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final, NamedTuple

from gifting.ledger.clock import in_ms
from gifting.ledger.cluster.apiece import Apiece
from gifting.ledger.cluster.owed import Marks, Reached, read_given, read_mark
from gifting.ledger.cluster.reach import START, Stand
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.ledger.redis_errors import NotSent

PATIENCE: Final = 0.4
"""Seconds that a partition has for its answer, which else counts for the next look: far more than it takes."""


class Look(NamedTuple):
    """At a partition at one moment, ``now`` by its clock (ms).

    As a source: its outbox's first item, or b"", and how many there are; how it stands. As a destination: its marks,
    and its notes of lost debits.
    """

    now: int
    first: bytes
    items: int
    stand: Stand
    marks: Mapping[int, Reached]
    fenced: int


class Looks:
    """``last``: at each partition that ever answered, by its number."""

    def __init__(self, redis: BinaryRedis, keys: Keys) -> None:
        self._redis = redis
        self._asking: Apiece[Look] = Apiece("the outbox", PATIENCE)
        self._work = {number: partial(self._look, base) for number, base in enumerate(keys.bases)}
        self.last: dict[int, Look] = {}

    @property
    def marks(self) -> Marks:
        """Of all partitions, as they were last seen: a destination has credited as much, unless it went back since."""
        return {number: self.last[number].marks if number in self.last else {} for number in self._work}

    async def take(self) -> frozenset[int]:
        """Look at all. Returns those that answered, one at least. Raises RedisError: none can be asked."""
        found = await self._asking.do(self._work)
        while not found:
            if not self._asking.busy:
                raise NotSent("no partition answers")
            await self._asking.until_one()
            found = await self._asking.do({})
        self.last |= found
        return frozenset(found)

    async def _look(self, base: str) -> Look:
        pipe = self._redis.pipeline(transaction=True)
        pipe.time().hgetall(f"{base}:line").xlen(f"{base}:outbox")
        pipe.xrange(f"{base}:outbox", count=1).xrevrange(f"{base}:outbox", count=1)
        pipe.hgetall(f"{base}:marks").xlen(f"{base}:fenced")
        time, line, items, first, last, marks, fenced = await pipe.execute()
        stand = Stand(int(line.get(b"epoch") or 0), last[0][0] if last else START, read_given(line))
        return Look(in_ms(time), first[0][0] if first else b"", items, stand, read_mark(marks), fenced)

    async def close(self) -> None:
        await self._asking.close()
