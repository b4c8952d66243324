"""What one connection is charged for, frame by frame, without a socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from gifting.config import load
from gifting.hub.hub import Hub
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.transport.connection import Connection
from gifting.transport.gateway import Gateway
from gifting.transport.handshake import Upgrade
from gifting.wire.close import CloseCode
from gifting.wire.keyring import Keyring
from gifting.wire.tokens import issue
from tests.support.raw import CLOSE, FIN, KEY, PING, TEXT, masked, says
from tests.support.server import SECRET


class Sink(asyncio.Transport):
    """Keeps what is written, and knows whether it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reads = True

    def write(self, data: Any) -> None:
        self.written += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


Open = Callable[..., Awaitable[tuple[Connection, Sink]]]


@pytest.fixture
async def open_one(redis_url: str, redis_client: Any) -> AsyncIterator[Open]:
    ends: list[Callable[[], Any]] = []

    async def make(**flags: Any) -> tuple[Connection, Sink]:
        settings = load({"allow_unsafe_redis": True, "message_rate": 1, "byte_rate": 256, **flags}, environ={})
        ledger = Ledger(redis_url, settings, load_catalog())
        hub = Hub(ledger.rooms, settings, "a node")
        gateway = Gateway(ledger, hub, settings, Keyring([SECRET]))
        connection, sink = Connection(gateway), Sink()
        connection.connection_made(sink)
        token = issue(SECRET, "ann", "viewer", now=time.time(), ttl=100)
        headers = {"host": "a", "sec-websocket-key": KEY, "authorization": f"Bearer {token}"}
        connection.open(Upgrade("/v1/ws", headers, b""))
        sink.written = b""
        ends.extend((ledger.stop, hub.stop, gateway.stop, lambda: connection.connection_lost(None)))
        return connection, sink

    yield make
    while ends:
        if asyncio.iscoroutine(ending := ends.pop()()):
            await ending


def replies(connection: Connection, sink: Sink) -> int:
    connection.flush()
    return sink.written.count(b'"re"')


async def test_messages_are_paid_for_in_bytes(open_one: Open) -> None:
    connection, sink = await open_one(message_burst=1000, byte_burst=4096)
    for number in range(10):
        connection.data_received(says(op="ping", id=number, more="x" * 1000))
    assert 4 <= replies(connection, sink) <= 5, "the last may overdraw"
    assert not sink.reads


async def test_messages_are_paid_for_in_number(open_one: Open) -> None:
    connection, sink = await open_one(message_burst=10, byte_burst=100_000)
    connection.data_received(b"".join(says(op="ping", id=number) for number in range(30)))
    assert 9 <= replies(connection, sink) <= 10, "to connect was the first"
    assert not sink.reads


async def test_a_frame_in_crumbs_is_paid_for_by_the_crumb(open_one: Open) -> None:
    connection, sink = await open_one(message_burst=10, byte_burst=100_000)
    for byte in masked(FIN | TEXT, b"x" * 100)[:30]:
        connection.data_received(bytes((byte,)))
    assert not sink.reads


async def test_after_a_close_no_ping_is_answered(open_one: Open) -> None:
    connection, sink = await open_one()
    connection.close(CloseCode.TOKEN_REVOKED)
    said = sink.written
    assert said.startswith(bytes((FIN | CLOSE,)))
    connection.data_received(masked(FIN | PING, b"hi") + masked(TEXT, b"{") + says(op="ping", id=1))
    connection.flush()
    assert sink.written == said
