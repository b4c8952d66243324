"""Redis clients as the ledger needs them: nothing is sent twice behind its back, and nothing waits for ever."""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

CONNECT_TIMEOUT: Final = 2.0
"""Seconds to make a connection."""

MAX_CONNECTIONS: Final = 64
"""Connections of one process to Redis; who finds them all in use waits for one, up to the call's time-out."""

FAILURES: Final = (RedisError, OSError)
"""What calls raise that failed, for who knows nothing else of Redis."""

BinaryRedis = Any
"""A client whose replies are bytes; redis-py's types can only say bytes or str or awaitable."""


def connect(url: str, timeout: float) -> BinaryRedis:
    """A client whose calls fail after ``timeout`` seconds instead of being sent again.

    redis-py would by default send a timed-out call once more; for a script that moves money that is a second debit.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=timeout,
        socket_connect_timeout=CONNECT_TIMEOUT,
        max_connections=MAX_CONNECTIONS,
    )
    return Redis.from_pool(pool)
