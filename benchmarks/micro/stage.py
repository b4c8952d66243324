"""The real hub and the real ledger, with nothing at their ends: no Redis, and transports that write nowhere."""

from __future__ import annotations

import asyncio
import math
import time
from functools import partial
from typing import Any, Final, Self

import uvloop
from uvicorn.server import ServerState

from benchmarks.micro import samples
from gifting.config import load
from gifting.hub.hub import Hub
from gifting.hub.room import Room
from gifting.ledger.batcher import Batcher
from gifting.ledger.connection import Connection as Line
from gifting.ledger.ledger import Ledger
from gifting.model import events
from gifting.model.catalog import load_catalog
from gifting.model.house import NO_RULES
from gifting.model.standing import Standing
from gifting.model.values import RoomRef, Sender
from gifting.transport.connection import Connection
from gifting.transport.gateway import Gateway
from gifting.transport.session import Session
from gifting.transport.upgrade import UpgradeProtocol
from gifting.wire.codec import Codec
from gifting.wire.keyring import Keyring
from gifting.wire.messages import Lane
from gifting.wire.replies import Snapshot
from gifting.wire.tokens import Identity

TTL: Final = 86_400.0
"""Seconds the identities on stage last."""

UNLIMITED: Final = 1_000_000_000
"""Messages and bytes: a loop that measures sends more than any viewer may."""

ALLOWED: Final = ("message_rate", "message_burst", "byte_rate", "byte_burst", "comment_rate", "comment_burst")
"""The settings that say what a viewer may."""

_STATE: Final = ServerState()
"""uvicorn's, of the sockets that are not upgraded."""


class NullTransport(asyncio.Transport):
    """Takes everything at once and counts it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def write(self, data: Any) -> None:
        self.writes += 1

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""

    def is_closing(self) -> bool:
        return False


class ClientTransport(NullTransport):
    """One that was accepted: it has a peer, and a protocol that changes."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol: Any = protocol
        protocol.connection_made(self)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 50_000) if name == "peername" else default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol


async def empty_snapshot(room: RoomRef) -> Snapshot:
    """What there is made up: of a room in which nothing has been."""
    return Snapshot(room.id, "live", 0, "", events.Host(room.host, ""), 0, 0, 0, 0, 0, [], [], NO_RULES)


class OfflineLedger(Ledger):
    """The real ledger, never started: gifts queue and stay."""

    @property
    def one(self) -> Batcher:
        """The batcher of one Redis."""
        assert isinstance(self.batcher, Batcher)
        return self.batcher

    def forget_queue(self) -> None:
        """As if all that is queued had gone out."""
        self.one._queue.clear()

    def take_queue(self) -> list[Any]:
        """What is queued, and queued no longer."""
        items = list(self.one._queue)
        self.forget_queue()
        return items


class Stage:
    """A hub, its ledger and one room, on an event loop that stands still. A ``with`` ends the loop."""

    def __init__(self) -> None:
        self.catalog = load_catalog()
        self._loop = uvloop.new_event_loop()
        self.transports: list[NullTransport] = []
        self.ledger: OfflineLedger
        self.hub: Hub
        self.room: Room
        self.ref: RoomRef
        self.sender: Sender

    def __enter__(self) -> Self:
        self._loop.run_until_complete(self._build())
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run_until_complete(self._clear())
        self._loop.close()

    async def _build(self) -> None:
        settings = load({**dict.fromkeys(ALLOWED, UNLIMITED), "replay_rate": UNLIMITED}, environ={})
        self.ledger = OfflineLedger("redis://127.0.0.1:1", settings, self.catalog)
        host = events.encode_host({"id": samples.HOST, "name": "Host"})
        self.ref = RoomRef(samples.ROOM, samples.HOST, self.ledger.keys.base(samples.HOST), host)
        self.ledger.rooms.remember(self.ref)
        self.ledger.rooms.snapshot = empty_snapshot  # type: ignore[method-assign]
        self.sender = self.ledger.gifts.sender(samples.USER_ID, samples.USER)
        self.hub = Hub(self.ledger.rooms, settings, "stage")
        self.gateway = Gateway(self.ledger, self.hub, settings, Keyring([samples.SECRET]))
        self._arrive = partial(UpgradeProtocol, self.gateway.lobby, partial(Connection, self.gateway))
        self.room = await self.hub.open_room(samples.ROOM)

    async def _clear(self) -> None:
        await self.gateway.stop()
        await self.hub.stop()
        self.ledger.forget_queue()
        await self.ledger.stop()

    def connection(self, codec: Codec) -> Connection:
        """A viewer whose upgrade is over."""
        connection, transport = Connection(self.gateway), NullTransport()
        connection.connection_made(transport)
        self.transports.append(transport)
        connection.codec = codec
        expires, standing = time.time() + TTL, Standing(30, "US")
        identity = Identity(samples.USER_ID, "viewer", "token", expires, name="Ann", level=12, standing=standing)
        user = Identity(f"user-{self.gateway.limits.connected}", "viewer", "token", 0)
        allowance = self.gateway.limits.enter(user, self.gateway.time())
        connection.session = Session(connection, self.hub, identity, allowance)
        self.gateway.sessions.add(connection.session)
        return connection

    def line(self) -> Line:
        """The ledger's connection to a Redis that says nothing by itself."""
        return self._loop.run_until_complete(self._dial())

    async def _dial(self) -> Line:
        line = Line(TTL, lambda channel, payload: None)
        line.connection_made(NullTransport())
        self.ledger.connector._connection = line
        return line

    def turn(self) -> None:
        """Let the loop do what is due."""
        self._loop.run_until_complete(asyncio.sleep(0))

    def accept(self) -> ClientTransport:
        """A socket that has said nothing yet."""
        return ClientTransport(self._arrive(config=None, server_state=_STATE, app_state={}))

    def pass_on(self, count: int) -> None:
        """``count`` gifts are given in the room; its snapshot stays at hand."""
        self.room.receive(samples.batch(self.catalog, count))
        for lane in self.room.lanes.values():
            lane.flush(0.0)
        self._loop.run_until_complete(self.room.snapshots.get(self.gateway.time()))
        self.turn()
        self.room.snapshots._asked_at = self.room.snapshots._found_at = math.inf

    def watch(self, lane: Lane, codec: Codec, count: int) -> None:
        """``count`` viewers in the room, up to date."""
        for _ in range(count):
            session = self.connection(codec).session
            assert session is not None
            session.subscribe(self.room.id, self.room.lanes[lane], self.room.history.seq)

    def run_pass(self) -> None:
        """What the loop would do next: write all that waits, as if no lane had to wait for its interval."""
        for lane in self.room.lanes.values():
            lane.due = 0.0
        self.hub.pacer._run_pass()
