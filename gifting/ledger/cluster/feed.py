"""The feed of what is published in a Redis Cluster to the hub: as ``ledger/feed.py``, from each master that matters.

Only partitions with viewers here are heard, and what the first has for everybody. Where a partition is heard follows
the map: the server takes its slot's channels away as it goes (``sunsubscribe``), or says MOVED, or its connection
breaks, or it is no master any more. Then one looks where the slot is, subscribes there, and its rooms look into their
logs: what was published meanwhile is there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Final

from redis.exceptions import RedisError

from gifting.errors import Unavailable
from gifting.ledger.address import Address
from gifting.ledger.cluster.address import ClusterAddress
from gifting.ledger.cluster.ear import Ear, Partition
from gifting.ledger.cluster.map import Map
from gifting.ledger.cluster.topology import Node
from gifting.tasks import end

log = logging.getLogger(__name__)

LOOK_AGAIN: Final = 0.1
"""Seconds between two looks while nobody is known to have a slot that is wanted."""

Where = tuple[str, int]
"""Host and port of a node."""


class ClusterFeed:
    """Feeds ``receive`` with the room batches of all partitions that are watched; calls ``resync`` with a partition's
    base when some of its may have been missed.

    ``beside`` are channels of the partition ``first`` with a receiver of their own; what is missed of them is gone.
    ``name`` is this node's; ``timeout`` bounds commands, and how long is waited for a subscription.
    """

    def __init__(
        self,
        address: ClusterAddress,
        map: Map,
        name: str,
        timeout: float,
        heartbeat_timeout: float,
        receive: Callable[[bytes], None],
        resync: Callable[[str], None],
        first: str,
        beside: Mapping[str, Callable[[bytes], None]] = MappingProxyType({}),
    ) -> None:
        self._address, self._map, self._name = address, map, name
        self._timeout, self._silence = timeout, heartbeat_timeout
        self._receive, self._resync = receive, resync
        self._beside = {channel.encode(): hear for channel, hear in beside.items()}
        self._time = asyncio.get_running_loop().time
        self._partitions: dict[str, Partition] = {}
        self._places: dict[bytes, Partition] = {}
        self._beats: dict[bytes, Partition] = {}
        self._ears: dict[Where, Ear] = {}
        self._tasks: dict[Ear, asyncio.Task[None]] = {}
        self._doubtful = asyncio.Event()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended = False
        self.reconnects = -1
        map.changed.append(lambda topology: self._settle())
        self._first = self._want(first, (f"{first}:events", *beside))

    # What others ask of it.

    @property
    def healthy(self) -> bool:
        """Whether all that is wanted was heard of lately."""
        least = self._time() - self._silence
        deaf = any(not each.heard.is_set() and each.deaf_since < least for each in self._partitions.values())
        return not deaf and all(ear.pulse.healthy for ear in self._ears.values() if ear.connector.up)

    async def ready(self) -> None:
        """Wait for the first subscription."""
        await self._first.heard.wait()

    async def watch(self, base: str) -> None:
        """Hear a partition, until :meth:`unwatch` was called as often; it is heard when this returns.

        Raises:
            Unavailable: it is not within ``timeout``.
        """
        partition = self._partitions.get(base) or self._want(base, (f"{base}:events",))
        partition.wanted += 1
        try:
            async with asyncio.timeout(self._timeout):
                await partition.heard.wait()
        except TimeoutError:
            self.unwatch(base)
            raise Unavailable("What is published of the room can't be heard.") from None
        except BaseException:
            self.unwatch(base)
            raise

    def unwatch(self, base: str) -> None:
        """One room less is viewed in a partition that was watched."""
        partition = self._partitions[base]
        partition.wanted -= 1
        if partition.wanted or partition is self._first:
            return
        del self._partitions[base]
        for channel in partition.channels:
            self._places.pop(channel.encode(), None)
            self._beats.pop(channel.encode(), None)
        if partition.ear is not None:
            partition.ear.drop(partition, self._time())
        self._settle()

    async def run(self) -> None:
        """For ever: look where slots are whenever that is in doubt. Raises what a receiver of the ears raised."""
        looking = asyncio.create_task(self._look())
        try:
            await asyncio.wait([looking, self._failed], return_when=asyncio.FIRST_COMPLETED)
            await (looking if looking.done() else self._failed)
        finally:
            self._ended = True
            await end([looking, *self._tasks.values()])

    async def _look(self) -> None:
        while True:
            self._doubtful.clear()
            with suppress(RedisError, OSError):
                await self._map.refresh()
            self._settle()
            lost = any(not (each.asking or each.heard.is_set()) for each in self._partitions.values())
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN if lost else None):
                    await self._doubtful.wait()

    # What is heard where.

    def _want(self, base: str, channels: tuple[str, ...]) -> Partition:
        heartbeat = f"{base}:heartbeat:{self._name}"
        partition = self._partitions[base] = Partition(base, channels, heartbeat, self._time())
        self._places |= dict.fromkeys((channel.encode() for channel in channels), partition)
        self._beats[heartbeat.encode()] = partition
        self._settle()
        if partition.ear is None:
            self.doubt()  # who looked last may have found nobody, and looks no more
        return partition

    def _settle(self) -> None:
        """Hear each partition where its slot is, as far as that is known; ears that hear none are closed."""
        if self._ended:
            return
        now = self._time()
        for partition in self._partitions.values():
            node = self._map.topology.master_of(partition.slot)
            ear = self._ear_at(node) if node is not None else partition.ear
            if ear is not partition.ear:
                if partition.ear is not None:
                    partition.ear.drop(partition, now)
                if ear is not None:
                    ear.take(partition, now)
            if ear is not None and ear.connector.up and not partition.asking and not partition.heard.is_set():
                ear.ask(partition)
        for where, ear in tuple(self._ears.items()):
            if not ear.partitions:
                del self._ears[where]
                self._tasks[ear].cancel()

    def _ear_at(self, node: Node) -> Ear:
        where = node.host, node.port
        if where not in self._ears:
            ear = Ear(Address(self._address.url_of(*where)), self._timeout, self._silence, self)
            self._ears[where] = ear
            task = self._tasks[ear] = asyncio.create_task(ear.run(), name=f"feed of {node}")
            task.add_done_callback(partial(self._end_ear, ear))
        return self._ears[where]

    def _end_ear(self, ear: Ear, task: asyncio.Task[None]) -> None:
        del self._tasks[ear]
        if not task.cancelled() and (error := task.exception()) is not None and not self._failed.done():
            self._failed.set_exception(error)

    # What the ears say.

    def ear_came_up(self, ear: Ear) -> None:
        self._settle()

    def ear_failed(self, ear: Ear) -> None:
        for partition in ear.partitions:
            partition.deafen(self._time())
        self.doubt()

    def begin(self, partition: Partition) -> None:
        """It is heard: its rooms look for what they missed."""
        partition.asking = False
        partition.heard.set()
        if partition.heard_before or partition is self._first:
            self.reconnects += 1
        partition.heard_before = True
        if partition.ear is not None:
            partition.ear.pulse.hear()
        self._resync(partition.base)

    def refuse(self, partition: Partition, why: Exception) -> None:
        log.info("%s can't be heard: %s", partition.base, why)
        partition.deafen(self._time())
        self.doubt()

    def leave(self, ear: Ear, channel: bytes) -> None:
        """The slot goes elsewhere, or it was us who wanted that."""
        partition = self._places.get(channel) or self._beats.get(channel)
        if partition is not None and partition.ear is ear and (partition.asking or partition.heard.is_set()):
            partition.deafen(self._time())
            self.doubt()

    def doubt(self) -> None:
        """Slots may be elsewhere than the map says."""
        self._doubtful.set()

    def hear(self, ear: Ear, channel: bytes, payload: bytes) -> None:
        """Of a partition that is heard elsewhere by now, nothing counts."""
        partition = self._places.get(channel)
        if partition is None:
            if channel in self._beats:
                ear.pulse.hear()
        elif partition.ear is ear:
            try:
                self._beside.get(channel, self._receive)(payload)
            except Exception:
                log.exception(
                    "what was published can't be read, or a room failed: its partition's look into their logs"
                )
                self._resync(partition.base)
