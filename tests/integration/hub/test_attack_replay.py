"""Whoever comes back with an old ``since`` gets what it missed, and costs no more than it is allowed to."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from gifting.api.rooms import EVENTS_SIZE
from gifting.config import Settings, load
from gifting.hub.counters import Counters
from gifting.hub.lane import Shared
from gifting.hub.pacer import Pacer
from gifting.hub.replays import PAGE, Replays
from gifting.hub.room import Room
from gifting.hub.subscription import Subscription
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.model.packing import unpack
from gifting.wire.batch import Page
from gifting.wire.codec import JSON, MSGPACK, Codec
from gifting.wire.framing import measure
from tests.support.keys import new_key
from tests.support.server import Server
from tests.support.subscriber import Socket
from tests.support.upgrade import HEADERS, request

pytestmark = [pytest.mark.attack, pytest.mark.slow]

LOG_SIZE = 30_000_000
TEXT = "\N{GRINNING FACE}" * 200
"""The longest message that a gift can have: its event has about 1.2 kB."""

UNLIMITED: dict[str, Any] = {"replay_rate": 1e9, "replay_burst": 1_000_000_000}


@asynccontextmanager
async def a_ledger(redis_url: str, settings: Settings) -> AsyncIterator[Ledger]:
    ledger = Ledger(redis_url, settings, load_catalog())
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.stop()


async def fill_log(ledger: Ledger, size: int) -> int:
    """Gifts as they come in a rush, hundreds in each call, until the log of ``r1`` has ``size`` bytes; the last seq.

    They are no streaks, whose ends would come later.
    """
    await ledger.wallets.grant("ann", 10**12, new_key(), "test", "op")
    sender = ledger.gifts.sender("ann", {"id": "ann", "name": "Ann", "picture": "", "level": 1})
    room = await ledger.rooms.open("r1", "host", "Host", "")
    log = ledger.keys.log("host", "r1")
    while (await ledger.redis.memory_usage(log) or 0) < size:
        for _ in range(4_000):
            ledger.gifts.submit(sender, room, "skateboard", new_key(), 1, TEXT, lambda _: None)
        await ledger.batcher.drain()
    return (await ledger.rooms.snapshot(room)).seq


@asynccontextmanager
async def a_room(ledger: Ledger, settings: Settings, size: int) -> AsyncIterator[tuple[Room, int]]:
    """A room of a hub that has nothing of its log in memory; and its last seq."""
    last = await fill_log(ledger, size)
    shared = Shared(settings, Pacer(0.05), Replays(settings), Counters())
    room = Room(await ledger.rooms.find("r1"), ledger.rooms, shared, 0.0)
    await room.open()
    try:
        yield room, last
    finally:
        room.close()
        shared.pacer.stop()
        await shared.replays.stop()


class Recorder(Socket):
    """Takes everything, and remembers it as it came."""

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.codec = codec
        self.payloads: list[bytes] = []

    def write_frame(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            _, start, at_end = measure(data, at)
            self.payloads.append(data[start:at_end])
            at = at_end

    def seqs_of(self, codec: Codec) -> list[int]:
        return [event["seq"] for payload in self.payloads for event in codec.decode_any(payload)["events"]]


async def longest_pause(until: Callable[[], bool]) -> float:
    """The longest work, in seconds of this thread's CPU, that came between two turns of a timer of 1 ms."""
    gc.freeze()  # to look through all that the tests before have left is none of it
    try:
        longest, before = 0.0, time.thread_time()
        while not until():
            await asyncio.sleep(0.001)
            now = time.thread_time()
            longest, before = max(longest, now - before), now
        return longest
    finally:
        gc.unfreeze()


