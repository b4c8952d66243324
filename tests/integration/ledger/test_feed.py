"""The feed notices that nothing comes through, whatever is answered meanwhile, and cuts no commit for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from redis.asyncio import Redis

from gifting.ledger.address import Address
from gifting.ledger.connector import Connector
from gifting.ledger.feed import Feed
from gifting.ledger.pulse import BACKLOG_MAX
from gifting.model.values import Result
from gifting.tasks import end
from tests.support.proxy import RedisProxy
from tests.support.till import Till, till_at
from tests.support.waiting import until

pytestmark = [pytest.mark.attack, pytest.mark.one_redis("its feed, on the connection that it commits on")]

CHANNEL, HEARTBEAT = "x:1", "x:heartbeat"
SILENCE = 0.3
"""Seconds after which a feed that hears nothing does something about it."""

BORNE = 1.2
"""The same where nothing is to be done: a busy machine must not be taken for silence."""


class Ears:
    """A feed, and what it has heard."""

    def __init__(self, connector: Connector, silence: float = SILENCE) -> None:
        self.heard: list[bytes] = []
        self.resyncs = 0
        self.fails = 0
        self.feed = Feed(connector, [CHANNEL], HEARTBEAT, silence, self._receive, self._resync)

    def _receive(self, payload: bytes) -> None:
        if payload == b"garbage":
            raise ValueError
        self.heard.append(payload)

    def _resync(self) -> None:
        self.resyncs += 1


@asynccontextmanager
async def ears_at(url: str, timeout: float = 5.0, silence: float = SILENCE) -> AsyncIterator[Ears]:
    connector = Connector(Address(url), timeout)
    ears = Ears(connector, silence)
    tasks = [asyncio.create_task(work) for work in (connector.run(), ears.feed.run())]
    try:
        yield ears
    finally:
        await end(tasks)


@asynccontextmanager
async def till_with_ears(url: str, **flags: Any) -> AsyncIterator[tuple[Till, Ears]]:
    async with till_at(url, **flags) as till:
        ears = Ears(till.ledger.connector)
        till.ledger.connector.renew(ConnectionError("so that it subscribes"))
        await ears.feed.ready()
        running = asyncio.create_task(ears.feed.run())
        try:
            yield till, ears
        finally:
            await end([running])


async def publish(redis: Any, payload: bytes) -> None:
    await redis.spublish(CHANNEL, payload)


async def hears_again(redis: Any, ears: Ears) -> None:
    """What is published is heard, if not at first: what was silent for too long may just be made anew once more."""

    async def is_heard() -> bool:
        await publish(redis, b"a")
        return bool(ears.heard)

    await until(is_heard)
    assert set(ears.heard) == {b"a"}


async def test_it_is_ready_when_it_is_subscribed(redis_url: str, redis_client: Any) -> None:
    async with RedisProxy(redis_url) as proxy:
        proxy.cut(refuse=True)
        async with ears_at(proxy.url, silence=BORNE) as ears:
            waiting = asyncio.create_task(ears.feed.ready())
            assert not (await asyncio.wait([waiting], timeout=0.2))[0]
            assert not ears.feed.healthy
            proxy.mend()
            await asyncio.wait_for(waiting, 5)
            assert ears.feed.healthy
            assert (ears.resyncs, ears.feed.reconnects) == (1, 0)
            await publish(redis_client, b"a")
            await until(lambda: ears.heard == [b"a"])


async def test_nothing_happens_while_heartbeats_come(redis_url: str, redis_client: Any) -> None:
    async with ears_at(redis_url, silence=BORNE) as ears:
        await asyncio.wait_for(ears.feed.ready(), 5)
        await asyncio.sleep(4 * BORNE)
        assert ears.feed.healthy
        assert (ears.resyncs, ears.feed.reconnects) == (1, 0)


async def test_a_subscription_that_redis_lost_is_made_anew_in_order(redis_url: str, redis_client: Any) -> None:
    """Commands are answered all the time; only what is published does not come."""
    async with RedisProxy(redis_url) as proxy, till_with_ears(proxy.url) as (till, ears):
        lost = proxy.connections
        proxy.change = lambda data: data.replace(b"$8\r\nsmessage\r\n", b"$8\r\nSMESSAGE\r\n")
        till.send(1)
        till.post()
        await until(lambda: not ears.feed.healthy)
        await until(lambda: proxy.connections > lost)
        proxy.change = bytes
        await until(lambda: ears.feed.healthy)
        assert ears.resyncs == ears.feed.reconnects + 1 > 1
        assert {type(outcome) for outcome in await till.everyone()} == {Result}
        assert not any(outcome.duplicate for outcome in till.told)
        await hears_again(redis_client, ears)


async def test_a_silence_amid_a_commit_waits_for_its_reply(redis_url: str, redis_client: Any) -> None:
    """Redis may have much to do. That it is longer silent than a feed may be is no reason to give a commit up."""
    async with till_with_ears(redis_url, ledger_timeout=10) as (till, _):
        await redis_client.client_pause(int(SILENCE * 4 * 1000), all=True)
        till.post()
        till.send(1)
        await till.everyone()
        assert {type(outcome) for outcome in till.told} == {Result}
        assert not any(outcome.duplicate for outcome in till.told)


async def test_a_silence_of_the_whole_connection_ends_it_at_once(redis_url: str, redis_client: Any) -> None:
    """If nothing but its own is asked there is nothing to wait for: a command has a minute here."""
    async with RedisProxy(redis_url) as proxy, ears_at(proxy.url, timeout=60) as ears:
        await asyncio.wait_for(ears.feed.ready(), 5)
        proxy.mute = True
        began = time.monotonic()
        await until(lambda: proxy.connections > 1)
        assert SILENCE * 0.7 < time.monotonic() - began < 30
        proxy.mend()
        proxy.cut()
        await until(lambda: ears.feed.healthy and ears.resyncs > 1)


async def test_what_can_not_be_read_makes_all_rooms_look_and_ends_nothing(
    redis_url: str, redis_client: Any, caplog: Any
) -> None:
    async with ears_at(redis_url, silence=BORNE) as ears:
        await asyncio.wait_for(ears.feed.ready(), 5)
        for payload in (b"a", b"garbage", b"b"):
            await publish(redis_client, payload)
        await until(lambda: ears.heard == [b"a", b"b"])
        assert (ears.resyncs, ears.feed.reconnects) == (2, 0)
        assert "can't be read" in caplog.text


@pytest.mark.parametrize("held", [BACKLOG_MAX, BACKLOG_MAX + 1, None])
async def test_what_redis_says_that_it_holds(redis_url: str, redis_client: Any, held: int | None) -> None:
    """Up to the bound nothing happens, nor if it does not say, or says no."""

    async def before(words: list[bytes]) -> list[bytes]:
        if words[0] != b"CLIENT" or words[1] != b"INFO":
            return words
        asked.append(None)
        if held is None:
            return [b"EVAL", b"return redis.error_reply('NOPERM no')", b"0"]
        return [b"ECHO", b"id=1 obl=0 omem=%d tot-mem=999999999 events=r" % held]

    asked: list[None] = []
    async with RedisProxy(redis_url, before) as proxy, ears_at(proxy.url, silence=BORNE) as ears:
        await until(lambda: len(asked) > 4)
        assert (ears.resyncs > 1) == (held == BACKLOG_MAX + 1)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_while_the_loop_stands_still_nothing_can_be_heard(redis_url: str, run: Callable[[Any], None]) -> None:
    async def stand_still() -> None:
        async with Redis.from_url(redis_url) as redis, ears_at(redis_url, silence=BORNE) as ears:
            await asyncio.wait_for(ears.feed.ready(), 5)
            for _ in range(5):
                await publish(redis, b"a")
                time.sleep(1.2 * BORNE)  # noqa: ASYNC251  # on purpose
                await asyncio.sleep(BORNE / 2)
            assert (ears.resyncs, ears.feed.reconnects) == (1, 0)

    run(stand_still())


async def test_a_heartbeat_that_is_forbidden_is_no_end_of_the_process(redis_url: str, redis_client: Any) -> None:
    await redis_client.execute_command("ACL", "SETUSER", "mute", "reset", "on", "nopass", "+@all", "-spublish", "&x:*")
    try:
        async with ears_at(f"{redis_url}?username=mute&password=any") as ears:
            await until(lambda: ears.feed.reconnects > 1)
            await redis_client.execute_command("ACL", "SETUSER", "mute", "+spublish")
            await until(lambda: ears.feed.healthy)
            await hears_again(redis_client, ears)
    finally:
        await redis_client.acl_deluser("mute")
