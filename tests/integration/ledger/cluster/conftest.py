"""A cluster of 3 masters and 3 replicas that tests of a module share and may break: each gets it whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from gifting.ledger.cluster.client import ClusterRedis
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.embedded.cluster import EmbeddedCluster
from tests.support.clusters import mend, session_cluster, shared_cluster

NODE_TIMEOUT = 1.0
"""Seconds after which a dead master is replaced."""

TIMEOUT = 60.0
"""Seconds of a call: longer than it takes until a dead master is replaced and back as a replica, on a busy machine."""


@pytest.fixture(scope="module")
def one_for_all() -> Iterator[EmbeddedCluster]:
    with shared_cluster(node_timeout=NODE_TIMEOUT) as cluster:
        yield cluster


@pytest.fixture
async def cluster(one_for_all: EmbeddedCluster) -> EmbeddedCluster:
    """Whole, whatever the test before has left."""
    await mend(one_for_all)
    return one_for_all


@pytest.fixture
async def client(cluster: EmbeddedCluster) -> AsyncIterator[BinaryRedis]:
    """Of the cluster, emptied."""
    async with ClusterRedis(cluster.url, TIMEOUT) as client:
        await client.flushall()
        yield client


@pytest.fixture(scope="module")
def module_cluster() -> Iterator[EmbeddedCluster]:
    """Which no test of the module breaks."""
    with session_cluster() as cluster:
        yield cluster


@pytest.fixture
async def empty_cluster(module_cluster: EmbeddedCluster) -> EmbeddedCluster:
    async with ClusterRedis(module_cluster.url, TIMEOUT) as client:
        await client.flushall()
    return module_cluster
