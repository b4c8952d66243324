"""Redis turns calls away, forgets, stalls and is gone at the worst moments: order holds, and nobody is told wrongly."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gifting import errors
from gifting.ledger import scripts
from gifting.model.events import encode_event
from gifting.model.values import Result
from tests.support.keys import new_key
from tests.support.proxy import Proxy, RedisProxy
from tests.support.till import BATCH, PATIENCE, Till, be_patient, flights_of, till_at
from tests.support.waiting import until

pytestmark = [pytest.mark.attack, pytest.mark.one_redis("its batcher, of one connection and one call")]

WAIT = 20.0


# What turns the first of two calls in flight away, and lets the second through.


@asynccontextmanager
async def forgotten(redis: Any) -> AsyncIterator[None]:
    await redis.script_flush()
    yield
    await redis.script_load(scripts.source("commit"))  # as another node does


@asynccontextmanager
async def busy(redis: Any) -> AsyncIterator[None]:
    await redis.config_set("busy-reply-threshold", 1)
    async with Redis.from_pool(redis.connection_pool) as other:
        running: asyncio.Future[Any] = asyncio.ensure_future(other.eval("#!lua flags=no-writes\nwhile true do end", 0))
        try:
            while True:
                await redis.ping()
        except ResponseError as error:
            assert "BUSY" in str(error)
        yield
        await redis.script_kill()
        with suppress(ResponseError):
            await running
    await redis.config_set("busy-reply-threshold", 5000)


@asynccontextmanager
async def a_replica(redis: Any) -> AsyncIterator[None]:
    await redis.replicaof("127.0.0.1", "1")
    yield
    await redis.replicaof("NO", "ONE")


@asynccontextmanager
async def alone(redis: Any) -> AsyncIterator[None]:
    await redis.config_set("min-replicas-to-write", 1)
    yield
    await redis.config_set("min-replicas-to-write", 0)


@asynccontextmanager
async def full(redis: Any) -> AsyncIterator[None]:
    await redis.config_set("maxmemory", 1)
    yield
    await redis.config_set("maxmemory", 0)


Trouble = Callable[[Any], AbstractAsyncContextManager[None]]


class Between:
    """Makes trouble before the first commit call passes and ends it when that is answered, before the second does."""

    def __init__(self, redis: Any, trouble: Trouble, instead: list[bytes] | None = None) -> None:
        self._trouble = trouble(redis)
        self._instead = instead
        self.proxy: RedisProxy
        self.armed = False
        self.calls = 0

    async def before(self, words: list[bytes]) -> list[bytes]:
        if not self.armed or words[0] not in (b"EVALSHA", b"EVAL"):
            return words
        self.calls += 1
        if self.calls == 1:
            await self._trouble.__aenter__()
            self.proxy.answered.clear()
            return self._instead or words
        if self.calls == 2:
            async with asyncio.timeout(WAIT):
                await self.proxy.answered.wait()
            await self._trouble.__aexit__(None, None, None)
        return words


@asynccontextmanager
async def two_calls(redis: Any, url: str, trouble: Trouble, instead: list[bytes] | None = None) -> AsyncIterator[Till]:
    """Two full calls are written together, with the trouble between them."""
    between = Between(redis, trouble, instead)
    async with RedisProxy(url, between.before) as proxy, till_at(proxy.url) as till:
        till.send(BATCH)
        await till.everyone()  # there is a call before, which has run
        between.proxy, between.armed = proxy, True
        till.send(3 * BATCH)
        await till.everyone()
        assert between.calls > 2
        yield till


@pytest.mark.parametrize("trouble", [forgotten, busy, a_replica, alone])
async def test_a_call_does_not_overtake_the_one_before_it(redis_client: Any, redis_url: str, trouble: Trouble) -> None:
    async with two_calls(redis_client, redis_url, trouble) as till:
        await till.check(redis_client)


async def test_nor_one_that_is_not_full(redis_client: Any, redis_url: str) -> None:
    """It has no number by which the next could name it: the next waits."""
    between = Between(redis_client, forgotten)
    async with RedisProxy(redis_url, between.before) as proxy, till_at(proxy.url) as till:
        till.send(BATCH)
        await till.everyone()  # from now on there is a number, of a call before
        between.proxy, between.armed = proxy, True
        till.send(1)
        await until(lambda: not till.ledger.batcher.queued, pause=0)  # it is on its way, alone
        till.send(2 * BATCH)
        await till.check(redis_client)


async def test_nor_while_redis_was_loading(redis_client: Any, redis_url: str) -> None:
    @asynccontextmanager
    async def loading(_: Any) -> AsyncIterator[None]:
        yield

    said = [b"EVAL", b"return redis.error_reply('LOADING Redis is loading the dataset in memory')", b"0"]
    async with two_calls(redis_client, redis_url, loading, said) as till:
        await till.check(redis_client)


async def test_nor_one_that_is_refused_for_lack_of_memory(redis_client: Any, redis_url: str) -> None:
    async with two_calls(redis_client, redis_url, full) as till:
        outcomes = till.told[1 + BATCH :]
        assert {type(outcome) for outcome in outcomes[:BATCH]} == {errors.LedgerFull}
        assert [outcome.seq for outcome in outcomes[BATCH:]] == list(range(2 + BATCH, 2 + 3 * BATCH))


async def test_a_key_of_the_chain_does_not_stay(redis_client: Any, redis_url: str) -> None:
    async with till_at(redis_url) as till:
        till.send(2 * BATCH)
        await till.check(redis_client)
        (chain,) = await redis_client.keys("*:chain:*")
        assert 0 < await redis_client.pttl(chain) <= 60_000


# What was sent once and got no answer.


@asynccontextmanager
async def a_lost_reply(redis_url: str) -> AsyncIterator[tuple[Till, Proxy]]:
    """A gift was taken, nobody knows, and Redis can't be reached. Later gifts have not been sent."""
    async with Proxy(redis_url) as proxy, till_at(proxy.url) as till:
        proxy.mute = True
        till.send(1)
        await asyncio.wait_for(proxy.swallowed.wait(), WAIT)
        proxy.cut(refuse=True)
        await until(lambda: till.ledger.batcher.queued, pause=0)  # it is back in the queue
        till.send(1)
        yield till, proxy


