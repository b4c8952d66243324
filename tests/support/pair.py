"""A partition of senders and one of hosts, and the two calls of a gift between them, step by step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gifting.ledger.cluster.debit_call import Riding
from gifting.ledger.keys import park_key
from gifting.model.packing import unpack_raw
from tests.support.two_calls import Halves, gift_item
from tests.support.world import World, a_world

PARTITIONS, COINS = 4, 1_000


class Pair:
    """``ann``'s partition, and that of the room."""

    def __init__(self, world: World) -> None:
        self.world, self.redis = world, world.redis
        self.halves = Halves(lambda _: world.redis, world.ledger.keys.bases, world.clock)
        self.source, self.room = world.base("ann"), world.room
        self.to = world.ledger.keys.bases.index(world.room.base)
        self.marks = f"{world.room.base}:marks"
        self.line = f"{self.source}:line"
        self.park = park_key(world.room.base, self.halves.numbers[self.source])

    async def debit(self, count: int = 1, riding: Riding | None = None, **more: Any) -> Any:
        self.world.clock[0] += 1
        each = more.pop("item_count", 1)
        items = [gift_item(self.world, "ann", self.room, count=each, **more) for _ in range(count)]
        return await self.halves.debit(self.source, *items, riding=riding)

    async def blob(self, count: int = 1) -> bytes:
        ((_, packed),) = (await self.debit(count)).blobs
        return bytes(packed)

    async def credit(self, *blobs: bytes) -> Any:
        return await self.halves.credit(self.to, *blobs)

    async def how(self, *blobs: bytes) -> list[int]:
        return [told.how for told in (await self.credit(*blobs)).told]

    async def go_back(self, line: bytes) -> None:
        """The source, to an older state of its line, in another history."""
        await self.redis.restore(self.line, 0, line, replace=True)
        await self.redis.hset(self.line, "lineage", "another")

    async def parked(self) -> list[int]:
        """The numbers that the room's partition waits with."""
        mark = await self.redis.hget(self.marks, str(self.halves.numbers[self.source]))
        return list(unpack_raw(b"\x93" + mark)[2])

    async def fenced(self) -> list[tuple[int, int]]:
        items = await self.redis.xrange(f"{self.room.base}:fenced")
        return [(int(fields[b"from"]), int(fields[b"to"])) for _, fields in items]


@asynccontextmanager
async def a_pair(redis_url: str) -> AsyncIterator[Pair]:
    """``ann`` has :data:`COINS`, and the room is in another partition than hers."""
    async with a_world(redis_url, partitions=PARTITIONS) as world:
        pair = Pair(world)
        assert pair.source != world.room.base
        await pair.halves.bear()
        await world.grant("ann", COINS)
        yield pair
