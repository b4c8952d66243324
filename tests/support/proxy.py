"""A proxy that fails on demand, between a client and a server or between a server and its Redis."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Self

from gifting.bench.soak.proxy import Proxy

__all__ = ["Proxy", "RedisProxy"]


async def _as_it_is(words: list[bytes]) -> list[bytes]:
    return words


class RedisProxy(Proxy):
    """A proxy before a Redis that passes on whole commands.

    Each command waits for ``before``, called with its words; what that returns is passed on. ``receive_buffer``, in
    bytes, bounds what the kernel takes in while the proxy does not read.
    """

    def __init__(
        self, url: str, before: Callable[[list[bytes]], Awaitable[list[bytes]]] = _as_it_is, *, receive_buffer: int = 0
    ) -> None:
        super().__init__(url)
        self._before = before
        self._receive_buffer = receive_buffer
        self.answered = asyncio.Event()
        """Something came back since this was cleared."""
        self.reading = asyncio.Event()
        """Clear it, and what is sent stays where it is."""
        self.reading.set()
        self.change: Callable[[bytes], bytes] = bytes
        """Makes another thing of what comes back."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        if self._receive_buffer:
            self._server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        return self

    async def _pump(self, reader: asyncio.StreamReader, writer: Any, *, returns: bool) -> None:
        if returns:
            await super()._pump(reader, _Told(writer, self), returns=True)
            return
        while True:
            words = [await self._read_word(reader) for _ in range(await self._read_number(reader))]
            words = await self._before(words)
            writer.write(b"*%d\r\n" % len(words))
            writer.writelines(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
            await writer.drain()

    async def _read_word(self, reader: asyncio.StreamReader) -> bytes:
        return (await reader.readexactly(await self._read_number(reader) + 2))[:-2]

    async def _read_number(self, reader: asyncio.StreamReader) -> int:
        await self.reading.wait()
        return int((await reader.readuntil(b"\r\n"))[1:])


class _Told:
    """A writer through which replies go back."""

    def __init__(self, writer: Any, proxy: RedisProxy) -> None:
        self._writer = writer
        self._proxy = proxy
        self.drain = writer.drain
        self.write_eof = writer.write_eof

    def write(self, data: bytes) -> None:
        self._writer.write(self._proxy.change(data))
        self._proxy.answered.set()
