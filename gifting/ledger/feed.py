"""The feed of room batches from Redis to the hub, watched by a heartbeat of its own.

Pub/sub may lose messages when a connection breaks, and a broken connection may stay silent. So the feed sends itself
heartbeats through Redis; when they stop coming it connects anew and has every room look into its log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from redis.exceptions import RedisError

from gifting.ledger.connect import BinaryRedis

log = logging.getLogger(__name__)

RECONNECT_PAUSE: Final = 0.1
"""Seconds between two tries to connect."""


class Feed:
    """Feeds ``receive`` with every message that is published; calls ``resync`` when some may have been missed."""

    def __init__(
        self,
        redis: BinaryRedis,
        channels: list[str],
        heartbeat_channel: str,
        heartbeat_timeout: float,
        receive: Callable[[bytes], None],
        resync: Callable[[], None],
    ) -> None:
        self._redis = redis
        self._channels = channels
        self._heartbeat = heartbeat_channel
        self._timeout = heartbeat_timeout
        self._receive = receive
        self._resync = resync
        self._time = asyncio.get_running_loop().time
        self._heard_at = 0.0
        self._ready = asyncio.Event()
        self.reconnects = -1

    @property
    def healthy(self) -> bool:
        """Whether the feed was heard of lately."""
        return self._time() - self._heard_at <= self._timeout

    async def ready(self) -> None:
        """Wait for the first subscription."""
        await self._ready.wait()

    async def run(self) -> None:
        """For ever: keep a subscription."""
        while True:
            try:
                await self._subscribe()
            except (RedisError, OSError) as error:
                log.warning("the feed broke: %r", error)
            except ExceptionGroup:
                log.exception("the feed broke: something else is published on its channels, or a room failed")
            await asyncio.sleep(RECONNECT_PAUSE)

    async def _subscribe(self) -> None:
        pubsub = self._redis.pubsub()
        try:
            await pubsub.subscribe(*self._channels, self._heartbeat)
            self.reconnects += 1
            self._heard_at = self._time()
            self._ready.set()
            self._resync()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(pubsub))
                group.create_task(self._beat())
        except* (RedisError, OSError) as broken:
            raise broken.exceptions[0] from None
        finally:
            await pubsub.aclose()

    async def _listen(self, pubsub: Any) -> None:
        heartbeat = self._heartbeat.encode()
        while True:
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=None)
            if message is None:
                continue
            if message["channel"] == heartbeat:
                self._heard_at = self._time()
                continue
            self._receive(message["data"])

    async def _beat(self) -> None:
        while True:
            await self._redis.publish(self._heartbeat, b"")
            await asyncio.sleep(self._timeout / 4)
            if not self.healthy:
                raise TimeoutError("no heartbeat came through")
