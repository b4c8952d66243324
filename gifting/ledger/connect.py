"""Redis clients as the ledger needs them: nothing is sent twice behind its back, and nothing waits for ever."""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gifting.ledger.cluster.address import is_cluster
from gifting.ledger.cluster.awaited import AtLeast
from gifting.ledger.cluster.client import ClusterRedis
from gifting.ledger.cluster.slots import tags
from gifting.ledger.keys import Keys
from gifting.ledger.pool import open_pool

FAILURES: Final = (RedisError, OSError)
"""What calls raise that failed, for who knows nothing else of Redis."""

BinaryRedis = Any
"""A client whose replies are bytes; redis-py's types can only say bytes or str or awaitable."""


def connect(url: str, timeout: float, replicas: int = 1) -> BinaryRedis:
    """A client whose calls fail after ``timeout`` seconds instead of being sent again; of a cluster, after twice that,
    and there ``replicas`` must have what they write.

    Raises:
        BadSetting: the URL of a cluster can't be read.
    """
    if is_cluster(url):
        client = ClusterRedis(url, timeout)
        client.router.awaited = AtLeast(replicas)
        return client
    return Redis.from_pool(open_pool(url, timeout))


def keys_of(redis: BinaryRedis, prefix: str, partitions: int) -> Keys:
    """The names of keys as they are in what ``redis`` is a client of."""
    return Keys(prefix, partitions, tags(partitions) if isinstance(redis, ClusterRedis) else None)
