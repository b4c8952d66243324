"""When a connection reads and when it does not; the real hub, a socket that records."""

from __future__ import annotations

import asyncio
import gc
import itertools
import time
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from gifting.config import load
from gifting.hub.hub import Hub
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.transport.connection import FRAMES_AT_ONCE, Connection
from gifting.transport.gateway import Gateway
from gifting.transport.handshake import Upgrade
from gifting.wire.codec import JSON
from gifting.wire.framing import measure
from gifting.wire.keyring import Keyring
from gifting.wire.tokens import issue
from tests.support.raw import FIN, KEY, PING, masked, says

SECRET = "a secret for tests only, 32 bytes+"


class Socket(asyncio.Transport):
    """Records what is written and whether it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reading = True

    def write(self, data: Any) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def is_closing(self) -> bool:
        return False

    @property
    def answered(self) -> list[int]:
        """What the replies so far reply to."""
        data, found = self.written.partition(b"\r\n\r\n")[2], []
        while data:
            _, start, end = measure(data, 0)
            if data[0] & 0x0F == 1:
                found.append(JSON.decode_any(data[start:end])["re"])
            data = data[end:]
        return found


class World:
    def __init__(self, **settings: Any) -> None:
        made = load(settings, environ={})
        ledger = Ledger("redis://127.0.0.1:1", made, load_catalog())
        self.hub = Hub(ledger.rooms, made, "test")
        self.gateway = Gateway(ledger, self.hub, made, Keyring([SECRET]))
        self.socket = Socket()
        self.connection = Connection(self.gateway)
        self.connection.connection_made(self.socket)
        self.gateway.lobby.sockets += 1
        self.connection.open(self.upgrade())

    def upgrade(self) -> Upgrade:
        token = issue(SECRET, "ann", "viewer", now=time.time(), ttl=100)
        return Upgrade("/v1/ws", {"host": "a", "sec-websocket-key": KEY, "authorization": f"Bearer {token}"}, b"")

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.001)


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., World]]:
    made: list[World] = []

    def build(**settings: Any) -> World:
        made.append(World(**settings))
        return made[-1]

    yield build
    for world in made:
        world.connection.connection_lost(None)
        await world.gateway.stop()
        await world.hub.stop()


def pings(count: int) -> bytes:
    return b"".join(says(op="ping", id=number) for number in range(count))


async def test_one_pass_takes_so_many_frames_and_the_rest_comes_next(make: Callable[..., World]) -> None:
    world = make(message_burst=1000)
    count = 2 * FRAMES_AT_ONCE + 10
    passed: list[int] = []
    world.connection.data_received(pings(count) + pings(1)[:5])
    assert not world.socket.reading
    while len(world.socket.answered) < count:
        passed.append(len(world.socket.answered))
        await asyncio.sleep(0)
    assert {after - before for before, after in itertools.pairwise(passed)} <= {0, FRAMES_AT_ONCE}
    assert world.socket.answered == list(range(count))
    assert world.socket.reading
    world.connection.data_received(pings(1)[5:])
    await world.until(lambda: len(world.socket.answered) == count + 1)


async def test_what_the_allowance_does_not_pay_for_waits_and_is_taken_in_order(make: Callable[..., World]) -> None:
    began = time.monotonic()
    world = make(message_rate=10, message_burst=10)
    world.connection.data_received(pings(20))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    refilled = 10 * (time.monotonic() - began)
    assert 9 <= len(world.socket.answered) <= 10 + refilled, "one was for the connection, and the last may overdraw"
    assert (world.socket.reading, len(world.gateway.throttle)) == (False, 1)
    await world.until(lambda: len(world.socket.answered) == 20)
    assert world.socket.answered == list(range(20))
    assert (world.socket.reading, len(world.gateway.throttle)) == (True, 0)


async def test_bytes_are_paid_for_as_messages_are(make: Callable[..., World]) -> None:
    world = make(byte_rate=10_000, byte_burst=1024)
    world.connection.data_received(masked(FIN | PING, b"x" * 100) * 20)
    assert not world.socket.reading
    assert 9 <= world.socket.written.count(b"x" * 100) <= 11
    await world.until(lambda: world.socket.written.count(b"x" * 100) == 20)


async def test_nothing_is_read_for_one_who_does_not_read(make: Callable[..., World]) -> None:
    """Frames that have come are kept; the allowance and the socket's buffer are waited for one as the other."""
    world = make(message_rate=200, message_burst=5)
    world.connection.pause_writing()
    world.connection.data_received(pings(8))
    await asyncio.sleep(0.1)
    assert (world.socket.answered, world.socket.reading) == ([], False)
    world.connection.resume_writing()
    await world.until(lambda: len(world.socket.answered) == 8)
    assert world.socket.reading


async def test_an_allowance_is_shared_by_all_connections_of_one(make: Callable[..., World]) -> None:
    world = make(message_rate=1, message_burst=10)
    other = Connection(world.gateway)
    other.connection_made(Socket())
    world.gateway.lobby.sockets += 1
    other.open(world.upgrade())
    world.connection.data_received(pings(20))
    other.data_received(pings(1))
    assert list(world.gateway.throttle._held) == [world.connection, other]
    other.connection_lost(None)
    assert list(world.gateway.throttle._held) == [world.connection], "it holds nobody who has gone"


async def test_one_that_is_held_is_not_taken_for_silent(make: Callable[..., World]) -> None:
    world = make(message_rate=1, message_burst=1)
    world.connection.data_received(pings(3))
    world.connection.heard_at = 0.0
    await world.until(lambda: world.connection.heard_at > 0)


async def test_one_that_has_gone_is_let_go_of(make: Callable[..., World]) -> None:
    """Without waiting for the garbage collector: a session holds its connection, and is held by it."""
    world = make()
    other, socket = Connection(world.gateway), Socket()
    other.connection_made(socket)
    world.gateway.lobby.sockets += 1
    other.open(world.upgrade())
    assert len(world.gateway.sessions.of("ann")) == 2
    await asyncio.sleep(0)
    held = weakref.ref(socket)
    gc.disable()
    try:
        other.connection_lost(None)
        del other, socket
        assert held() is None
    finally:
        gc.enable()
    assert len(world.gateway.sessions.of("ann")) == 1
