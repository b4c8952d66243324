"""The batcher's promises on a real Redis: order, also through repetitions, and that everyone is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from keys import new_key
from proxy import Proxy
from redis.asyncio import Redis

from gifting import errors
from gifting.config import load
from gifting.ledger.audit import audit
from gifting.ledger.batcher import FLIGHTS
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog

GIFTS = 600
BATCH = 16


class Till:
    """One sender's gifts to one room, and what each was told, in the order of sending."""

    def __init__(self, ledger: Ledger, sender: Any, room: Any) -> None:
        self.ledger = ledger
        self._sender = sender
        self._room = room
        self.told: list[Any] = []
        self._all = asyncio.Event()

    def send(self, count: int) -> None:
        for _ in range(count):
            self.ledger.send_gift(self._sender, self._room, "spark", new_key(), 1, None, self._expect())

    def post(self) -> None:
        self.ledger.post(self._room, "share", {"user": self._sender.user}, self._expect())

    def _expect(self) -> Any:
        place = len(self.told)
        self.told.append(None)
        self._all.clear()

        def done(outcome: Any) -> None:
            assert self.told[place] is None, "told twice"
            self.told[place] = outcome
            if None not in self.told:
                self._all.set()

        return done

    async def everyone(self) -> list[Any]:
        async with asyncio.timeout(30):
            await self._all.wait()
        return self.told

    async def until(self, told: int) -> None:
        async with asyncio.timeout(30):
            while sum(outcome is not None for outcome in self.told) < told:
                await asyncio.sleep(0)

    async def check(self, redis: Any) -> None:
        """Everything was committed once, in the order in which it was sent. ``redis`` is asked past the proxy."""
        outcomes = await self.everyone()
        assert [getattr(outcome, "status", outcome) for outcome in outcomes] == [0] * len(outcomes)
        assert [outcome.seq for outcome in outcomes] == list(range(1, len(outcomes) + 1))
        report = await audit(redis, self.ledger.keys)
        assert report.clean, report.lines()
        assert report.gifts == len(outcomes)


@asynccontextmanager
async def till_at(url: str, **flags: Any) -> AsyncIterator[Till]:
    ledger = Ledger(url, load({"batch_max": BATCH, **flags}, environ={}), load_catalog())
    await ledger.start()
    try:
        room = await ledger.open_room("r1", "host", "Host", "")
        await ledger.grant("ann", 1_000_000, new_key(), "test", "op")
        till = Till(ledger, ledger.sender("ann", {"id": "ann", "name": "Ann", "picture": "", "level": 0}), room)
        till.send(1)  # so that the connection is there
        await till.everyone()
        yield till
    finally:
        await ledger.stop()


async def test_what_one_sends_is_committed_in_that_order(redis_client: Any, redis_url: str) -> None:
    async with till_at(redis_url) as till:
        till.send(GIFTS)
        await till.check(redis_client)
        assert till.ledger.batcher.batches < GIFTS / BATCH + FLIGHTS + 1, "full batches"


async def test_also_where_redis_forgot_the_script(redis_client: Any, redis_url: str) -> None:
    async with till_at(redis_url) as till:
        till.send(GIFTS)
        for told in range(1, GIFTS, GIFTS // 4):
            await till.until(told)
            await redis_client.script_flush()
        await till.check(redis_client)


async def test_also_where_connections_broke(redis_client: Any, redis_url: str) -> None:
    async with Proxy(redis_url) as proxy, till_at(proxy.url) as till:
        till.send(GIFTS)
        for told in range(1, GIFTS, GIFTS // 6):
            await till.until(told)
            proxy.cut()
        await till.check(redis_client)


async def test_also_where_replies_were_lost(redis_client: Any, redis_url: str) -> None:
    async with Proxy(redis_url) as proxy, till_at(proxy.url) as till:
        proxy.mute = True
        till.send(GIFTS)
        await asyncio.wait_for(proxy.swallowed.wait(), 10)
        proxy.mute = False
        proxy.cut()
        await till.check(redis_client)
        assert any(outcome.duplicate for outcome in till.told), "the lost replies were of gifts that were taken"


async def test_free_events_are_not_said_again(redis_client: Any, redis_url: str) -> None:
    async with Proxy(redis_url) as proxy, till_at(proxy.url) as till:
        proxy.mute = True
        till.post()
        till.send(1)
        await asyncio.wait_for(proxy.swallowed.wait(), 10)
        proxy.mute = False
        proxy.cut()
        _, event, gift = await till.everyone()
        assert isinstance(event, errors.Unconfirmed)
        assert gift.status == 0


@pytest.mark.parametrize("sent", [True, False])
async def test_a_redis_that_stays_away(redis_client: Any, redis_url: str, sent: bool) -> None:
    async with Proxy(redis_url) as proxy, till_at(proxy.url, ledger_timeout=0.3) as till:
        if sent:
            proxy.mute = True
            till.send(1)
            await asyncio.wait_for(proxy.swallowed.wait(), 10)
        proxy.cut(refuse=True)
        till.send(GIFTS)
        outcomes = (await till.everyone())[1:]
        if sent:
            assert isinstance(outcomes[0], errors.OutcomeUnknown)
        assert {type(outcome) for outcome in outcomes} <= {errors.LedgerUnavailable, errors.OutcomeUnknown}
        assert isinstance(outcomes[-1], errors.LedgerUnavailable), "the last ones were never sent"
        proxy.mend()
        till.send(1)
        assert (await till.everyone())[-1].status == 0


async def test_a_stop_tells_everyone(redis_client: Any, redis_url: str) -> None:
    async with Proxy(redis_url) as proxy, till_at(proxy.url) as till:
        proxy.mute = True
        till.send(GIFTS)
        await asyncio.wait_for(proxy.swallowed.wait(), 10)
        await till.ledger.batcher.stop()
        kinds = [type(outcome) for outcome in await till.everyone()][1:]
        in_flight = kinds.index(errors.LedgerUnavailable)
        assert set(kinds[:in_flight]) == {errors.OutcomeUnknown}
        assert set(kinds[in_flight:]) == {errors.LedgerUnavailable}
        assert 0 < in_flight <= FLIGHTS * BATCH


async def test_a_pause_after_a_call_that_is_not_full(redis_client: Any, redis_url: str) -> None:
    async with till_at(redis_url, batch_pause=0.02) as till:
        batcher = till.ledger.batcher
        calls = batcher.batches
        for told in range(2, 40):  # each as soon as the one before was told: a call each, a pause apart
            began = time.monotonic()
            till.send(1)
            await till.until(told)
            assert time.monotonic() - began > 0.005
        assert batcher.batches == calls + 38
        till.send(GIFTS)
        await till.check(redis_client)
        assert batcher.batches < calls + 38 + GIFTS / BATCH + 2 * FLIGHTS, "full batches wait for nothing"


@pytest.mark.parametrize("pause", [0.0001, 0.001, 0.0033, 0.01])
def test_no_pause_holds_anything_for_ever(redis_url: str, pause: float) -> None:
    """What comes in while a pause ends, at whatever moment of it; on the server's own loop, with its coarse clock."""

    async def send_and_check() -> None:
        async with Redis.from_url(redis_url) as redis:
            await redis.flushall()
            async with till_at(redis_url, batch_pause=pause) as till:
                for number in range(300):
                    till.send(1)
                    await asyncio.sleep(pause * (number % 7) / 5)
                await till.check(redis)

    uvloop.run(send_and_check())
