"""One sender at a till: what was sent, what was told, and whether both agree with the books."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gifting.config import load
from gifting.config.storage import Ledger as LedgerSettings
from gifting.ledger.audit import audit
from gifting.ledger.batcher import Batcher
from gifting.ledger.flights import Flights
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.model.events import encode_post
from gifting.model.values import Result
from gifting.tasks import Vital
from tests.support.keys import new_key

BATCH = 16

PATIENCE = LedgerSettings.ledger_timeout
"""Seconds that a ledger waits for Redis, unless a test says otherwise."""


class Till:
    """One sender's gifts to one room, and what each was told, in the order of sending."""

    def __init__(self, ledger: Ledger, sender: Any, room: Any) -> None:
        self.ledger = ledger
        self._sender = sender
        self._room = room
        self.told: list[Any] = []
        self.told_twice = 0
        self.keys: list[str] = []
        self._all = asyncio.Event()

    def send(self, count: int, message: str | None = None) -> None:
        for _ in range(count):
            self.keys.append(new_key())
            self.ledger.gifts.submit(self._sender, self._room, "spark", self.keys[-1], 1, message, self._expect())

    def post(self) -> None:
        """One event that costs nothing and has no key."""
        self.ledger.free.post(self._room, encode_post("share", self._sender.user), self._expect())

    def like(self, count: int) -> None:
        self.ledger.free.like(self._room, count, self._expect())

    def _expect(self) -> Any:
        place = len(self.told)
        self.told.append(None)
        self._all.clear()

        def done(outcome: Any) -> None:
            self.told_twice += self.told[place] is not None
            self.told[place] = outcome
            if None not in self.told:
                self._all.set()

        return done

    async def everyone(self) -> list[Any]:
        async with asyncio.timeout(30):
            await self._all.wait()
        return self.told

    async def posted(self, redis: Any) -> int:
        """Events of :meth:`post` in the room's log. ``redis`` is asked past the proxy."""
        log = await redis.xrange(self.ledger.keys.log(self._room.host, self._room.id))
        return sum(fields[b"b"].count(b"share") for _, fields in log)

    async def until(self, told: int) -> None:
        async with asyncio.timeout(30):
            while sum(outcome is not None for outcome in self.told) < told:
                await asyncio.sleep(0)

    async def check(self, redis: Any) -> None:
        """Everything was committed once, in the order in which it was sent. ``redis`` is asked past the proxy."""
        outcomes = await self.everyone()
        assert [outcome for outcome in outcomes if not isinstance(outcome, Result)] == []
        assert [outcome.seq for outcome in outcomes] == list(range(1, len(outcomes) + 1))
        report = await audit(redis, self.ledger.keys)
        assert report.clean, report.lines()
        assert report.gifts == len(outcomes)


@asynccontextmanager
async def till_at(url: str, vital: Vital | None = None, **flags: Any) -> AsyncIterator[Till]:
    ledger = Ledger(url, load({"batch_max": BATCH, **flags}, environ={}), load_catalog(), vital=vital)
    await ledger.start()
    try:
        room = await ledger.rooms.open("r1", "host", "Host", "")
        await ledger.wallets.grant("ann", 1_000_000, new_key(), "test", "op")
        till = Till(ledger, ledger.gifts.sender("ann", {"id": "ann", "name": "Ann", "picture": "", "level": 0}), room)
        till.send(1)  # so that the connection is there
        await till.everyone()
        yield till
        assert not till.told_twice
    finally:
        await ledger.stop()


def be_patient(till: Till, seconds: float = PATIENCE) -> None:
    """From now on it waits so long for one Redis. With little patience is only what is to end by it: all else of a test
    has time, however busy the machine is.
    """
    batcher, connector, pool = till.ledger.batcher, till.ledger.connector, till.ledger.redis.connection_pool
    assert isinstance(batcher, Batcher)
    batcher._timeout = connector._timeout = pool.connection_kwargs["socket_timeout"] = seconds
    if (link := connector._connection) is not None:
        link._timeout = seconds
        if link._timer is not None:
            link._timer.cancel()
        link._watch()
    for connection in pool._available_connections:
        connection.socket_timeout = seconds


def flights_of(till: Till) -> Flights:
    """The calls in flight on one Redis."""
    batcher = till.ledger.batcher
    assert isinstance(batcher, Batcher)
    return batcher._flights
