"""The demo's own Redis Cluster, of which a key kills a master; how the cluster comes over that."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Final

from gifting.errors import DataDirInUse, NoRedis
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.connect import FAILURES, BinaryRedis
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.datadir import POLL, flock
from gifting.ledger.embedded.node import Node
from gifting.ledger.embedded.server import URL_NOTE
from gifting.ledger.keys import Keys
from gifting.tasks import end

log = logging.getLogger(__name__)

FOLDER: Final = "cluster"
"""Where the nodes' folders are, below the data directory."""

NODE_TIMEOUT: Final = 1.0
"""Seconds after which a dead master is noticed: gifts wait longer than that, and so are not refused meanwhile."""

MENDED_WITHIN: Final = 15.0
"""Longest wait at the end for a master that was killed, seconds."""

LOOK_EVERY: Final = 0.5
"""Seconds between two looks, and the longest wait for the outboxes."""


@dataclass
class Failover:
    """What became of a master that was killed, in seconds since then; None: not yet."""

    room: str
    killed_at: float
    """On the clock of ``time.perf_counter``."""
    at: str
    replaced: float | None = None
    acked: float | None = None
    """The first gift to the room that was sent after it, and had both its sides when it was acknowledged."""
    back: float | None = None


@dataclass
class Shards:
    """The cluster as it is now, and the last failover. ``kept``: entries of the outboxes, that is
    calls whose gifts are paid, until a minute after they are with their hosts."""

    cluster: EmbeddedCluster
    masters: int = 0
    replicas: int = 0
    kept: int = 0
    failover: Failover | None = None

    async def watch(self, redis: BinaryRedis, books: Keys) -> None:
        """For ever: look at the nodes and the outboxes; what does not answer stays as it was."""
        while True:
            with suppress(NoRedis):
                self.masters = len(await self.cluster.masters())
                self.replicas = sum(node.alive for node in self.cluster.nodes.values()) - self.masters
            with suppress(*FAILURES, TimeoutError):
                async with asyncio.timeout(LOOK_EVERY), redis.pipeline(transaction=False) as pipe:
                    for base in books.bases:
                        pipe.xlen(f"{base}:outbox")
                    self.kept = sum(await pipe.execute())
            await asyncio.sleep(LOOK_EVERY)

    def heard(self, room: str, sent_at: float) -> None:
        """A gift that was sent then to a room is acknowledged, both its sides."""
        failed = self.failover
        if failed and failed.room == room and failed.acked is None and sent_at > failed.killed_at:
            failed.acked = time.perf_counter() - failed.killed_at

    async def kill_master(self, room: str, base: str) -> None:
        """Kill the master that has the partition ``base`` of a room's host, and start it again once it is replaced.

        Raises:
            NoRedis: the cluster does not come over it.
        """
        slot = slot_of(base)
        victim = await self.cluster.owner(slot)
        failed = self.failover = Failover(room, time.perf_counter(), time.strftime("%H:%M:%S"))
        await self.cluster.kill(victim.id)
        while await self._owner(slot) in (None, victim):
            await asyncio.sleep(POLL)
        failed.replaced = time.perf_counter() - failed.killed_at
        await self.cluster.restart(victim.id)
        await self.cluster.settle()
        failed.back = time.perf_counter() - failed.killed_at

    async def _owner(self, slot: int) -> Node | None:
        with suppress(NoRedis):
            return await self.cluster.owner(slot)
        return None


class Killer:
    """Kills a master at a time, those that have ``rooms`` in turn; a room's value is its host's partition."""

    def __init__(self, shards: Shards, rooms: Mapping[str, str]) -> None:
        self._shards, self._rooms = shards, cycle(rooms.items())
        self._killing: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """The last one is not back."""
        return self._killing is not None and not self._killing.done()

    def press(self) -> None:
        """Not before the last one is back."""
        if not self.busy:
            self._killing = asyncio.create_task(self._kill(*next(self._rooms)))

    async def _kill(self, room: str, base: str) -> None:
        try:
            await self._shards.kill_master(room, base)
        except NoRedis as error:
            log.warning("the cluster does not come over a master's death: %s", error)

    async def end(self) -> None:
        """Once the last one is back; give up after ``MENDED_WITHIN``."""
        if self._killing is not None:
            await asyncio.wait([self._killing], timeout=MENDED_WITHIN)
            await end([self._killing])


@asynccontextmanager
async def own_cluster(data_dir: Path) -> AsyncIterator[Shards]:
    """3 masters and 3 replicas while the context lasts; commands that are given the directory find them.

    Raises:
        DataDirInUse: another demo has it.
        NoRedis: they don't start.
    """
    lock = flock(data_dir / "lock")
    if lock is None:
        raise DataDirInUse(f"{data_dir} is in use by another server.")
    cluster = EmbeddedCluster(data_dir / FOLDER, node_timeout=NODE_TIMEOUT, password=secrets.token_urlsafe())
    try:
        (data_dir / URL_NOTE).write_text(await cluster.start())
        yield Shards(cluster)
    finally:
        await cluster.stop()
        os.close(lock)
