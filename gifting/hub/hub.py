"""The hub: the rooms of one process that have subscribers here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Final, Protocol

from gifting.config import Settings
from gifting.errors import GiftingError
from gifting.hub.counters import Counters
from gifting.hub.lane import Shared
from gifting.hub.pacer import Pacer
from gifting.hub.replays import Replays
from gifting.hub.room import Room, RoomLedger
from gifting.hub.subscription import Subscription
from gifting.model.values import RoomRef
from gifting.tasks import end
from gifting.wire.batch import BatchReader

log = logging.getLogger(__name__)

LINGER: Final = 10.0
"""Seconds for which a room without subscribers is kept."""

TIDY_PAUSE: Final = 1.0
"""Seconds between two looks for rooms that nobody watches."""

PRESENCE_REFRESH: Final = 5.0
"""Seconds after which an unchanged number of viewers is said again."""


class HubLedger(RoomLedger, Protocol):
    """What the hub asks of the ledger's rooms."""

    def find(self, room: str) -> Awaitable[RoomRef]: ...
    async def presence(self, room: RoomRef, node: str, viewers: int) -> int: ...


class Source(Protocol):
    """Where what is published comes from: of partitions, by their bases, for as many rooms as asked for each."""

    def watch(self, base: str) -> Awaitable[None]: ...
    def unwatch(self, base: str) -> None: ...


class Everywhere:
    """A source that brings what is published in all partitions."""

    async def watch(self, base: str) -> None:
        pass

    def unwatch(self, base: str) -> None:
        pass


class Hub:
    """Rooms by id; all runs on one event loop. ``node`` is the process' name, under which it counts viewers."""

    def __init__(self, ledger: HubLedger, settings: Settings, node: str) -> None:
        self.settings = settings
        self.time = asyncio.get_running_loop().time
        self.counters = Counters()
        self.pacer = Pacer(settings.flush_pause)
        self.replays = Replays(settings)
        self.rooms: dict[str, Room] = {}
        self.source: Source = Everywhere()
        self._ledger = ledger
        self._node = node
        self._shared = Shared(settings, self.pacer, self.replays, self.counters)
        self._opening: dict[str, asyncio.Task[Room]] = {}
        self._reader = BatchReader()
        self._told: dict[str, tuple[int, float]] = {}

    async def open_room(self, room_id: str) -> Room:
        """The room, opened if it has no subscribers here yet, and kept for :data:`LINGER`.

        Raises:
            RoomNotFound, Unavailable.
        """
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
        ref = await self._ledger.find(room_id)
        await self.source.watch(ref.base)  # first of all: what comes after the snapshot is not to be missed
        room = Room(ref, self._ledger, self._shared, self.time())
        self.rooms[room_id] = room
        try:
            await room.open()
        except BaseException:
            self._drop(room)
            raise
        return room

    def _drop(self, room: Room) -> None:
        del self.rooms[room.id]
        self.source.unwatch(room.ref.base)

    def subscribe(self, subscription: Subscription) -> None:
        """To a room that is open."""
        self.rooms[subscription.room].subscribe(subscription)

    def unsubscribe(self, subscription: Subscription) -> None:
        self.rooms[subscription.room].unsubscribe(subscription, self.time())

    # The feed.

    def receive(self, payload: bytes) -> None:
        """What was published. Batches of rooms that nobody watches here are not even unpacked."""
        for batch in self._reader.read(payload, self.rooms):
            self.rooms[batch.room].receive(batch)

    def resync(self, base: str = "") -> None:
        """The feed may have missed something: look into every room's log, or every one's of a partition."""
        for room in self.rooms.values():
            if base in ("", room.ref.base):
                room.heal()

    # Regular work.

    async def tidy(self) -> None:
        """For ever: drop the rooms that nobody watches."""
        while True:
            await asyncio.sleep(TIDY_PAUSE)
            now = self.time()
            for room in tuple(self.rooms.values()):
                if room.lanes and not len(room) and now - room.empty_since > LINGER:
                    room.close()
                    self._drop(room)

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
            room.count_viewers(await self._ledger.presence(room.ref, self._node, room.viewers_here))

    async def stop(self) -> None:
        await end(self._opening.values())
        self.pacer.stop()
        for room in self.rooms.values():
            room.close()
        await self.replays.stop()
