"""One RESP3 connection: whatever comes over it, however it is cut, each command ends once and in order."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any

import pytest
import uvloop
from redis.exceptions import InvalidResponse, NoPermissionError, RedisError, ResponseError

from gifting.ledger.connection import LATE
from tests.support.dialling import Listening, listening_at
from tests.support.puppet import Puppet
from tests.support.waiting import until

pytestmark = [pytest.mark.attack, pytest.mark.one_redis("its connection to one Redis")]

TIMEOUT = 0.2
STEP = 0.001
"""Seconds by which a clock is moved."""


@asynccontextmanager
async def led(timeout: float = 5.0) -> AsyncIterator[tuple[Puppet, Listening]]:
    """A puppet, and a connection that has come to it."""
    async with Puppet() as puppet, listening_at(puppet.url, timeout, greet=False) as connection:
        await until(lambda: puppet.open)
        yield puppet, connection


class Clock:
    """That of the loop: it stands until it is moved."""

    def __init__(self, now: float) -> None:
        self.now = now

    async def move(self, seconds: float = STEP) -> None:
        """What is due then has been done."""
        self.now += seconds
        for _ in range(3):
            await asyncio.sleep(0)


@contextmanager
def standing() -> Iterator[Clock]:
    """However busy the machine is."""
    loop = asyncio.get_running_loop()
    clock = Clock(loop.time())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "time", lambda: clock.now)
        yield clock


def push(*words: bytes) -> bytes:
    return b">%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


LONG = b"\r\n:1\r\n" * 20
SAID = (
    b"$%d\r\n%b\r\n" % (len(LONG), LONG)
    + push(b"smessage", b"channel", b"a\r\nb")
    + b"-OOM no\r\n"
    + push(b"subscribe", b"channel", b"1")
    + b"*2\r\n$1\r\na\r\n_\r\n"
    + push(b"smessage", b"channel", b"")
    + b":7\r\n"
)


def check_said(came: list[Any]) -> None:
    assert came[0] == LONG
    assert came[1] == (b"channel", b"a\r\nb")
    assert isinstance(came[2], RedisError)
    assert came[3:] == [[b"a", None], (b"channel", b""), 7]


async def test_what_comes_may_be_cut_at_any_byte() -> None:
    async with led() as (_, connection):
        for size in (1, 2, 3):
            for cut in range(len(SAID)):
                connection.came.clear()
                for _ in range(4):
                    connection.ask("PING")
                for piece in (SAID[:cut], *(SAID[at : at + size] for at in range(cut, len(SAID), size))):
                    connection.data_received(piece)
                check_said(connection.came)
        assert connection.up


async def test_and_much_may_come_in_one_read() -> None:
    async with led() as (_, connection):
        for _ in range(1000 * 4):
            connection.ask("PING")
        connection.data_received(SAID * 1000)
        for at in range(0, 6000, 6):
            check_said(connection.came[at : at + 6])
        assert len(connection.came) == 6000
        assert not connection.unanswered


async def test_a_huge_reply(redis_url: str) -> None:
    async with listening_at(redis_url, 30, ("x:1",)) as connection:
        huge, after = connection.ask("EVAL", "return string.rep('x', 1e7)", 0), connection.ask("SPUBLISH", "x:1", "")
        assert len(await huge) == 10_000_000
        assert await after == 1


async def test_an_error_inside_a_reply_is_no_end(redis_url: str) -> None:
    async with listening_at(redis_url) as connection:
        for words in (("MULTI",), ("INCR", "x"), ("HGET", "x", "y")):
            connection.ask(*words)
        one, wrong = await connection.ask("EXEC")
        assert one == 1
        assert isinstance(wrong, ResponseError)
        assert await connection.ask("DEL", "x") == 1


@pytest.mark.parametrize(
    "kind",
    [
        [b"invalidate", b""],
        [b"ssubscribe", b"c", b"1"],
        [b"sunsubscribe", b"c"],
        [b"message", b"c", b"x"],
        [b"pmessage", b"*", b"c", b""],
    ],
)
async def test_pushes_of_other_kinds_are_nobodys_reply(kind: list[bytes]) -> None:
    async with led() as (puppet, connection):
        answer = connection.ask("PING")
        puppet.say(push(*kind) + b"+PONG\r\n")
        await answer
        assert connection.came == [b"PONG"]


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$-7\r\nabc", b"*1\r\n@\r\n", b"\0" * 100])
async def test_what_is_not_resp_ends_it_and_all_in_flight_in_order(said: bytes) -> None:
    async with led() as (puppet, connection):
        first, *rest = [connection.ask("PING") for _ in range(3)]
        puppet.say(b"+PONG\r\n" + said)
        error = await asyncio.wait_for(connection.lost, 5)
        assert isinstance(error, InvalidResponse)
        assert await first == b"PONG"
        assert [await answer for answer in rest] == [error, error]
        assert not connection.up


async def test_a_reply_that_nobody_waits_for_ends_it_as_an_error_of_redis() -> None:
    """Whose reply the next one were nobody could tell. It is no reason to end the process."""
    async with led() as (puppet, connection):
        puppet.say(b"+PONG\r\n")
        assert isinstance(await asyncio.wait_for(connection.lost, 5), InvalidResponse)


async def test_who_fails_on_a_reply_ends_it_and_the_others_are_told() -> None:
    def fails(_: object) -> None:
        raise ZeroDivisionError

    async with led() as (puppet, connection):
        connection.call(b"", fails)
        behind = connection.ask("PING")
        puppet.say(b"+PONG\r\n+PONG\r\n")
        assert isinstance(await asyncio.wait_for(connection.lost, 5), ZeroDivisionError)
        assert isinstance(await behind, ZeroDivisionError)


async def test_a_closed_connection_is_told_to_all_in_flight_in_order() -> None:
    async with led() as (puppet, connection):
        told: list[tuple[int, Any]] = []
        for number in range(5):
            connection.call(b"%d" % number, partial(lambda *end: told.append(end), number))
        await puppet.told(b"4")
        for transport in puppet.open:
            transport.close()
        error = await asyncio.wait_for(connection.lost, 5)
        assert told == [(number, error) for number in range(5)]
        await asyncio.wait_for(connection.closed.wait(), 5)


# Time.


async def test_one_timer_watches_over_all_commands(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, timers = asyncio.get_running_loop(), list[float]()
    call_later = loop.call_later

    def counted(delay: float, *arguments: Any) -> asyncio.TimerHandle:
        timers.append(delay)
        return call_later(delay, *arguments)

    async with listening_at(redis_url, timeout=60) as connection:
        monkeypatch.setattr(loop, "call_later", counted)
        for _ in range(100):
            for _ in range(10):
                connection.ask("PING")
            await connection.ask("PING")
        assert len(timers) <= 1


async def test_a_silence_ends_all_in_flight() -> None:
    async with led(TIMEOUT) as (_, connection):
        with standing() as clock:
            began, answers = clock.now, [connection.ask("PING") for _ in range(3)]
            while not connection.lost.done():
                await clock.move()
            assert TIMEOUT - STEP < clock.now - began < TIMEOUT + LATE + 3 * STEP
        error = await connection.lost
        assert isinstance(error, TimeoutError)
        assert [await answer for answer in answers] == [error] * 3


async def test_each_has_its_own_time_from_when_it_was_written() -> None:
    async with led(TIMEOUT) as (puppet, connection):
        with standing() as clock:
            first = connection.ask("PING")
            await clock.move(0.3 * TIMEOUT)
            second, written = connection.ask("PING"), clock.now
            puppet.say(b"+PONG\r\n")
            assert await first == b"PONG"
            while not second.done():
                await clock.move()
            assert TIMEOUT - STEP < clock.now - written < TIMEOUT + LATE + 3 * STEP
        assert isinstance(await second, TimeoutError)


@pytest.mark.parametrize("answered", [True, False])
async def test_a_reply_may_be_behind_much_that_was_published(answered: bool) -> None:
    """While it comes the reply is waited for, but not for ever."""
    async with led(TIMEOUT) as (puppet, connection):
        with standing() as clock:
            answer, began = connection.ask("PING"), clock.now
            while not answer.done() and not (answered and clock.now - began > 1.25 * TIMEOUT):
                came = len(connection.came)
                puppet.say(push(b"smessage", b"channel", b"a"))
                while len(connection.came) == came:
                    await asyncio.sleep(0)
                await clock.move()
            if answered:
                puppet.say(b"+PONG\r\n")
                assert await answer == b"PONG"
            else:
                assert 2 * TIMEOUT - STEP < clock.now - began < 2 * TIMEOUT + LATE + 3 * STEP
                assert isinstance(await answer, TimeoutError)


async def test_who_waits_for_nothing_may_be_silent(redis_url: str, caplog: Any) -> None:
    async with listening_at(redis_url, timeout=5.0) as connection:
        await connection.ask("PING")
        with standing() as clock:
            await clock.move(3 * 5.0)
        assert await connection.ask("PING") == b"PONG"
        assert not caplog.records


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_what_was_answered_while_the_loop_stood_still_is_an_answer(
    redis_url: str, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """Its time is over before it is read: uvloop looks at its timers first after it stood still over another socket."""

    async def stand_still() -> None:
        loop, (here, there) = asyncio.get_running_loop(), socket.socketpair()

        def stand() -> None:
            here.recv(1)
            while came(connection) < connection.unanswered * len(b"+PONG\r\n"):
                time.sleep(0.001)
            time.sleep(TIMEOUT * 2.5)

        with here, there:
            # What is said first would have no more time than what is asked here.
            async with listening_at(redis_url, TIMEOUT, greet=False) as connection:
                loop.add_reader(here, stand)
                for _ in range(3):
                    answers = [connection.ask("PING") for _ in range(3)]
                    there.send(b"x")
                    assert [await answer for answer in answers] == [b"PONG"] * 3
                loop.remove_reader(here)

    run(stand_still())


def came(connection: Listening) -> int:
    """Bytes that it could read, 99 at most."""
    with socket.socket(fileno=os.dup(connection._transport.get_extra_info("socket").fileno())) as end:
        with suppress(BlockingIOError):
            return len(end.recv(99, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        return 0


# The end, and the beginning.


async def test_parting_waits_for_what_is_in_flight() -> None:
    async with led() as (puppet, connection):
        first, second, why = connection.ask("PING"), connection.ask("PING"), RedisError("enough")
        connection.part(why)
        assert not connection.up
        puppet.say(b"+PONG\r\n")
        assert await first == b"PONG"
        assert not connection.lost.done()
        puppet.say(b"+PONG\r\n")
        assert await second == b"PONG"
        assert await asyncio.wait_for(connection.lost, 5) is why


async def test_parting_without_any_is_at_once(redis_url: str) -> None:
    async with listening_at(redis_url) as connection:
        connection.part(RedisError("enough"))
        assert connection.lost.done()


async def test_parting_from_a_silent_one_ends_in_time() -> None:
    async with led(TIMEOUT) as (_, connection):
        answer = connection.ask("PING")
        connection.part(RedisError("enough"))
        assert isinstance(await answer, TimeoutError)


async def test_a_reply_comes_before_what_its_call_published(redis_url: str) -> None:
    """So that who sent a gift is told so before the event of it."""
    async with listening_at(redis_url, channels=("x:1",)) as connection:
        for number in range(20):
            connection.ask("EVAL", "redis.call('SPUBLISH', KEYS[1], ARGV[1]) return ARGV[1]", 1, "x:1", number)
        await connection.ask("PING")
        said = [entry for number in range(20) for entry in (b"%d" % number, (b"x:1", b"%d" % number))]
        assert connection.came == [*said, b"PONG"]


async def test_a_subscription_that_is_refused_is_the_error(redis_client: Any, redis_url: str) -> None:
    await redis_client.acl_setuser("deaf", enabled=True, nopass=True, commands=["+@all"], keys=["*"], reset=True)
    try:
        with pytest.raises(NoPermissionError):
            async with listening_at(f"{redis_url}?username=deaf&password=any", channels=("x:1",)):
                pass
    finally:
        await redis_client.acl_deluser("deaf")
