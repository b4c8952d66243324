"""The hub: all connections and rooms of one process."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Coroutine, Sequence
from typing import Any, Protocol

from gifting.config import Settings
from gifting.errors import BadToken, GiftingError, TokenInUrl, TokenRevoked
from gifting.hub.counters import Counters
from gifting.hub.lane import Shared
from gifting.hub.limits import Limits, Rates
from gifting.hub.meter import Meter
from gifting.hub.pacer import Pacer
from gifting.hub.replays import Replays
from gifting.hub.room import Room, RoomLedger
from gifting.hub.subscription import Subscription
from gifting.model.events import Logged
from gifting.model.values import Done, RoomRef, Sender
from gifting.tasks import end
from gifting.transport.connection import Connection
from gifting.transport.lobby import Address, Lobby
from gifting.transport.throttle import Throttle
from gifting.wire.batch import RoomBatch
from gifting.wire.close import CloseCode
from gifting.wire.keyring import Keyring
from gifting.wire.replies import GiftStatusReply
from gifting.wire.tokens import Identity, Rules, Verifier

log = logging.getLogger(__name__)

LINGER = 10.0
"""Seconds for which a room without subscribers is kept."""

INSPECTED_AT_ONCE = 500
"""Connections looked at before others get their turn: below half a millisecond."""

PRESENCE_REFRESH = 5.0
"""Seconds after which an unchanged number of viewers is said again."""

DRAIN_JITTER = 3.0
"""Seconds over which clients of a stopping server should spread their coming back."""


class Revocations(Protocol):
    """What this node knows of revoked tokens."""

    def covers(self, identity: Identity) -> bool: ...
    async def sync(self) -> bool: ...


class HubLedger(RoomLedger, Protocol):
    """What the hub asks of the ledger."""

    def now_ms(self) -> int: ...
    def known_room(self, room: str) -> RoomRef | None: ...
    def room(self, room: str) -> Awaitable[RoomRef]: ...
    def sender(self, user: str, public: dict[str, Any]) -> Sender: ...
    def send_gift(
        self, sender: Sender, room: RoomRef, gift_id: str, key: str, count: int, message: str | None, done: Done
    ) -> None: ...
    async def gift_status(self, user: str, key: str) -> GiftStatusReply: ...
    def post(self, room: RoomRef, kind: Logged, fields: dict[str, Any], done: Done) -> None: ...
    def like(self, room: RoomRef, count: int, done: Done) -> None: ...
    async def presence(self, room: RoomRef, node: str, viewers: int) -> int: ...
    @property
    def revocations(self) -> Revocations: ...


class Hub:
    """Rooms by id and connections; everything here runs on one event loop."""

    def __init__(self, ledger: HubLedger, settings: Settings, keyring: Keyring, node: str) -> None:
        self.ledger = ledger
        self.settings = settings
        self.origins = settings.origin_list()
        self.loop = asyncio.get_running_loop()
        self.time = self.loop.time
        self.counters = Counters()
        rates = Rates(settings.message_rate, settings.message_burst, settings.byte_rate, settings.byte_burst)
        self.limits = Limits(rates, settings.user_connections)
        self.lobby = Lobby(settings, self.time)
        self.throttle = Throttle(self.loop, settings.flood_timeout)
        self.pacer = Pacer(settings.flush_pause)
        self.replays = Replays(settings)
        self._shared = Shared(settings, self.pacer, self.replays, self.counters)
        self.likes = Meter(settings.like_rate, settings.like_burst)
        self.posts = Meter(settings.comment_rate, settings.comment_burst)
        self.rooms: dict[str, Room] = {}
        self.connections: set[Connection] = set()
        self._opening: dict[str, asyncio.Task[Room]] = {}
        self._verifier = Verifier(keyring, Rules.of(settings))
        self._node = node
        self._tasks: set[asyncio.Task[None]] = set()
        self._told: dict[str, tuple[int, float]] = {}

    def protocol(self, address: Address | None = None) -> Connection:
        """What becomes of an upgrade."""
        return Connection(self, address)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Connections.

    def authenticate(self, token: str, *, in_url: bool = False) -> Identity:
        """Who a token speaks for; ``in_url`` says that it came in an address, where proxies log it.

        Raises:
            BadToken, UnknownSigner, TokenExpired, TokenRevoked.
            TokenInUrl: only an overlay's may be there, which can't spend.
        """
        identity = self._verifier.verify(token, now=time.time())
        if in_url and identity.role != "overlay":
            raise TokenInUrl
        if self.ledger.revocations.covers(identity):
            raise TokenRevoked
        return identity

    @property
    def keyring(self) -> Keyring:
        return self._verifier.keyring

    def rekey(self, keyring: Keyring) -> None:
        """Believe these keys from now on. Who is here by another is closed; everybody else stays."""
        gone = self.keyring.ids - keyring.ids
        self._verifier.rekey(keyring)
        if gone:
            self.spawn(self.close_revoked())

    def enter(self, connection: Connection, token: str, *, in_url: bool) -> Identity:
        identity = self.authenticate(token, in_url=in_url)
        connection.allowance = self.limits.enter(identity, self.time())
        self.connections.add(connection)
        return identity

    def leave(self, connection: Connection) -> None:
        for subscription in tuple(connection.subscriptions.values()):
            self.unsubscribe(connection, subscription)
        if connection in self.connections:
            self.connections.discard(connection)
            assert connection.identity is not None
            self.limits.leave(connection.identity)
            self.throttle.forget(connection)

    def refresh(self, connection: Connection, token: str) -> None:
        """Give a connection a newer token. Raises BadToken if it is somebody else's."""
        new, old = self.authenticate(token), connection.identity
        if old is None or (new.user, new.role, new.room) != (old.user, old.role, old.room):
            raise BadToken("A refresh keeps user, role and room.")
        connection.identity = new
        connection.sender = None

    def sender_of(self, connection: Connection) -> Sender:
        if connection.sender is None:
            assert connection.identity is not None
            connection.sender = self.ledger.sender(connection.identity.user, connection.identity.public())
        return connection.sender

    # Rooms.

    async def open_room(self, room_id: str) -> Room:
        """The room, opened if it has no subscribers here yet, and kept for :data:`LINGER`. Raises RoomNotFound."""
        room = self.rooms.get(room_id)
        if room is not None and room.lanes:
            room.empty_since = self.time()
            return room
        if room_id not in self._opening:
            task = asyncio.create_task(self._open(room_id))
            self._opening[room_id] = task
            task.add_done_callback(lambda _: self._opening.pop(room_id, None))
        return await asyncio.shield(self._opening[room_id])

    async def _open(self, room_id: str) -> Room:
        ref = await self.ledger.room(room_id)
        room = Room(ref, self.ledger, self._shared, self.time())
        self.rooms[room_id] = room
        try:
            await room.open()
        except BaseException:
            del self.rooms[room_id]
            raise
        return room

    def subscribe(self, connection: Connection, subscription: Subscription) -> None:
        connection.subscriptions[subscription.room] = subscription
        self.rooms[subscription.room].subscribe(subscription)

    def unsubscribe(self, connection: Connection, subscription: Subscription) -> None:
        del connection.subscriptions[subscription.room]
        self.rooms[subscription.room].unsubscribe(subscription, self.time())

    def announce(self, connection: Connection, room: Room) -> None:
        """Log that a viewer came, unless too many do."""
        if room.members.take(self.time()):
            fields = {"user": self.sender_of(connection).user}
            self.ledger.post(room.ref, "member", fields, lambda outcome: None)

    def receive(self, batch: RoomBatch) -> None:
        """A batch from the feed."""
        room = self.rooms.get(batch.room)
        if room is not None:
            room.receive(batch)

    def resync(self) -> None:
        """The feed may have missed something: look into every room's log."""
        for room in self.rooms.values():
            room.heal()

    # Regular work.

    async def watch(self, interval: float = 1.0) -> None:
        """For ever: close what is over (token, silence, slowness) and drop rooms that nobody watches."""
        while True:
            await asyncio.sleep(interval)
            try:
                if await self.ledger.revocations.sync():
                    await self.close_revoked()
            except GiftingError as error:
                log.warning("can't read the revoked tokens: %s", error)
            await self._inspect_connections()
            self._drop_empty_rooms()

    async def _slices(self) -> AsyncIterator[Sequence[Connection]]:
        """All connections, so many at a time that no gift waits for all to be looked at."""
        connections = tuple(self.connections)
        for start in range(0, len(connections), INSPECTED_AT_ONCE):
            yield connections[start : start + INSPECTED_AT_ONCE]
            await asyncio.sleep(0)

    async def close_revoked(self) -> None:
        """Close every connection whose token, or its key, is good no longer.

        Called when more are revoked: who comes later is not let in.
        """
        async for connections in self._slices():
            for connection in connections:
                identity = connection.identity
                if identity is not None and (
                    self.ledger.revocations.covers(identity) or identity.key not in self.keyring.ids
                ):
                    connection.close(CloseCode.TOKEN_REVOKED)

    async def _inspect_connections(self) -> None:
        async for connections in self._slices():
            now, wall = self.time(), time.time()
            for connection in connections:
                self._inspect_connection(connection, now, wall)

    def _drop_empty_rooms(self) -> None:
        now = self.time()
        for room in tuple(self.rooms.values()):
            if room.lanes and not len(room) and now - room.empty_since > LINGER:
                room.close()
                del self.rooms[room.id]

    def _inspect_connection(self, connection: Connection, now: float, wall: float) -> None:
        identity, settings = connection.identity, self.settings
        assert identity is not None
        silence = now - connection.heard_at
        if identity.expires <= wall:
            connection.close(CloseCode.TOKEN_EXPIRED)
        elif connection.paused_at is not None:
            if now - connection.paused_at > settings.slow_timeout:
                connection.close(CloseCode.TOO_SLOW)
        elif connection.pinged and silence > settings.ping_interval + settings.ping_timeout:
            connection.close(CloseCode.PING_TIMEOUT)
        elif not connection.pinged and silence > settings.ping_interval and not connection.closing:
            connection.ping()

    async def count_viewers(self) -> None:
        """For ever: say how many viewers are here, learn how many there are in all, and tell when that changed."""
        while True:
            await asyncio.sleep(self.settings.viewers_interval)
            for room in tuple(self.rooms.values()):
                if room.lanes:
                    try:
                        await self._count_room(room)
                    except GiftingError as error:
                        log.warning("can't count the viewers: %s", error)
            self._told = {name: told for name, told in self._told.items() if name in self.rooms}

    async def _count_room(self, room: Room) -> None:
        told, at = self._told.get(room.id, (-1, 0.0))
        now = self.time()
        if told != room.viewers_here or now - at > PRESENCE_REFRESH:
            self._told[room.id] = (room.viewers_here, now)
            room.count_viewers(await self.ledger.presence(room.ref, self._node, room.viewers_here))

    async def drain(self, timeout: float) -> None:
        """Close every connection with a reconnect code and a hint how long to wait, and wait until they are gone."""
        for connection in tuple(self.connections):
            delay = round(random.uniform(0, DRAIN_JITTER), 2)  # noqa: S311
            connection.close(CloseCode.SERVER_SHUTDOWN, f"retry in {delay} s")
        deadline = self.time() + timeout
        while self.connections and self.time() < deadline:
            await asyncio.sleep(0.02)
        for connection in tuple(self.connections):
            connection.abort()

    async def stop(self) -> None:
        self.pacer.stop()
        self.throttle.stop()
        for room in self.rooms.values():
            room.close()
        await self.replays.stop()
        await end(self._tasks)
