"""The batcher's promises on a real Redis: order, also through repetitions, and that everyone is told."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import uvloop

from gifting import errors
from gifting.ledger import commit_call
from gifting.ledger.commit import read_replies
from gifting.ledger.connect import connect
from gifting.ledger.flights import FLIGHTS_MAX
from gifting.model.packing import pack
from gifting.model.values import Result
from tests.support.proxy import Proxy, RedisProxy
from tests.support.till import BATCH, be_patient, flights_of, till_at
from tests.support.waiting import WITHIN, until

pytestmark = pytest.mark.one_redis("its batcher, of one connection and one call")

GIFTS = 600


async def test_what_one_sends_is_committed_in_that_order(redis_client: Any, redis_url: str) -> None:
    async with till_at(redis_url) as till:
        till.send(GIFTS)
        await till.check(redis_client)
        assert till.ledger.batcher.counts.batches < GIFTS / BATCH + FLIGHTS_MAX + 1, "full batches"


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
        assert isinstance(gift, Result)


@pytest.mark.parametrize("sent", [True, False])
async def test_a_redis_that_stays_away(redis_client: Any, redis_url: str, sent: bool) -> None:
    async with Proxy(redis_url) as proxy, till_at(proxy.url) as till:
        if sent:
            proxy.mute = True
            till.send(1)
            await asyncio.wait_for(proxy.swallowed.wait(), 10)
        proxy.cut(refuse=True)
        be_patient(till, 0.3)
        till.send(GIFTS)
        outcomes = (await till.everyone())[1:]
        be_patient(till)
        if sent:
            assert isinstance(outcomes[0], errors.OutcomeUnknown)
        assert {type(outcome) for outcome in outcomes} <= {errors.LedgerUnavailable, errors.OutcomeUnknown}
        assert isinstance(outcomes[-1], errors.LedgerUnavailable), "the last ones were never sent"
        proxy.mend()
        till.send(1)
        assert isinstance((await till.everyone())[-1], Result)


async def test_a_stop_tells_everyone(redis_client: Any, redis_url: str) -> None:
    async with Proxy(redis_url) as proxy, till_at(proxy.url) as till:
        proxy.mute = True
        till.send(GIFTS)
        await asyncio.wait_for(proxy.swallowed.wait(), 10)
        till.ledger.batcher.fall()
        kinds = [type(outcome) for outcome in await till.everyone()][1:]
        in_flight = kinds.index(errors.LedgerUnavailable)
        assert set(kinds[:in_flight]) == {errors.OutcomeUnknown}
        assert set(kinds[in_flight:]) == {errors.LedgerUnavailable}
        assert 0 < in_flight <= FLIGHTS_MAX * BATCH


async def test_what_was_to_be_sent_again_is_told_once_that_it_is_not(redis_client: Any, redis_url: str) -> None:
    async with till_at(redis_url) as till:
        await redis_client.config_set("min-replicas-to-write", 1)
        till.send(1)
        await until(lambda: flights_of(till).again, pause=0)
        till.ledger.batcher.close(errors.LedgerHalted)  # at once: it is said again after a moment
        assert flights_of(till).again == []
        await redis_client.config_set("min-replicas-to-write", 0)
        await till.ledger.batcher.drain()
        assert isinstance((await till.everyone())[1], errors.LedgerHalted)
        await asyncio.wait([asyncio.create_task(till.ledger.batcher.drain())])
        with pytest.raises(errors.LedgerHalted):
            till.send(1)
        assert till.told_twice == 0


async def test_a_drain_waits_for_what_is_in_flight(redis_client: Any, redis_url: str) -> None:
    async with Proxy(redis_url) as proxy, till_at(proxy.url) as till:
        proxy.mute = True
        till.send(1)
        await asyncio.wait_for(proxy.swallowed.wait(), 10)
        draining = asyncio.create_task(till.ledger.batcher.drain())
        assert not (await asyncio.wait([draining], timeout=0.05))[0]
        proxy.mend()
        proxy.cut()
        await draining
        assert None not in till.told


async def test_a_connection_that_stalled_while_it_was_made_is_not_used(redis_client: Any, redis_url: str) -> None:
    """What Redis answered to its beginning would be taken for the reply to a call."""
    async with Proxy(redis_url) as proxy, till_at(proxy.url) as till:
        proxy.cut()
        proxy.mute = True
        be_patient(till, 0.3)
        till.send(1)
        assert isinstance((await till.everyone())[1], errors.LedgerUnavailable | errors.OutcomeUnknown)
        be_patient(till)
        proxy.mute = False
        till.send(3)
        assert all(isinstance(outcome, Result) for outcome in (await till.everyone())[2:])


async def test_a_batch_that_can_not_be_packed_is_told(
    redis_client: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had been taken from the queue; the process stops, since that is a fault in it."""

    def broken(_: object) -> None:
        raise RuntimeError("broken on purpose")

    async with till_at(redis_url) as till:
        monkeypatch.setattr(commit_call, "pack_batch", broken)
        till.send(2)
        till.post()
        outcomes = (await till.everyone())[1:]
        assert [type(outcome) for outcome in outcomes] == [errors.OutcomeUnknown] * 2 + [errors.Unconfirmed]
        with pytest.raises(errors.LedgerUnavailable):
            till.send(1)


