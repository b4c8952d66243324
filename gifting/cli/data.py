"""How commands come to the Redis of data that is there, live or stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import uvloop
from redis.exceptions import RedisError

from gifting import config
from gifting.cli.target import say_state
from gifting.errors import NoData, NoRedis
from gifting.health import Health
from gifting.ledger.connect import BinaryRedis, connect
from gifting.ledger.embedded import running_url
from gifting.ledger.embedded.datadir import has_data
from gifting.node import redis_for
from gifting.tasks import Vital

T = TypeVar("T")
TIMEOUT = 60.0
"""Seconds a single Redis call may take."""


@asynccontextmanager
async def redis_of_data(settings: config.Settings) -> AsyncIterator[str]:
    """The Redis of a data directory: the one that runs on it, else one that is started while the context lasts.

    Raises:
        NoData: the directory has none; nothing was written there then.
    """
    if settings.redis:
        yield settings.redis
        return
    if (url := running_url(settings.data_path)) is not None:
        yield url
        return
    if not has_data(settings.data_path):
        raise NoData(f"There is no data of a server in {settings.data_path}, {say_state(settings.data_path)}.")
    async with redis_for(settings, Vital(Health())) as url:
        yield url


def with_redis(settings: config.Settings, work: Callable[[BinaryRedis], Awaitable[T]]) -> T:
    """What ``work`` makes of the Redis of a data directory, live or stopped. Raises NoData, and NoRedis if it fails."""

    async def run() -> T:
        async with redis_of_data(settings) as url:
            client = connect(url, TIMEOUT, settings.replicas_waited)
            try:
                return await work(client)
            finally:
                await client.aclose()

    try:
        return uvloop.run(run())
    except (RedisError, OSError) as error:
        raise NoRedis(f"Redis can't be used: {error}.") from None