@pytest.mark.parametrize(("codec", "size"), [(MSGPACK, LOG_SIZE), (JSON, LOG_SIZE // 4)], ids=["msgpack", "json"])
async def test_a_long_past_comes_whole_in_small_frames_and_stalls_nobody(
    redis_url: str, redis_client: Any, codec: Codec, size: int
) -> None:
    settings = load(UNLIMITED, environ={})
    async with a_ledger(redis_url, settings) as ledger, a_room(ledger, settings, size) as (room, last):
        reader = Recorder(codec)
        subscription = Subscription(reader, room.id, room.lanes["all"], 0, False)
        room.subscribe(subscription)
        async with asyncio.timeout(30):
            stalled = await longest_pause(lambda: subscription.position == last)
    assert reader.seqs_of(codec) == list(range(1, last + 1))
    assert max(map(len, reader.payloads)) <= settings.frame_max
    assert stalled < 0.05


async def test_who_has_had_too_much_is_slowed_and_loses_nothing(redis_url: str, redis_client: Any) -> None:
    """Four times the log a second: it takes a quarter of a second."""
    size = 4_000_000
    settings = load({"replay_rate": 4.0 * size, "replay_burst": 65_536}, environ={})
    async with a_ledger(redis_url, settings) as ledger, a_room(ledger, settings, size) as (room, last):
        reader = Recorder(MSGPACK)
        began = time.monotonic()
        subscription = Subscription(reader, room.id, room.lanes["all"], 0, False)
        room.subscribe(subscription)
        async with asyncio.timeout(30):
            await longest_pause(lambda: subscription.position == last)
        assert time.monotonic() - began > 0.2
    assert reader.seqs_of(MSGPACK) == list(range(1, last + 1))


async def test_pages_are_loaded_in_turn(redis_url: str, redis_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One at a time for each connection, few at a time for all; and each goes on, those who came later too."""
    settings = load({**UNLIMITED, "replay_loads": 3}, environ={})
    async with a_ledger(redis_url, settings) as ledger, a_room(ledger, settings, 1_000_000) as (room, last):
        loading = most = 0
        read = ledger.rooms.page

        async def count(*args: Any) -> Page:
            nonlocal loading, most
            loading += 1
            most = max(most, loading)
            found = await read(*args)
            loading -= 1
            return found

        monkeypatch.setattr(ledger.rooms, "page", count)
        readers = [Recorder(MSGPACK) for _ in range(8)]
        every = [
            Subscription(reader, room.id, lane, since, False)
            for since, reader in enumerate(readers)
            for lane in (room.lanes["all"], room.lanes["live"])
        ]
        for subscription in every:
            room.subscribe(subscription)
        assert len(room._shared.replays) == len(readers), "two subscriptions of a connection wait as one"
        async with asyncio.timeout(30):
            await longest_pause(lambda: not len(room._shared.replays))
        assert [subscription.position for subscription in every] == [last] * len(every)
        assert most == 3


async def test_no_frame_is_larger_than_it_may_be_whatever_is_in_it() -> None:
    """Control characters have one byte as msgpack and six as JSON."""
    events = [{"type": "comment", "text": "\x00" * 500, "seq": seq} for seq in range(1, 101)]
    message = {"room": "r1", "seq": 100, "events": [*events, {"type": "viewers", "count": 3}], "totals": {"coins": 1}}
    parts = JSON.transcode(MSGPACK.encode(message), 8_192)
    read = [json.loads(part) for part in parts]
    assert max(map(len, parts)) <= 8_192
    assert [event for part in read for event in part["events"]] == message["events"]
    assert [part["seq"] for part in read[:-1]] == [part["events"][-1]["seq"] for part in read[:-1]]
    assert (read[-1]["seq"], read[-1]["totals"]) == (100, {"coins": 1})


# Against a server.


@pytest.fixture
async def server(redis_url: str, redis_client: Any, tmp_path: Path) -> AsyncIterator[Server]:
    """A server that has nothing of the long log of its room ``r1`` in memory."""
    async with a_ledger(redis_url, load({}, environ={})) as ledger:
        await fill_log(ledger, LOG_SIZE // 2)
    async with Server(tmp_path / "data", redis_url, **UNLIMITED) as server:
        yield server


def resident(server: Server) -> int:
    """Bytes of memory that the server has."""
    assert server.process is not None
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def deaf_sockets(server: Server, count: int) -> Iterator[None]:
    """Connections of one overlay that ask for all of the past, and then read nothing."""
    host, port = server.url.removeprefix("http://").split(":")
    opened = []
    try:
        for _ in range(count):
            deaf = socket.socket()
            opened.append(deaf)
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect((host, int(port)))
            token = server.token("host", "overlay", room="r1")
            deaf.sendall(request(*HEADERS, first=f"GET /v1/ws?token={token} HTTP/1.1"))
            assert deaf.recv(12) == b"HTTP/1.1 101"
            payload = json.dumps({"op": "join", "id": 1, "room": "r1", "since": 0}).encode()
            deaf.sendall(bytes((0x81, 0x80 | len(payload))) + bytes(4) + payload)
        yield
    finally:
        for deaf in opened:
            deaf.close()


def dial(server: Server, token: str, codec: Codec = MSGPACK) -> connect:
    headers = {"Authorization": f"Bearer {token}"}
    url = server.url.replace("http", "ws") + "/v1/ws"
    return connect(url, subprotocols=[Subprotocol(codec.subprotocol)], additional_headers=headers, compression=None)


async def test_those_who_do_not_read_cost_little_memory_and_delay_nobody(server: Server) -> None:
    before = resident(server)
    with deaf_sockets(server, 20):
        async with dial(server, server.token("bob")) as socket:
            await socket.send(MSGPACK.encode({"op": "join", "id": 1, "room": "r1", "since": 0, "lane": "all"}))
            reply = unpack(await socket.recv(decode=False))
            seen = 0
            async with asyncio.timeout(30):
                while seen < reply["room"]["seq"]:
                    message = unpack(await socket.recv(decode=False))
                    assert [event["seq"] for event in message["events"]] == list(range(seen + 1, message["seq"] + 1))
                    seen = message["seq"]
        assert resident(server) - before < 24 << 20


async def test_what_is_replayed_is_paid_for(redis_url: str, redis_client: Any, tmp_path: Path) -> None:
    """One link, many joins: what they may have is bounded, and then they are told when to come back."""
    async with a_ledger(redis_url, load({}, environ={})) as ledger:
        last = await fill_log(ledger, 4_000_000)
    rate, burst = 65_536, 1 << 20
    async with Server(tmp_path / "data", redis_url, replay_rate=rate, replay_burst=burst) as server:
        overlay = server.token("host", "overlay", room="r1")
        got, refused, began = 0, None, time.monotonic()
        async with dial(server, overlay) as socket:
            for number in range(1, 80):
                since = number % 7
                await socket.send(MSGPACK.encode({"op": "join", "id": number, "room": "r1", "since": since}))
                async with asyncio.timeout(10):
                    while "re" not in (message := unpack(data := await socket.recv(decode=False))):
                        got += len(data)
                if not message["ok"]:
                    refused = message["error"]
                    break
            assert refused is not None
            assert (refused["code"], refused["temporary"]) == ("rate_limited", True)
            assert got < burst + rate * (time.monotonic() - began) + 4 * PAGE
            # What costs nothing is never refused, and nobody else pays.
            await socket.send(MSGPACK.encode({"op": "join", "id": 100, "room": "r1"}))
            assert (await reply_to(socket, 100))["ok"]
            await socket.send(MSGPACK.encode({"op": "join", "id": 101, "room": "r1", "since": last}))
            assert (await reply_to(socket, 101))["ok"]
        async with dial(server, server.token("bob")) as socket:
            await socket.send(MSGPACK.encode({"op": "join", "id": 1, "room": "r1", "since": 0}))
            assert (await reply_to(socket, 1))["ok"]


async def reply_to(socket: ClientConnection, number: int) -> dict[str, Any]:
    """What is replied; what is replayed before it, of a join of before, is passed over."""
    async with asyncio.timeout(10):
        while (message := unpack(await socket.recv(decode=False))).get("re") != number:
            pass
    return dict(message)


async def test_events_over_http_come_in_pages_of_bytes(server: Server) -> None:
    since, replies = 0, 0
    while replies < 5:
        reply = await server.operator.call("GET", f"/v1/rooms/r1/events?since={since}&limit=1000")
        assert [event["seq"] for event in reply["events"]] == list(range(since + 1, reply["seq"] + 1))
        assert not reply["gap"]
        assert 0 < sum(len(MSGPACK.encode(event)) for event in reply["events"]) < EVENTS_SIZE + PAGE + 4_096
        since, replies = reply["seq"], replies + 1
    few = await server.operator.call("GET", "/v1/rooms/r1/events?since=7&limit=3")
    assert [event["seq"] for event in few["events"]] == [8, 9, 10]