class Counted:
    """How many calls have passed a proxy."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, words: list[bytes]) -> list[bytes]:
        self.calls += words[0] in (b"EVALSHA", b"EVAL")
        return words

    async def reach(self, calls: int) -> None:
        await until(lambda: self.calls >= calls, pause=0)


async def test_a_batch_goes_out_as_soon_as_it_is_full(redis_client: Any, redis_url: str) -> None:
    """Beside a full one that is not answered yet."""
    counted, patience = Counted(), 2 * WITHIN  # so that no lost reply is noticed
    async with RedisProxy(redis_url, counted) as proxy, till_at(proxy.url, ledger_timeout=patience) as till:
        proxy.mute, counted.calls = True, 0
        till.send(BATCH)
        await counted.reach(1)
        for _ in range(BATCH):
            till.send(1)
            await asyncio.sleep(0)
        await counted.reach(2)
        proxy.mend()
        proxy.cut()
        await till.check(redis_client)


async def test_calls_side_by_side_are_made_once(redis_client: Any, redis_url: str) -> None:
    """Each finds that the one before it has run."""
    counted = Counted()
    async with RedisProxy(redis_url, counted) as proxy, till_at(proxy.url) as till:
        counted.calls = 0
        till.send(20 * BATCH)
        await till.check(redis_client)
        assert counted.calls == 20


@pytest.mark.parametrize("reply", [[], [[0] * 6], [[0] * 6] * 3, [[0] * 6, [0] * 5], [[0] * 6, 0], {}])
def test_a_reply_that_is_none_is_noticed(reply: Any) -> None:
    assert len(read_replies(pack([[0] * 6] * 2), 2)) == 2
    with pytest.raises(ValueError):
        read_replies(pack(reply), 2)


async def test_a_pause_after_a_call_that_is_not_full(redis_client: Any, redis_url: str) -> None:
    async with till_at(redis_url, batch_pause=0.02) as till:
        batcher = till.ledger.batcher
        calls = batcher.counts.batches
        began = time.monotonic()
        for told in range(2, 40):  # each as soon as the one before was told: a call each, a pause apart
            till.send(1)
            await till.until(told)
        assert time.monotonic() - began > 37 * 0.019
        assert batcher.counts.batches == calls + 38
        till.send(GIFTS)
        await till.check(redis_client)
        assert batcher.counts.batches < calls + 38 + GIFTS / BATCH + 2 * FLIGHTS_MAX, "full batches wait for nothing"


@pytest.mark.parametrize("pause", [0.0001, 0.001, 0.0033, 0.01])
def test_no_pause_holds_anything_for_ever(redis_url: str, pause: float) -> None:
    """What comes in while a pause ends, at whatever moment of it; on the server's own loop, with its coarse clock."""

    async def send_and_check() -> None:
        async with connect(redis_url, 10) as redis:
            await redis.flushall()
            async with till_at(redis_url, batch_pause=pause) as till:
                for number in range(300):
                    till.send(1)
                    await asyncio.sleep(pause * (number % 7) / 5)
                await till.check(redis)

    uvloop.run(send_and_check())
