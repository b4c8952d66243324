"""A node that reads more slowly than events come: it parts in order, before Redis cuts it off amid a commit."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect

from gifting.bench.soak.proxy import Proxy
from gifting.ledger.feed import Feed
from gifting.ledger.pulse import BACKLOG_MAX
from gifting.model.values import Result
from gifting.tasks import end
from tests.support.keys import new_key
from tests.support.server import Server
from tests.support.till import Till, till_at
from tests.support.waiting import until

pytestmark = [
    pytest.mark.attack,
    pytest.mark.slow,
    pytest.mark.one_redis("it hears on the connection that it commits on"),
]

CHANNEL = "x:1"
PIECE = 64 << 10
FLOOD = "for _ = 1, ARGV[1] do redis.call('SPUBLISH', KEYS[1], ARGV[2]) end"
GROWTH_MAX = 6 << 20
"""Bytes that come between two questions, and some more."""
AHEAD = 1 << 20
"""Bytes that have come before any is read."""
BEHIND_MAX = 0.1
"""Seconds by which a loop that stood still makes up for it."""


class SlowProxy(Proxy):
    """What comes back is passed on at ``rate`` bytes a second; ``passed`` is how much that was."""

    rate = 1e9
    passed = 0

    async def _pump(self, reader: asyncio.StreamReader, writer: Any, *, returns: bool) -> None:
        if not returns:
            await super()._pump(reader, writer, returns=False)
            return
        time = asyncio.get_running_loop().time
        due = time()
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
            self.passed += len(data)
            due = max(due, time() - BEHIND_MAX) + len(data) / self.rate
            await asyncio.sleep(due - time())


class Talker:
    """A viewer who sends gifts, and keeps what is replied and which events are seen."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._said = 0
        self.replies: dict[int, Any] = {}
        self.seqs: list[int] = []

    @classmethod
    @asynccontextmanager
    async def at(cls, server: Server, user: str) -> AsyncIterator[Talker]:
        headers = {"Authorization": f"Bearer {server.token(user)}"}
        url = server.url.replace("http", "ws") + "/v1/ws"
        async with connect(url, additional_headers=headers, compression=None, max_queue=None) as socket:
            talker = cls(socket)
            await socket.send(json.dumps({"op": "join", "id": 0, "room": "r1", "lane": "all"}))
            reading = asyncio.create_task(talker._read())
            try:
                await until(lambda: 0 in talker.replies)
                yield talker
            finally:
                await end([reading])

    async def _read(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            if "re" in message:
                self.replies[message["re"]] = message
            elif message["room"]:
                self.seqs += [event["seq"] for event in message["events"] if "seq" in event]

    async def gift(self) -> None:
        self._said += 1
        said = {"op": "send_gift", "id": self._said, "room": "r1", "gift": "spark", "key": new_key()}
        await self._socket.send(json.dumps(said))

    async def talk(self, seconds: float) -> None:
        ended = time.monotonic() + seconds
        while time.monotonic() < ended:
            await self.gift()
            await asyncio.sleep(0.02)

    async def settled(self) -> None:
        await until(lambda: len(self.replies) == self._said + 1)


class Watched:
    """The most that Redis ever held for a subscriber, bytes, and who they were."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self.held_most = 0
        self.ids: set[str] = set()

    async def watch(self) -> None:
        while True:
            for client in await self._redis.client_list(_type="pubsub"):
                self.held_most = max(self.held_most, int(client["omem"]))
                self.ids.add(client["id"])
            await asyncio.sleep(0.02)


@asynccontextmanager
async def slow_node(redis: Any, url: str) -> AsyncIterator[tuple[SlowProxy, Till, Feed, Watched]]:
    # What waits behind 8 MiB does so for 4 s, and for longer on a busy machine.
    async with SlowProxy(url) as proxy, till_at(proxy.url, ledger_timeout=20.0) as till:
        heard, resyncs = list[int](), list[None]()
        feed = Feed(
            till.ledger.connector,
            [CHANNEL],
            "x:heartbeat",
            0.8,
            lambda data: heard.append(len(data)),
            lambda: resyncs.append(None),
        )
        till.ledger.connector.renew(ConnectionError("so that it subscribes"))
        await until(lambda: resyncs)
        watched = Watched(redis)
        tasks = [asyncio.create_task(work) for work in (feed.run(), watched.watch())]
        try:
            yield proxy, till, feed, watched
        finally:
            await end(tasks)


@pytest.mark.parametrize("rate", [2, 8])
async def test_it_parts_in_order_and_nobody_is_told_that_nobody_knows(
    redis_client: Any, redis_url: str, caplog: Any, rate: int
) -> None:
    async with slow_node(redis_client, redis_url) as (proxy, till, feed, watched), Redis.from_url(redis_url) as other:
        proxy.rate = rate << 20
        ended = time.monotonic() + 3.5 + 8 / rate
        published, read, parted = 0, proxy.passed, False
        while time.monotonic() < ended or not parted:
            pieces = (2 * (proxy.passed - read) + AHEAD - published) // PIECE  # twice as fast as it reads
            await other.eval(FLOOD, 1, CHANNEL, pieces, "x" * PIECE)
            published += pieces * PIECE
            till.send(2)
            till.post()
            await asyncio.sleep(1 / 16)
            parted = parted or not till.ledger.connector.up
        proxy.rate = 1e9
        assert {type(outcome) for outcome in await till.everyone()} == {Result}
        assert not any(outcome.duplicate for outcome in till.told)
        await until(lambda: feed.reconnects > 0)
        said = [int(text.replace(",", "")) for text in re.findall(r"([\d,]+) bytes wait", caplog.text)]
        assert min(said) > BACKLOG_MAX
        assert watched.held_most < max(said) + GROWTH_MAX, "once it is known, Redis holds no more"


async def test_a_node_that_stood_still_is_not_cut_off(redis_client: Any, redis_url: str, tmp_path: Path) -> None:
    """What it had sent is confirmed as usual, and its viewers miss nothing."""
    async with (
        Server(tmp_path / "a", redis_url) as busy,
        Server(tmp_path / "b", redis_url) as stopped,
        Redis.from_url(redis_url, decode_responses=True) as redis,
    ):
        await busy.room("r1")
        await busy.operator.grant_each(["ann", "bob"], 10_000)
        async with Talker.at(busy, "ann") as ann, Talker.at(stopped, "bob") as bob:
            before = await subscribers(redis)
            await asyncio.gather(ann.talk(1.0), bob.talk(1.0))
            os.kill(stopped.pid, signal.SIGSTOP)
            try:
                await bob.gift()
                await ann.talk(2.0)
            finally:
                os.kill(stopped.pid, signal.SIGCONT)
            await asyncio.gather(ann.talk(0.5), bob.talk(0.5))
            await asyncio.gather(ann.settled(), bob.settled())
            for talker in (ann, bob):
                assert {reply["ok"] for reply in talker.replies.values()} == {True}
                assert not any(reply.get("duplicate") for reply in talker.replies.values())
            last = max(reply["seq"] for talker in (ann, bob) for reply in talker.replies.values() if "seq" in reply)
            await until(lambda: min(ann.seqs[-1], bob.seqs[-1]) >= last)
            for talker in (ann, bob):
                assert talker.seqs == list(range(talker.seqs[0], talker.seqs[-1] + 1))
            assert await subscribers(redis) == before


async def subscribers(redis: Any) -> set[str]:
    return {client["id"] for client in await redis.client_list(_type="pubsub")}
