"""A feed of a cluster, and what it has heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gifting.ledger.cluster.address import ClusterAddress
from gifting.ledger.cluster.feed import ClusterFeed
from gifting.ledger.cluster.map import Map
from gifting.ledger.cluster.slots import slot_of, tags
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.node import Node
from gifting.tasks import end
from tests.support.waiting import WITHIN, until

BASES = [f"x:{{{tag}}}" for tag in tags(16)]
SILENCE = 2.5
"""Seconds after which a connection that brings nothing is given up; a busy machine must not be taken for that."""


class ClusterEars:
    """``heard`` is what came, ``resynced`` the bases of partitions whose rooms were told to look into their logs."""

    def __init__(self, cluster: EmbeddedCluster, timeout: float = 5.0) -> None:
        self._cluster = cluster
        self.heard: list[bytes] = []
        self.beside: list[bytes] = []
        self.resynced: list[str] = []
        address = ClusterAddress(cluster.url)
        self.map = Map(address)
        beside = {f"{BASES[0]}:balances": self.beside.append}
        self.feed = ClusterFeed(
            address, self.map, "me", timeout, SILENCE, self._receive, self.resynced.append, BASES[0], beside
        )

    def _receive(self, payload: bytes) -> None:
        if payload == b"garbage":
            raise ValueError
        self.heard.append(payload)

    async def publish(self, base: str, payload: bytes, channel: str = "events") -> None:
        owner = await self._cluster.owner(slot_of(base))
        await owner.call("SPUBLISH", f"{base}:{channel}", payload.decode())

    async def hears(self, base: str) -> None:
        """What is published from now on is heard."""
        self.heard.clear()
        await self.publish(base, b"now")
        await until(lambda: self.heard == [b"now"])


async def listeners(node: Node, base: str) -> int:
    """How many hear what a node publishes of a partition."""
    _, count = await node.call("PUBSUB", "SHARDNUMSUB", f"{base}:events")
    return int(count)


@asynccontextmanager
async def cluster_ears(cluster: EmbeddedCluster, timeout: float = 5.0) -> AsyncIterator[ClusterEars]:
    ears = ClusterEars(cluster, timeout)
    running = asyncio.create_task(ears.feed.run())
    try:
        await asyncio.wait_for(ears.feed.ready(), WITHIN)
        yield ears
    finally:
        await end([running])
        await ears.map.close()
