"""What strangers pour over a node while others send: each flood is bounded in time and bytes, and ends by itself."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from gifting.load.plan import Target
from gifting.load.socket import masked, upgrade
from gifting.wire.codec import BINARY, MSGPACK

LASTS_S: Final = 1.5
"""Seconds a flood lasts at most."""

BYTES_MAX: Final = 8 << 20
"""Bytes one socket of a flood sends at most."""

SOCKETS: Final = 4
"""Connections that pour at once."""

HALF_OPEN: Final = 150
"""Connections that say nothing, or only half of what they came for."""

CONNECT_WITHIN_S: Final = 2.0
PING: Final = bytes((0x89, 0x80, 0, 0, 0, 0))
FIRST_FRAGMENT: Final = bytes((0x02, 0x80, 0, 0, 0, 0))
EMPTY_FRAGMENT: Final = bytes((0x00, 0x80, 0, 0, 0, 0))
HEADER_LINE: Final = b"X-Endless: " + b"x" * 1000 + b"\r\n"

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Flood = Callable[[Target, str], Awaitable[None]]


async def endless_head(target: Target, room: str) -> None:
    """Requests whose head has no end. Needs no token."""
    await _several(SOCKETS, lambda: _endless_head(target))


async def half_open(target: Target, room: str) -> None:
    """Sockets that wait, every second one after half a request. Needs no token."""
    await _several(HALF_OPEN, lambda: _half_open(target))


async def pings(target: Target, room: str) -> None:
    """Empty pings."""
    await _several(SOCKETS, lambda: _frames(target, b"", PING))


async def empty_fragments(target: Target, room: str) -> None:
    """A message in fragments, all of them empty."""
    await _several(SOCKETS, lambda: _frames(target, FIRST_FRAGMENT, EMPTY_FRAGMENT))


async def unknown_ops(target: Target, room: str) -> None:
    """Messages that can only be refused."""
    await _several(SOCKETS, lambda: _frames(target, b"", masked(BINARY, MSGPACK.encode({"op": "nothing", "id": 1}))))


async def replays(target: Target, room: str) -> None:
    """Joins from the beginning of the log, over and over, by readers that don't read."""
    join = masked(BINARY, MSGPACK.encode({"op": "join", "id": 1, "room": room, "since": 0, "lane": "all"}))
    leave = masked(BINARY, MSGPACK.encode({"op": "leave", "id": 2, "room": room}))
    await _several(SOCKETS, lambda: _frames(target, b"", join + leave))


FLOODS: Final[dict[str, Flood]] = {
    "endless head": endless_head,
    "half-open sockets": half_open,
    "pings": pings,
    "empty fragments": empty_fragments,
    "unknown ops": unknown_ops,
    "replays": replays,
}


async def _several(count: int, one: Callable[[], Awaitable[None]]) -> None:
    """Some of the same at once. To be refused, cut off or kept waiting is what a flood expects."""

    async def quietly() -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(LASTS_S + CONNECT_WITHIN_S):
                await one()

    await asyncio.gather(*(quietly() for _ in range(count)))


@asynccontextmanager
async def _connected(target: Target) -> AsyncIterator[Pair]:
    """A connection from an address of its own, where the system has such."""
    source = ("127.0.0.2", 0) if sys.platform == "linux" and target.host == "127.0.0.1" else None
    async with asyncio.timeout(CONNECT_WITHIN_S):
        reader, writer = await asyncio.open_connection(target.host, target.port, local_addr=source)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _pour(writer: asyncio.StreamWriter, chunk: bytes) -> None:
    """Write as fast as it is taken, within the bounds."""
    end, left = time.monotonic() + LASTS_S, BYTES_MAX
    chunk *= max(1, 16_384 // len(chunk))
    while left > 0 and (seconds := end - time.monotonic()) > 0:
        writer.write(chunk)
        left -= len(chunk)
        async with asyncio.timeout(seconds):
            await writer.drain()
        await asyncio.sleep(0)


async def _endless_head(target: Target) -> None:
    async with _connected(target) as (_, writer):
        writer.write(b"GET /v1/rooms HTTP/1.1\r\nHost: flood\r\n")
        await _pour(writer, HEADER_LINE)


async def _half_open(target: Target) -> None:
    async with _connected(target) as (reader, writer):
        if random.random() < 0.5:  # noqa: S311
            writer.write(b"GET /v1/rooms HTTP/1.1\r\nHost: fl")
        async with asyncio.timeout(LASTS_S):
            await reader.read(1)


async def _frames(target: Target, first: bytes, frame: bytes) -> None:
    """Frames over an agreed WebSocket; what comes back is not read."""
    async with _connected(target) as (reader, writer):
        writer.write(upgrade(target, target.token(f"stranger-{random.randrange(1000)}")))  # noqa: S311
        async with asyncio.timeout(CONNECT_WITHIN_S):
            await reader.readuntil(b"\r\n\r\n")
        writer.write(first)
        await _pour(writer, frame)
