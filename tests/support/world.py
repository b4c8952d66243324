"""A ledger whose clock stands until it is moved, as tests of its scripts want one."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

import pytest

from gifting import config
from gifting.ledger import scripts
from gifting.ledger.cluster import relay
from gifting.ledger.cluster.batcher import ClusterBatcher
from gifting.ledger.commit import GIFT, PendingCommit, Reply, pack_batch, read_replies
from gifting.ledger.commit_keys import bucket_spot, room_spot
from gifting.ledger.floors import HOLD_MAX
from gifting.ledger.keys import BUCKET_MS
from gifting.ledger.ledger import Ledger
from gifting.ledger.status import Status
from gifting.model.catalog import load_catalog
from gifting.model.money import key_time, make_key, parse_key
from gifting.model.packing import pack, unpack
from gifting.model.terms import UNBOUND, Terms
from gifting.model.values import Result, RoomRef, Sender
from gifting.tasks import Vital
from tests.support.clusters import told_when_credited
from tests.support.replies import script_replies
from tests.support.waiting import WITHIN

_UNDER_WAY = (b":line", b":outbox", b":marks", b":waited")
START = 1_700_000_000_000
WINDOW, LEAD, STREAK = 600_000, 60_000, 3_000


class World:
    """A ledger whose clock stands until it is moved; ``ann`` and ``bob`` send, ``host`` has the room ``r1``."""

    def __init__(self, ledger: Ledger, clock: list[int]) -> None:
        self.ledger = ledger
        self.redis: Any = ledger.redis
        self.base = ledger.keys.base
        self.clock = clock
        self.made = itertools.count(1)
        self.room: RoomRef

    def key(self, age: int = 0) -> str:
        return make_key(self.clock[0] - age, bytes(3) + next(self.made).to_bytes(7, "big"))

    def sender(self, user: str, terms: Terms = UNBOUND) -> Sender:
        return self.ledger.gifts.sender(user, {"id": user, "name": user, "picture": "", "level": 1}, terms)

    async def grant(self, user: str, coins: int, key: str = "") -> tuple[int, bool]:
        return await self.ledger.wallets.grant(user, coins, key or self.key(), "bought", "operator")

    async def send(self, user: str = "ann", gift: str = "spark", count: int = 1, **more: Any) -> Result:
        self._forget_rooms()
        room, key = more.get("room", self.room), more.get("key") or self.key()
        sender, confirmed = self.sender(user, more.get("terms", UNBOUND)), more.get("confirmed", False)
        return await self.ledger.gifts.send(sender, room, gift, key, count, more.get("message"), confirmed)

    async def protect(self, user: str, **record: Any) -> int:
        """Set the user's record, but for its version and spending; returns its version."""
        stored = (await self.ledger.accounts.read(user)).record
        version = 0 if stored is None else unpack(stored).get("v", 0)
        return await self.ledger.accounts.put(user, pack({**record, "v": version}), what="all", value="", by=user)

    async def together(self, *gifts: dict[str, Any]) -> list[Reply]:
        """Many gifts in one call of the script: what it says of each, and so what each is told."""
        self._need_one_call()
        outcomes: list[Any] = []
        calls = self.ledger.batcher.counts.batches
        for gift in gifts:
            sender = self.sender(gift.get("user", "ann"), gift.get("terms", UNBOUND))
            room = gift.get("room", self.room)
            name, key, count = gift.get("gift", "spark"), gift.get("key") or self.key(), gift.get("count", 1)
            self.ledger.gifts.submit(sender, room, name, key, count, None, outcomes.append)
        with script_replies() as said:
            await self.ledger.batcher.drain()
        assert self.ledger.batcher.counts.batches == calls + 1
        assert [isinstance(outcome, Result) for outcome in outcomes] == [reply.status == Status.OK for reply in said]
        return said

    async def told(self, send: Callable[[Callable[[Any], None]], None]) -> Any:
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        send(waiting.set_result)
        return await waiting

    async def log(self, room: RoomRef | None = None) -> list[dict[str, Any]]:
        return [
            unpack(batch.events[entry.start : entry.end])
            async for batch in self.ledger.rooms.batches(room or self.room, 0)
            for entry in batch.entries()
        ]

    async def raw(self, name: str, keys: list[str], options: Any) -> Any:
        """A script called past the checks in Python."""
        return await scripts.call(self.redis, name, keys, str(self.clock[0]), pack(options))

    def _need_one_call(self) -> None:
        if isinstance(self.ledger.batcher, ClusterBatcher):
            pytest.skip("gifts of several partitions are several calls on a cluster")

    def _forget_rooms(self) -> None:
        """Tests change rooms behind the ledger's back."""
        if isinstance(self.ledger.batcher, ClusterBatcher):
            self.ledger.batcher.rooms.forget_all()

    async def raw_commit(self, *items: PendingCommit) -> list[Reply]:
        self._need_one_call()
        packed = pack_batch(items)
        keys = packed.keys.decode().split("\r\n")[1::2]
        assert len(keys) == packed.keys_count
        options = pack((WINDOW, LEAD, STREAK, 500, 1, 1000, 0))
        args = (str(self.clock[0]), options, *packed.arguments, "", "")
        reply = await scripts.call(self.redis, "commit", keys, *args)
        return [Reply(*values) for values in read_replies(reply, len(items))]

    async def raw_gift(self, coins: Any) -> Reply:
        """A gift of any amount, as only the script sees it."""
        key, ann = parse_key(self.key()), self.sender("ann")
        target = pack(("r1", "host", "spark", 1, b"\x80"))[1:]
        fields = pack(("ann", key, key_time(key), b"8 bytes!", 1, coins, ann.user, b"", 0, False))[1:]
        bucket = bucket_spot(ann.base, key_time(key) // BUCKET_MS)
        spot = room_spot(self.room.base, self.room.id, self.room.host)
        (result,) = await self.raw_commit(
            PendingCommit(GIFT, bucket, spot, target, fields, print, 0.0, terms=ann.terms)
        )
        return result

    async def forget(self, held: float = HOLD_MAX) -> None:
        """As when a node believes the clock."""
        await self.ledger.upkeep.floors.raise_to(self.clock[0], held)

    async def buckets(self, kind: str = "keys") -> list[str]:
        return sorted({name.decode() async for name in self.redis.scan_iter(f"*:{kind}:*")})

    async def state(self) -> dict[bytes, Any]:
        """Everything in Redis, to see that nothing changed; on a cluster but for how gifts get to other partitions."""
        await self.ledger.batcher.drain()
        names = sorted([name async for name in self.redis.scan_iter() if not name.endswith(_UNDER_WAY)])
        return {name: await self.redis.dump(name) for name in names}


@asynccontextmanager
async def a_world(
    url: str, hands: Callable[[], float] = time.monotonic, vital: Vital | None = None, **flags: Any
) -> AsyncIterator[World]:
    """``hands`` is the process' own clock."""
    clock = [START]
    settings = config.load(flags, environ={})
    ledger = Ledger(url, settings, load_catalog(), lambda: str(clock[0]), vital, hands)
    # However long a busy cluster takes, a gift is told by its own credit: no relay comes before that.
    with told_when_credited(), patch.object(relay, "LEFT", round(1000 * WITHIN)):
        try:
            await ledger.start()
            world = World(ledger, clock)
            world.room = await ledger.rooms.open("r1", "host", "Host", "A title")
            yield world
        finally:
            await ledger.stop()
