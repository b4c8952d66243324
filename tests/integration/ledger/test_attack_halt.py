"""A script that fails on its way: nothing more is committed, on any node, until an operator has opened the books."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gifting import errors
from gifting.health import Health
from gifting.ledger.halt import FIELD, LOOK_PAUSE
from gifting.model.money import parse_key
from gifting.tasks import Vital, end
from tests.support.keys import new_key
from tests.support.proxy import Proxy, RedisProxy
from tests.support.till import BATCH, Till, till_at
from tests.support.waiting import until

pytestmark = pytest.mark.attack


@asynccontextmanager
async def broken_books(redis: Any, url: str, **flags: Any) -> AsyncIterator[tuple[Till, Health]]:
    """A node whose calls fail half-way: balances can be written, and then the ledger can't."""
    health = Health()
    async with till_at(url, vital=Vital(health), **flags) as till:
        for base in till.ledger.keys.bases:
            await redis.delete(f"{base}:ledger")
            await redis.set(f"{base}:ledger", "no stream")
        yield till, health


async def test_what_is_in_flight_and_what_waits_is_not_run(
    redis_client: Any, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with broken_books(redis_client, redis_url) as (till, health):
        till.send(4 * BATCH)
        outcomes = (await till.everyone())[1:]
        assert {type(outcome) for outcome in outcomes[:BATCH]} == {errors.OutcomeUnknown}, "half of it may be there"
        assert {type(outcome) for outcome in outcomes[BATCH:]} == {errors.LedgerHalted}
        buckets = [await redis_client.hkeys(key) for key in await redis_client.keys("*:keys:*")]
        assert not {parse_key(key) for key in till.keys[1 + BATCH :]} & {key for keys in buckets for key in keys}
        assert "WRONGTYPE" in health.problems["ledger"]
        (record,) = [record for record in caplog.records if record.levelno == logging.CRITICAL]
        assert "gifting audit" in record.message
        assert "gifting resume" in record.message


async def test_nothing_is_taken_from_then_on(redis_client: Any, redis_url: str) -> None:
    async with broken_books(redis_client, redis_url) as (till, _):
        till.send(1)
        await till.everyone()
        with pytest.raises(errors.LedgerHalted):
            till.send(1)
        for refused in (
            till.ledger.wallets.grant("bob", 1, new_key(), "test", "op"),
            till.ledger.rooms.end(await till.ledger.rooms.find("r1")),
            till.ledger.sweeper.sweep(),
        ):
            with pytest.raises(errors.LedgerHalted):
                await refused
        assert (await till.ledger.rooms.snapshot(await till.ledger.rooms.find("r1"))).state == "live", "reading goes on"
        why = till.ledger.halt.why
        till.ledger.halt.pull("another script")
        assert till.ledger.halt.why == why, "the first reason is the one to look for"


@pytest.mark.one_redis("gifts and free events are in one call")
async def test_what_costs_nothing_is_told_as_well(redis_client: Any, redis_url: str) -> None:
    async with broken_books(redis_client, redis_url) as (till, _):
        till.send(1)
        till.post()
        _, gift, share = await till.everyone()
        assert (type(gift), type(share)) == (errors.OutcomeUnknown, errors.Unconfirmed)


@pytest.mark.one_redis("a proxy stands before it")
async def test_a_gift_that_was_sent_before_is_never_told_that_it_was_not(redis_client: Any, redis_url: str) -> None:
    """It waits, its reply was lost; then the books are closed."""
    async with Proxy(redis_url) as proxy, broken_books(redis_client, proxy.url) as (till, _):
        proxy.mute = True
        till.send(1)
        await asyncio.wait_for(proxy.swallowed.wait(), 10)
        proxy.cut(refuse=True)
        await until(lambda: till.ledger.batcher.queued, pause=0)
        till.send(1)
        till.ledger.halt.pull("a test")
        _, sent, fresh = await till.everyone()
        assert (type(sent), type(fresh)) == (errors.OutcomeUnknown, errors.LedgerHalted)
        proxy.mend()


@pytest.mark.parametrize("script", ["grant", "sweep", "room_end"])
async def test_any_script_that_writes_the_books(redis_client: Any, redis_url: str, script: str) -> None:
    async with till_at(redis_url, vital=Vital(health := Health()), streak_window=0.1) as till:
        ledger, room = till.ledger, await till.ledger.rooms.find("r1")
        for key in (f"{ledger.keys.base('ann')}:ledger", f"{room.base}:room:r1/log"):
            await redis_client.delete(key)
            await redis_client.set(key, "no stream")
        if script == "grant":
            with pytest.raises(errors.OutcomeUnknown):
                await ledger.wallets.grant("ann", 1, new_key(), "test", "op")
        elif script == "room_end":
            with pytest.raises(errors.Unconfirmed):
                await ledger.rooms.end(room)
        else:
            await asyncio.sleep(ledger.settings.streak_window)
            with pytest.raises(errors.Unavailable):
                while True:
                    await ledger.sweeper.sweep()
        assert script in health.problems["ledger"]
        with pytest.raises(errors.LedgerHalted):
            till.send(1)


async def test_other_nodes_stop_too_and_so_does_a_new_one(redis_client: Any, redis_url: str) -> None:
    async with till_at(redis_url) as other, broken_books(redis_client, redis_url) as (till, _):
        watching = asyncio.create_task(other.ledger.halt.watch())
        till.send(1)
        await till.everyone()
        await until(lambda: other.ledger.halt.why, within=10 * LOOK_PAUSE)
        await end([watching])
        assert other.ledger.halt.why == till.ledger.halt.why
        with pytest.raises(errors.LedgerHalted):
            other.send(1)
        for base in other.ledger.keys.bases:
            await redis_client.delete(f"{base}:ledger")
    with pytest.raises(errors.LedgerHalted):
        async with till_at(redis_url):
            pass


@pytest.mark.one_redis("a proxy stands before it")
async def test_it_is_said_to_others_as_soon_as_redis_can_be_reached(redis_client: Any, redis_url: str) -> None:
    async with Proxy(redis_url) as proxy, till_at(proxy.url) as till:
        proxy.cut(refuse=True)
        till.ledger.halt.pull("a test")
        await asyncio.sleep(0)
        proxy.mend()
        await until(lambda: redis_client.hget(till.ledger.keys.meta, FIELD))


async def test_an_operator_opens_the_books(redis_client: Any, redis_url: str) -> None:
    async def resume() -> bytes:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gifting", "resume", "--redis", redis_url), stdout=asyncio.subprocess.PIPE
        )
        return (await process.communicate())[0]

    async with till_at(redis_url) as till:
        till.ledger.halt.pull("a test")
        await until(lambda: redis_client.hget(till.ledger.keys.meta, FIELD))  # a stop waits for it for a second only
    said = await resume()
    assert said.startswith(b"The books are open again; restart every node. They were closed at ")
    assert b"a test" in said
    assert await resume() == b"No halt is noted.\n"
    async with till_at(redis_url) as till:
        assert not till.ledger.halt.why


@pytest.mark.one_redis("a proxy stands before it")
async def test_an_answer_that_is_no_script_error_closes_nothing(redis_client: Any, redis_url: str) -> None:
    """Redis turned the call away before the first line: whatever the reason, nothing was written."""
    answers = [b"MISCONF Errors writing to the AOF file", b"CLUSTERDOWN The cluster is down"]

    async def before(words: list[bytes]) -> list[bytes]:
        if not answers or not armed or words[0] != b"EVALSHA":
            return words
        return [b"EVAL", b"return redis.error_reply('%b')" % answers.pop(), b"0"]

    armed = False
    async with RedisProxy(redis_url, before) as proxy, till_at(proxy.url) as till:
        armed = True
        till.send(1)
        await till.check(redis_client)
        assert not answers
        assert not till.ledger.halt.why
