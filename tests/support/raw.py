"""A client made of bytes: says what no library lets one say."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from typing import Any

from gifting.model.money import make_key
from gifting.wire.codec import JSON
from gifting.wire.framing import measure
from tests.support.server import Server

TEXT, BINARY, CONT, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA
FIN = 0x80
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
WITHIN = 10
"""Seconds for whatever must come."""


def masked(first: int, payload: bytes = b"", mask: bytes = b"\0\0\0\0") -> bytes:
    """A client's frame; ``first`` is its first byte, FIN and all."""
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65536:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + mask + (bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if any(mask) else payload)


def says(**message: Any) -> bytes:
    """A message in JSON, framed."""
    return masked(FIN | TEXT, JSON.encode(message))


def gift(number: int, room: str = "r1", gift_id: str = "spark") -> bytes:
    """A new gift, framed."""
    return says(
        op="send_gift", id=number, room=room, gift=gift_id, key=make_key(time.time_ns() // 1_000_000, os.urandom(10))
    )


def head(token: str, *extra: str, host: str = "Host: a", first: str = "GET /v1/ws HTTP/1.1") -> bytes:
    """A request for an upgrade."""
    lines = [first, host, "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {KEY}"]
    lines += ["Sec-WebSocket-Version: 13", f"Authorization: Bearer {token}", *extra]
    return "\r\n".join(line for line in lines if line).encode("latin-1") + b"\r\n\r\n"


class Raw:
    """One TCP connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._got = b""

    @classmethod
    async def dial(cls, server: Server | str) -> Raw:
        url = server if isinstance(server, str) else server.url
        host, port = url.removeprefix("http://").split(":")
        raw = cls(*await asyncio.open_connection(host, int(port)))
        _open.append(raw)
        return raw

    @classmethod
    async def upgraded(cls, server: Server | str, token: str) -> Raw:
        raw = await cls.dial(server)
        raw.writer.write(head(token))
        answer = await raw.read_head()
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        return raw

    async def read_head(self) -> bytes:
        return await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), WITHIN)

    async def read_some(self) -> bytes:
        return await asyncio.wait_for(self._reader.read(65536), WITHIN)

    async def read_all(self) -> bytes:
        """All until the server closes; then this end is closed too."""
        got = b""
        try:
            async with asyncio.timeout(WITHIN):
                while data := await self._reader.read(65536):
                    got += data
        except ConnectionError:
            got += bytes(self._reader._buffer)  # type: ignore[attr-defined]
        self.end()
        return got

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload."""
        async with asyncio.timeout(WITHIN):
            while True:
                _, payload, end = measure(self._got, 0)
                if end and len(self._got) >= end:
                    found = self._got[0] & 0x0F, self._got[payload:end]
                    self._got = self._got[end:]
                    return found
                data = await self._reader.read(65536)
                if not data:
                    raise ConnectionResetError
                self._got += data

    async def reply(self, number: int) -> dict[str, Any]:
        """The reply to message ``number``; everything before it is passed over."""
        while True:
            opcode, payload = await self.frame()
            if opcode == TEXT and (found := JSON.decode_any(payload)).get("re") == number:
                return dict(found)

    async def closed_with(self) -> int:
        """The code of the server's close frame; everything before it is passed over."""
        while True:
            opcode, payload = await self.frame()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big")

    def end(self) -> None:
        self.writer.transport.abort()


_open: list[Raw] = []


async def hang_up() -> None:
    """End every connection that a test has left open."""
    while _open:
        raw = _open.pop()
        raw.end()
        with suppress(ConnectionError):
            await raw.writer.wait_closed()