async def test_a_stop_tells_what_was_sent_before_that_nobody_knows(redis_client: Any, redis_url: str) -> None:
    async with a_lost_reply(redis_url) as (till, _):
        till.ledger.batcher.fall()
        _, sent, fresh = await till.everyone()
        assert (type(sent), type(fresh)) == (errors.OutcomeUnknown, errors.LedgerUnavailable)


async def test_a_stop_tells_what_is_about_to_be_sent_again(redis_client: Any, redis_url: str) -> None:
    async with till_at(redis_url) as till, a_replica(redis_client):
        till.send(1)
        await until(lambda: flights_of(till).again, pause=0)
        till.ledger.batcher.fall()
        assert isinstance((await till.everyone())[1], errors.LedgerUnavailable)


async def test_no_memory_for_what_was_sent_before(redis_client: Any, redis_url: str) -> None:
    async with a_lost_reply(redis_url) as (till, proxy):
        async with full(redis_client):
            proxy.mend()
            _, sent, fresh = await till.everyone()
        assert (type(sent), type(fresh)) == (errors.OutcomeUnknown, errors.LedgerFull)


@pytest.mark.parametrize("trouble", [a_replica, alone, busy])
async def test_a_redis_that_takes_nothing_until_the_time_is_over(
    redis_client: Any, redis_url: str, trouble: Trouble
) -> None:
    async with a_lost_reply(redis_url) as (till, proxy):
        async with trouble(redis_client):
            proxy.mend()
            await until(lambda: till.ledger.connector.up)
            be_patient(till, 0.3)
            _, sent, fresh = await till.everyone()
        assert (type(sent), type(fresh)) == (errors.OutcomeUnknown, errors.LedgerUnavailable)


async def test_it_is_told_its_stored_result(redis_client: Any, redis_url: str) -> None:
    async with a_lost_reply(redis_url) as (till, proxy):
        proxy.mend()
        await till.check(redis_client)
        assert [outcome.duplicate for outcome in till.told] == [0, 1, 0]


async def test_what_costs_nothing_is_not_said_again(redis_client: Any, redis_url: str) -> None:
    async with Proxy(redis_url) as proxy, till_at(proxy.url) as till:
        proxy.mute = True
        till.post()
        await asyncio.wait_for(proxy.swallowed.wait(), WAIT)
        till.send(1)
        till.post()
        proxy.mend()
        proxy.cut()
        _, lost, gift, share = await till.everyone()
        assert isinstance(lost, errors.Unconfirmed)
        assert isinstance(gift, Result)
        assert isinstance(share, Result)
        assert await till.posted(redis_client) == 2


