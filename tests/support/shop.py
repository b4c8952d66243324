"""A ledger on a cluster: many senders and many rooms, in all partitions, and what each gift was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gifting.config import load
from gifting.ledger.audit import audit
from gifting.ledger.cluster.relay import Relay
from gifting.ledger.cluster.rounds import Rounds
from gifting.ledger.engine import ClusterEngine
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.model.events import encode_post
from gifting.model.values import Result, RoomRef, Sender
from tests.support.keys import new_key

WITHIN = 60.0
COINS = 9_000


class Shop:
    """``told`` has what became of each gift, by its key, and in the order of sending by (sender, room)."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.rooms: list[RoomRef] = []
        self.senders: list[Sender] = []
        self.told: dict[str, Any] = {}
        self.sent: dict[tuple[str, str], list[str]] = {}
        self.told_twice = 0
        self._open = 0
        self._all = asyncio.Event()

    @property
    def relay(self) -> Relay:
        assert isinstance(self.ledger.engine, ClusterEngine)
        return self.ledger.engine.relay

    @property
    def rounds(self) -> Rounds:
        assert isinstance(self.ledger.engine, ClusterEngine)
        return self.ledger.engine.links.rounds

    async def fill(self, count: int) -> None:
        """So many rooms and senders."""
        rooms, users = range(count), [f"u{number}" for number in range(count)]
        self.rooms += [await self.ledger.rooms.open(f"r{number}", f"host{number}", "Host", "") for number in rooms]
        await asyncio.gather(*(self.ledger.wallets.grant(user, COINS, new_key(), "test", "op") for user in users))
        about = {"name": "Ann", "picture": "", "level": 0}
        self.senders += [self.ledger.gifts.sender(user, {"id": user, **about}) for user in users]

    def send(self, sender: int, room: int, key: str = "", message: str | None = None) -> str:
        """One gift of one coin; its key."""
        key, giver, place = key or new_key(), self.senders[sender], self.rooms[room]
        self.sent.setdefault((giver.id, place.id), []).append(key)
        self._open += 1
        self._all.clear()
        done = self._expect(key)
        try:
            self.ledger.gifts.submit(giver, place, "spark", key, 1, message, done)
        except Exception as error:
            done(error)
        return key

    def all_to_all(self, times: int = 1) -> None:
        for _ in range(times):
            for sender in range(len(self.senders)):
                for room in range(len(self.rooms)):
                    self.send(sender, room)

    def _expect(self, key: str) -> Any:
        once = [False]

        def done(outcome: Any) -> None:
            self.told_twice += once[0]
            once[0] = True
            self.told[key] = outcome
            self._open -= 1
            if not self._open:
                self._all.set()

        return done

    async def post(self, room: int) -> Any:
        told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.ledger.free.post(self.rooms[room], encode_post("share", self.senders[0].user), told.set_result)
        return await asyncio.wait_for(told, WITHIN)

    async def everyone(self) -> dict[str, Any]:
        async with asyncio.timeout(WITHIN):
            while self._open > 0:
                await self._all.wait()
        assert not self.told_twice
        return self.told

    def results(self) -> list[Result]:
        return [outcome for outcome in self.told.values() if isinstance(outcome, Result)]

    def in_order(self) -> bool:
        """What one sender sent to one room has come there in that order, as far as that was told."""
        for keys in self.sent.values():
            seqs = [told.seq for key in keys if isinstance(told := self.told[key], Result) and told.seq]
            if seqs != sorted(seqs):
                return False
        return True

    async def check(self) -> Any:
        """The books hold; the audit's report."""
        report = await audit(self.ledger.redis, self.ledger.keys)
        assert report.clean, report.lines()
        return report


@asynccontextmanager
async def shop_at(url: str, count: int = 8, **flags: Any) -> AsyncIterator[Shop]:
    """One with so many senders and rooms."""
    # Masters write without their replicas: WAIT alone has to do. No streak ends by itself, which would take a seq.
    flags = {"allow_unsafe_redis": True, "streak_window": 60.0, **flags}
    ledger = Ledger(url, load(flags, environ={}), load_catalog())
    await ledger.start()
    try:
        shop = Shop(ledger)
        await shop.fill(count)
        yield shop
    finally:
        await ledger.stop()
