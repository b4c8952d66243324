"""Redis clients as the ledger needs them: nothing is sent twice behind its back, and nothing waits for ever."""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gifting.ledger.pool import open_pool

FAILURES: Final = (RedisError, OSError)
"""What calls raise that failed, for who knows nothing else of Redis."""

BinaryRedis = Any
"""A client whose replies are bytes; redis-py's types can only say bytes or str or awaitable."""


def connect(url: str, timeout: float) -> BinaryRedis:
    """A client whose calls fail after ``timeout`` seconds instead of being sent again."""
    return Redis.from_pool(open_pool(url, timeout))