MUCH = "\N{WRAPPED PRESENT}" * 200
"""A message as long as it may be. A thousand are more than sockets on this machine hold."""


@pytest.mark.parametrize("mended", [True, False])
async def test_a_call_that_was_written_in_part_counts_as_sent(redis_client: Any, redis_url: str, mended: bool) -> None:
    async with (
        RedisProxy(redis_url, receive_buffer=8192) as proxy,
        till_at(proxy.url, ledger_timeout=2 * PATIENCE, batch_max=1000) as till,
    ):
        connection: Any = till.ledger.connector._connection
        transport = connection._transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        proxy.reading.clear()
        if not mended:
            be_patient(till, 0.5)
        till.send(999, MUCH)
        till.post()
        till.send(1)
        if mended:
            await until(transport.get_write_buffer_size, pause=0)
            proxy.reading.set()
            proxy.cut()
        outcomes = (await till.everyone())[1:]
        proxy.reading.set()
        assert isinstance(outcomes[999], errors.Unconfirmed)
        assert await till.posted(redis_client) <= 1, "what was written may still arrive, whole"
        if mended:
            assert all(isinstance(outcome, Result) for outcome in outcomes[:999])
            assert isinstance(outcomes[1000], Result)
        else:
            assert {type(outcome) for outcome in outcomes[:999]} == {errors.OutcomeUnknown}
            assert isinstance(outcomes[1000], errors.LedgerUnavailable), "it was never sent"


async def test_who_can_not_be_told_keeps_nobody_else_from_being_told(redis_client: Any, redis_url: str) -> None:
    def fails(_: object) -> None:
        raise RuntimeError("broken on purpose")

    async with till_at(redis_url, like_interval=0.01) as till:
        room = await till.ledger.rooms.find("r1")
        till.ledger.free.post(room, encode_event("share", {}), fails)
        till.send(1)
        till.ledger.free.like(room, 1, fails)
        till.like(1)
        outcomes = await till.everyone()
        assert [type(outcome) for outcome in outcomes] == [Result] * 3


async def test_likes_whose_reply_is_lost_are_told_so_and_given_once(redis_client: Any, redis_url: str) -> None:
    async with Proxy(redis_url) as proxy, till_at(proxy.url, like_interval=0.01) as till:
        proxy.mute = True
        till.like(3)
        till.like(4)
        await asyncio.wait_for(proxy.swallowed.wait(), WAIT)
        proxy.mend()
        proxy.cut()
        outcomes = (await till.everyone())[1:]
        assert {type(outcome) for outcome in outcomes} == {errors.Unconfirmed}
        assert await redis_client.hget(till.ledger.keys.room("host", "r1"), "likes") == b"7"


async def test_what_single_calls_are_told_whose_reply_is_lost(redis_client: Any, redis_url: str) -> None:
    async with Proxy(redis_url) as proxy, till_at(proxy.url) as till:
        ledger, room = till.ledger, await till.ledger.rooms.find("r1")
        proxy.mute = True
        be_patient(till, 0.2)
        told = {
            ledger.wallets.grant("ann", 1, new_key(), "test", "op"): errors.OutcomeUnknown,
            ledger.rooms.open("r2", "host", "Host", ""): errors.Unconfirmed,
            ledger.rooms.end(room): errors.Unconfirmed,
            ledger.rooms.find("r3"): errors.LedgerUnavailable,
            ledger.rooms.snapshot(room): errors.LedgerUnavailable,
            ledger.rooms.top(room, 3): errors.LedgerUnavailable,
            ledger.wallets.read("ann"): errors.LedgerUnavailable,
        }
        for call, error in told.items():
            with pytest.raises(error):
                await call


async def test_single_calls_for_which_there_is_no_memory(redis_client: Any, redis_url: str) -> None:
    async with till_at(redis_url) as till, full(redis_client):
        with pytest.raises(errors.LedgerFull):
            await till.ledger.wallets.grant("ann", 1, new_key(), "test", "op")


async def test_a_room_whose_opening_got_no_reply(redis_client: Any, redis_url: str) -> None:
    async def before(words: list[bytes]) -> list[bytes]:
        proxy.mute = armed and words[0] == b"EVALSHA"
        return words

    armed = False
    async with RedisProxy(redis_url, before) as proxy, till_at(proxy.url) as till:
        armed = True
        be_patient(till, 0.2)
        with pytest.raises(errors.Unconfirmed):
            await till.ledger.rooms.open("r2", "host", "Host", "")
