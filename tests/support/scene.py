"""Gifts whose halves are in two partitions, with the scripts that take them, step by step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gifting.ledger.audit import AuditReport, audit
from gifting.ledger.cluster.debit_call import Riding
from gifting.ledger.keys import Keys
from gifting.model.values import RoomRef
from tests.support.two_calls import Halves, gift_item
from tests.support.world import World, a_world

COINS = 1000
PARTITIONS = 4
RATE = "500"


class Scene:
    """``ann`` sends to rooms of two hosts in two other partitions; gifts cost 1 coin."""

    def __init__(self, world: World) -> None:
        self.world, self.redis = world, world.redis
        bases = world.ledger.keys.bases
        self.keys = Keys("gifting", PARTITIONS, [f"p{number:02d}" for number in range(PARTITIONS)])
        assert self.keys.bases == bases
        self.halves = Halves(lambda _: world.redis, bases, world.clock)
        self.user = "ann"
        self.source = world.base(self.user)
        others = [base for base in bases if base != self.source]
        self.hosts = [next(f"h{n}" for n in range(99) if world.base(f"h{n}") == base) for base in others[:2]]
        self.rooms: list[RoomRef] = []
        self.owed: dict[int, list[bytes]] = {}
        self.items: list[bytes] = []

    async def prepare(self) -> None:
        await self.halves.bear()
        await self.world.grant(self.user, COINS)
        for host in self.hosts:
            self.rooms.append(await self.world.ledger.rooms.open(f"of-{host}", host, host, ""))

    def number(self, room: int) -> int:
        return self.halves.numbers[self.rooms[room].base]

    def base(self, room: int) -> str:
        return self.rooms[room].base

    async def debit(
        self, *rooms: int, count: int = 1, key: str = "", riding: Riding | None = None, **more: Any
    ) -> list[bytes]:
        """One call, a gift for each; returns the blobs, as they are for each of the rooms' partitions."""
        more |= {"key": key} if key else {}
        items = [gift_item(self.world, self.user, self.rooms[room], count=count, **more) for room in rooms]
        said = await self.halves.debit(self.source, *items, riding=riding)
        self.items.append(said.item)
        return [blob for _, blob in said.blobs]

    async def credit(self, room: int, *blobs: bytes) -> None:
        await self.halves.credit(self.number(room), *blobs)

    async def give(self, room: int) -> None:
        await self.credit(room, *await self.debit(room))

    async def trim(self, *items: bytes) -> None:
        epoch = int(await self.redis.hget(f"{self.source}:line", "epoch"))
        await self.debit(riding=Riding({}, epoch, list(filter(None, items))))

    async def audit(self) -> AuditReport:
        return await audit(self.redis, self.keys)

    async def problems(self) -> set[str]:
        return {problem.name for problem in (await self.audit()).problems}

    async def save(self, base: str = "") -> dict[bytes, bytes]:
        """A partition, by default the source, as a replica has it that hears no more."""
        return {name: await self.redis.dump(name) for name in await self._names(base or self.source)}

    async def roll_back(self, saved: dict[bytes, bytes], base: str = "") -> None:
        """The replica is promoted."""
        base = base or self.source
        await self.redis.delete(*await self._names(base))
        for name, value in saved.items():
            await self.redis.restore(name, 0, value)
        await self.redis.hset(f"{base}:line", "lineage", "another")

    async def _names(self, base: str) -> list[bytes]:
        found: list[bytes] = await self.redis.keys(f"{base.replace('{', '[{]')}:*")
        return found


@asynccontextmanager
async def a_scene(redis_url: str) -> AsyncIterator[Scene]:
    """Number 1 to 3 of each pair are credited, of which the first is trimmed; 4 is under way."""
    async with a_world(redis_url, partitions=PARTITIONS, diamonds_per_coin=RATE) as world:
        scene = Scene(world)
        await scene.prepare()
        for _ in range(3):
            for room, blob in zip((0, 1), await scene.debit(0, 1), strict=True):
                await scene.credit(room, blob)
        await scene.trim(scene.items[0])
        scene.world.clock[0] += 1
        assert scene.keys.base(scene.user) == scene.source
        yield scene
