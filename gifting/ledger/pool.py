"""Pools of connections to one Redis as the ledger needs them: nothing is sent twice behind anybody's back."""

from __future__ import annotations

from typing import Final

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

CONNECT_TIMEOUT: Final = 2.0
"""Seconds to make a connection."""

MAX_CONNECTIONS: Final = 64
"""Connections of one process to one Redis; who finds them all in use waits for one, up to the call's time-out."""


def open_pool(url: str, timeout: float, most: int = MAX_CONNECTIONS) -> BlockingConnectionPool:
    """At most so many connections, on which whoever waits ``timeout`` seconds for a reply gets an error instead.

    redis-py would by default send a timed-out call once more; for a script that moves money that is a second debit.
    """
    return BlockingConnectionPool.from_url(
        url,
        timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=timeout,
        socket_connect_timeout=CONNECT_TIMEOUT,
        max_connections=most,
    )
