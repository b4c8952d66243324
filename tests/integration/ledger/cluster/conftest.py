"""A cluster of 3 masters and 3 replicas that tests of a module share, and may break as long as they mend it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from gifting.ledger.cluster.client import ClusterRedis
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.embedded.cluster import EmbeddedCluster
from tests.support.engine import redis_binary
from tests.support.redis_cluster import in_a_loop_of_its_own
from tests.support.redis_server import folder_in_memory

NODE_TIMEOUT = 1.0
"""Seconds after which a dead master is replaced."""

TIMEOUT = 8.0
"""Seconds of a call: longer than an election takes."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedCluster]:
    with folder_in_memory() as folder:
        cluster = EmbeddedCluster(folder, binary=redis_binary(), node_timeout=NODE_TIMEOUT)
        in_a_loop_of_its_own(_start(cluster))
        try:
            yield cluster
        finally:
            in_a_loop_of_its_own(cluster.stop())


async def _start(cluster: EmbeddedCluster) -> None:
    await cluster.start()


@pytest.fixture
async def client(cluster: EmbeddedCluster) -> AsyncIterator[BinaryRedis]:
    """Of the cluster, emptied."""
    async with ClusterRedis(cluster.url, TIMEOUT) as client:
        await client.flushall()
        yield client
