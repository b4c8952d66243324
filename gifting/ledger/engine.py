"""What a ledger stands on: one Redis, or a Redis Cluster, as the URL says. Nothing above it knows which."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from gifting.config import Settings
from gifting.health import Health
from gifting.ledger.address import Address
from gifting.ledger.batcher import Batcher
from gifting.ledger.cluster.address import ClusterAddress, is_cluster
from gifting.ledger.cluster.awaited import awaited
from gifting.ledger.cluster.batcher import ClusterBatcher
from gifting.ledger.cluster.birth import bear, require_born
from gifting.ledger.cluster.checks import Checks
from gifting.ledger.cluster.feed import ClusterFeed
from gifting.ledger.cluster.late import finder
from gifting.ledger.cluster.layout import agree_layout
from gifting.ledger.cluster.link import Pace
from gifting.ledger.cluster.links import Links
from gifting.ledger.cluster.relay import Relay
from gifting.ledger.cluster.said import Said
from gifting.ledger.cluster.slots import tags
from gifting.ledger.connect import BinaryRedis, connect
from gifting.ledger.connector import Connector
from gifting.ledger.feed import Feed
from gifting.ledger.keys import Keys
from gifting.ledger.lookup import Lookup
from gifting.ledger.moved import look_here
from gifting.ledger.rooms import Rooms
from gifting.ledger.safety import require_safe, watch_safety
from gifting.tasks import together

LINK_PAUSE: Final = 0.01
"""Seconds between two rounds of a link, where ``batch_pause`` says nothing else."""

AnyBatcher = Batcher | ClusterBatcher
AnyFeed = Feed | ClusterFeed
Receive = Callable[[bytes], None]
Resync = Callable[[str], None]
"""Takes a partition by what its keys begin with; '' for all."""


class OneRedis:
    """All that is done per event goes over one connection, by which what is published comes too."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._settings = settings
        self.keys = Keys(settings.key_prefix, settings.partitions)
        self.redis: BinaryRedis = connect(url, settings.ledger_timeout)
        self.connector = Connector(Address(url), settings.ledger_timeout)

    def batcher(self, now: Callable[[], str], halted: Callable[[str], None]) -> AnyBatcher:
        """What commits gifts and free events; ``now`` and ``halted`` as it takes them."""
        return Batcher(self.connector, self.keys.chain, self._settings, now, halted)

    def know(self, lookup: Lookup, rooms: Rooms) -> None:
        """What becomes of a gift is known with its reply: nothing has to be looked up."""

    def feed(self, name: str, receive: Receive, resync: Resync, beside: Mapping[str, Receive]) -> AnyFeed:
        """What is published, for the node ``name``; the rest as :class:`Feed` takes it."""
        heartbeat = f"{self._settings.key_prefix}:heartbeat:{name}"
        channels, timeout = self.keys.channels(), self._settings.heartbeat_timeout
        return Feed(self.connector, channels, heartbeat, timeout, receive, lambda: resync(""), beside)

    async def require(self, health: Health) -> None:
        """Refuse what may lose acknowledged gifts. Raises StartError, RedisError, OSError."""
        await require_safe(self.redis, allow_unsafe=self._settings.allow_unsafe_redis)

    async def bear(self) -> None:
        """Nothing has to be said of partitions that are all in one place."""

    async def watch(self, health: Health) -> None:
        """For ever: what :meth:`require` looks at."""
        if self._settings.allow_unsafe_redis:
            await asyncio.Event().wait()
        await watch_safety(self.redis, health)

    def forget(self, names: list[str]) -> None:
        """What rooms are is asked of Redis each time."""

    async def run(self, health: Health) -> None:
        """For ever: keep the connection. ``health`` is told where it goes on, and not as it should."""
        await self.connector.run()

    async def close(self) -> None:
        await self.redis.aclose()


class ClusterEngine:
    """One link per master for all that is done per event; ``map`` says where partitions are. ``said``: the calls of the
    batcher, once there is one, for who can wait for them.
    """

    said: Said

    def __init__(self, url: str, settings: Settings) -> None:
        self._settings = settings
        self.keys = Keys(settings.key_prefix, settings.partitions, tags(settings.partitions))
        self.redis: BinaryRedis = connect(url, settings.ledger_timeout)
        self.address = ClusterAddress(url)
        self.map = self.redis.router.map
        held_by = awaited(settings.replicas_waited, settings.every_replica, self.map, lambda: self.checks.keeping.ms)
        self.redis.router.awaited = held_by
        pace = Pace(settings.batch_pause or LINK_PAUSE, held_by, settings.ledger_timeout)
        self.links = Links(self.map, self.address, pace)
        self._batcher: ClusterBatcher | None = None
        probes = tuple(f"{base}:waited" for base in self.keys.bases)
        self.checks = Checks(self.map, self.redis.router.ask, probes, settings, held_by, self.links.rounds)
        self.relay = Relay(self.redis, self.keys, self.checks.keeping)

    def batcher(self, now: Callable[[], str], halted: Callable[[str], None]) -> AnyBatcher:
        """As :meth:`OneRedis.batcher`."""
        self._batcher = made = ClusterBatcher(self.links, self.keys, self._settings, now, halted, self.relay.hurry)
        timeout = self._settings.ledger_timeout
        self.said = Said(self.links, self.keys, made.debit_calls, made.credit_calls, timeout, halted)
        self.relay.use(self.said)
        return made

    def know(self, lookup: Lookup, rooms: Rooms) -> None:
        """By these it is found what became of gifts that were told as pending."""
        if self._batcher is not None:
            self._batcher.late.use(finder(self.redis, self.keys, lookup, rooms))

    def feed(self, name: str, receive: Receive, resync: Resync, beside: Mapping[str, Receive]) -> AnyFeed:
        """As :meth:`OneRedis.feed`; it hears the partitions that are watched."""
        timeout, silence = self._settings.ledger_timeout, self._settings.heartbeat_timeout
        first = self.keys.bases[0]
        return ClusterFeed(self.address, self.map, name, timeout, silence, receive, resync, first, beside)

    async def require(self, health: Health) -> None:
        """Refuse a cluster on which not every promise holds. Raises StartError, RedisError, OSError."""
        await self.checks.require()
        await look_here(self.redis, self.keys.meta)
        await require_born(self.redis, self.keys)

    async def bear(self) -> None:
        """At the first start: say in each partition that it is there. Raises ClusterLayout, RedisError, OSError."""
        await agree_layout(self.redis, self.keys)
        await bear(self.redis, self.keys)

    async def watch(self, health: Health) -> None:
        """For ever: what :meth:`require` looks at."""
        await self.checks.watch(health)

    def forget(self, names: list[str]) -> None:
        """These keys, of rooms or of what a host has decided, have been changed by this node."""
        if self._batcher is not None:
            self._batcher.rooms.forget(names)

    async def run(self, health: Health) -> None:
        """For ever: keep the links, and credit what other nodes have left."""
        await together((self.links.run(), self.relay.run(health)))

    async def close(self) -> None:
        await self.redis.aclose()


Engine = OneRedis | ClusterEngine


def open_engine(url: str, settings: Settings) -> Engine:
    """By the URL. Raises BadSetting: it can't be read."""
    return ClusterEngine(url, settings) if is_cluster(url) else OneRedis(url, settings)
