"""Books to audit and to tamper with: a ledger with its own clock, in which gifts are sent one after another."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgpack
from msgspec.structs import astuple

from gifting import config
from gifting.ledger.audit import audit
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.model.events import encode_event
from gifting.model.money import make_key
from gifting.model.packing import pack, unpack
from gifting.model.values import RoomRef, Sender
from gifting.wire.batch import read_batches

STREAKABLE, PLAIN = "spark", "skateboard"
USERS = ("ann", "bob", "cid", "dee")
START = 1_800_000_000_000


class World:
    """A ledger with its own clock, in which gifts are sent one after another."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.now = START
        # 1/7 leaves a remainder at nearly every gift.
        flags = {"diamonds_per_coin": "1/7", **settings}
        self.ledger = Ledger(url, config.load(flags, environ={}), load_catalog(), now=lambda: str(self.now))
        self.redis = self.ledger.redis
        self.rooms: dict[str, RoomRef] = {}

    def key(self) -> str:
        return make_key(self.now, os.urandom(10))

    def sender(self, user: str) -> Sender:
        return self.ledger.gifts.sender(user, {"id": user, "name": user, "picture": "", "level": 1})

    def base(self, name: str) -> str:
        return self.ledger.keys.base(name)

    def room(self, name: str) -> str:
        ref = self.rooms[name]
        return self.ledger.keys.room(ref.host, ref.id)

    async def open(self, room: str, host: str) -> None:
        self.rooms[room] = await self.ledger.rooms.open(room, host, host, "title")

    async def grant(self, user: str, coins: int) -> None:
        await self.ledger.wallets.grant(user, coins, self.key(), "bought", "operator")

    async def send(self, user: str, room: str, gift: str, count: int = 1) -> None:
        await self.ledger.gifts.send(self.sender(user), self.rooms[room], gift, self.key(), count)

    async def post(self, room: str) -> None:
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.ledger.free.post(self.rooms[room], encode_event("comment", {"text": "hello"}), waiting.set_result)
        await waiting

    async def like(self, room: str) -> None:
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.ledger.free.like(self.rooms[room], 3, waiting.set_result)
        await waiting

    async def problems(self) -> set[str]:
        report = await audit(self.redis, self.ledger.keys)
        return {problem.name for problem in report.problems}

    async def rewrite(self, stream: str, change: Callable[[int, bytes], bytes | None]) -> None:
        """Write a stream anew, each item changed as ``change`` (of its place and value) says; None leaves it out."""
        items = await self.redis.xrange(stream)
        await self.redis.delete(stream)
        for place, (item_id, fields) in enumerate(items):
            ((name, value),) = fields.items()
            if (changed := change(place, value)) is not None:
                await self.redis.xadd(stream, {name: changed}, id=item_id)

    async def change_entries(self, base: str, change: Callable[[list[Any]], Iterator[list[Any]]]) -> None:
        """Write a partition's ledger anew, each entry replaced by what ``change`` yields."""

        def item(_: int, value: bytes) -> bytes:
            unpacker = msgpack.Unpacker(raw=True)
            unpacker.feed(value)
            return b"".join(pack(new) for entry in unpacker for new in change(entry))

        await self.rewrite(f"{base}:ledger", item)

    async def change_event(self, room: str, wanted: Callable[[Any], bool], change: dict[str, Any]) -> None:
        """Change fields of the first logged event that is ``wanted``; the batch's index follows."""
        done = False

        def item(_: int, value: bytes) -> bytes:
            nonlocal done
            (batch,) = read_batches(value)
            index, events = list(batch.index), b""
            for place, entry in enumerate(batch.entries()):
                event = unpack(batch.events[entry.start : entry.end])
                if not done and wanted(event):
                    done = True
                    event |= change
                events += pack(event)
                index[4 * place] = len(pack(event))
            return pack((batch.room, batch.last, batch.count, index, *astuple(batch.totals), events, None))

        await self.rewrite(f"{self.room(room)}/log", item)
        assert done

    async def append_event(self, room: str, event: dict[str, Any], index: tuple[int, int, int]) -> None:
        """Log one more event; ``index`` is its streak, weight and whether it closes."""
        key = self.room(room)
        state = {name.decode(): value for name, value in (await self.redis.hgetall(key)).items()}
        seq = await self.redis.hincrby(key, "seq", 1)
        blob = pack({**event, "seq": seq, "id": f"{room}.{seq}", "ts": self.now})
        kept = [int(state[name]) for name in ("coins", "diamonds", "likes")]
        batch = pack((room, seq, 1, (len(blob), *index), *kept, blob, None))
        await self.redis.xadd(f"{key}/log", {"b": batch}, id=f"{seq}-1")


@asynccontextmanager
async def a_world(url: str, **settings: Any) -> AsyncIterator[World]:
    world = World(url, **settings)
    await world.ledger.start()
    try:
        yield world
    finally:
        await world.ledger.stop()


@asynccontextmanager
async def a_full_world(url: str) -> AsyncIterator[World]:
    """Three rooms: ``r1`` live with an open streak, ``r2`` live and quiet, ``r3`` ended."""
    async with a_world(url) as world:
        for room, host in (("r1", "hal"), ("r2", "ida"), ("r3", "hal")):
            await world.open(room, host)
        for user in USERS:
            await world.grant(user, 1000)
        for user in USERS:
            await world.send(user, "r1", STREAKABLE, 2)
            await world.send(user, "r3", STREAKABLE)
            world.now += 1000
        await world.send("ann", "r1", PLAIN, 2)
        await asyncio.gather(
            *(world.send("bob", "r1", STREAKABLE) for _ in range(5)), world.post("r1"), world.like("r1")
        )
        world.now += 5000
        await world.ledger.sweeper.sweep()
        await world.send("bob", "r1", STREAKABLE, 3)
        await world.ledger.rooms.end(world.rooms["r3"])
        yield world
