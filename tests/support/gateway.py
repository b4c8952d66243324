"""A gateway without Redis, and sockets that keep what is written."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from gifting.config import load
from gifting.hub.hub import Hub
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.transport.connection import Connection
from gifting.transport.gateway import Gateway
from gifting.transport.handshake import Upgrade
from gifting.wire.codec import JSON
from gifting.wire.framing import measure
from gifting.wire.keyring import Keyring
from gifting.wire.tokens import Role, issue
from tests.support.raw import KEY
from tests.support.server import SECRET


class Socket(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: Any) -> None:
        self.written += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def is_closing(self) -> bool:
        return False

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every event."""
        data, found = self.written.partition(b"\r\n\r\n")[2], []
        while data:
            _, start, end = measure(data, 0)
            found += JSON.decode_any(data[start:end])["events"]
            data = data[end:]
        return found

    @property
    def told(self) -> list[int]:
        """Every balance."""
        return [event["coins"] for event in self.events]


class Lone:
    """A gateway without Redis."""

    def __init__(self) -> None:
        settings = load({}, environ={})
        ledger = Ledger("redis://127.0.0.1:1", settings, load_catalog())
        self.gateway = Gateway(ledger, Hub(ledger.rooms, settings, "test"), settings, Keyring([SECRET]))
        self.connections: list[Connection] = []

    def connect(self, role: Role = "viewer") -> tuple[Connection, Socket]:
        connection, socket = Connection(self.gateway), Socket()
        connection.connection_made(socket)
        self.gateway.lobby.sockets += 1
        token = issue(SECRET, "ann", role, now=time.time(), ttl=100, room="r1" if role == "overlay" else "")
        headers = {"host": "a", "sec-websocket-key": KEY, "authorization": f"Bearer {token}"}
        connection.open(Upgrade("/v1/ws", headers, b""))
        self.connections.append(connection)
        return connection, socket

    async def until(self, socket: Socket, events: list[dict[str, Any]]) -> None:
        async with asyncio.timeout(10):
            while socket.events != events:
                await asyncio.sleep(0.001)

    async def until_told(self, socket: Socket, coins: int) -> None:
        async with asyncio.timeout(10):
            while socket.told[-1:] != [coins]:
                await asyncio.sleep(0.001)

    async def stop(self) -> None:
        for connection in self.connections:
            connection.connection_lost(None)
        await self.gateway.stop()
        await self.gateway.hub.stop()
