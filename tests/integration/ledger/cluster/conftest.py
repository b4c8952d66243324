"""A cluster of 3 masters and 3 replicas that tests of a module share, and may break as long as they mend it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from gifting.ledger.cluster.client import ClusterRedis
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.embedded.cluster import EmbeddedCluster
from tests.support.clusters import shared_cluster

NODE_TIMEOUT = 1.0
"""Seconds after which a dead master is replaced."""

TIMEOUT = 8.0
"""Seconds of a call: longer than an election takes."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedCluster]:
    with shared_cluster(node_timeout=NODE_TIMEOUT) as cluster:
        yield cluster


@pytest.fixture
async def client(cluster: EmbeddedCluster) -> AsyncIterator[BinaryRedis]:
    """Of the cluster, emptied."""
    async with ClusterRedis(cluster.url, TIMEOUT) as client:
        await client.flushall()
        yield client
