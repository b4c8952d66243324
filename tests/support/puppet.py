"""Something that listens where a Redis should, and says only what a test tells it to."""

from __future__ import annotations

import asyncio
from typing import Self


class Puppet:
    """``async with Puppet() as puppet``: who dials ``puppet.url`` is first told ``greeting``."""

    def __init__(self, greeting: bytes = b"") -> None:
        self.url = ""
        self.dialled = 0
        self.heard = bytearray()
        self.open: set[asyncio.Transport] = set()
        self.hangs_up = False
        """Whether who dials is let go as soon as it says something: by then it has been heard, so that no reset comes
        in place of the end.
        """
        self.greeting = greeting

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(lambda: _End(self), "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for transport in tuple(self.open):
            transport.abort()
        await self.alone()

    async def alone(self) -> None:
        """Wait until nobody is connected."""
        async with asyncio.timeout(10):
            while self.open:
                await asyncio.sleep(0.001)

    async def told(self, text: bytes) -> None:
        """Wait until somebody has said that."""
        async with asyncio.timeout(10):
            while text not in self.heard:
                await asyncio.sleep(0.001)

    def say(self, data: bytes) -> None:
        for transport in self.open:
            transport.write(data)


class _End(asyncio.Protocol):
    def __init__(self, puppet: Puppet) -> None:
        self._puppet = puppet
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._puppet.dialled += 1
        self._puppet.open.add(transport)
        transport.write(self._puppet.greeting)

    def data_received(self, data: bytes) -> None:
        self._puppet.heard += data
        if self._puppet.hangs_up:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._puppet.open.discard(self._transport)
