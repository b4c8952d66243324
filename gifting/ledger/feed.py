"""The feed of what is published in Redis to the hub, watched by a heartbeat of its own.

All is published by sharded pub/sub, on one Redis as on a cluster. It may lose messages when a connection breaks, and a
broken connection may stay silent. So the feed sends itself heartbeats through Redis; when they stop coming the
connection is made anew and every room looks into its log. With each it asks how much Redis holds for this node: one
that reads more slowly than events come parts in order, before Redis has to cut it off amid a commit or fills its
memory, and goes on from the log.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError

from gifting.ledger.connector import Connector
from gifting.ledger.resp import command

log = logging.getLogger(__name__)

BACKLOG_MAX: Final = 8 << 20
"""Bytes that may wait in Redis for this node. By default Redis cuts off who lets 32 MiB wait, or 8 MiB for a minute."""

_HELD: Final = re.compile(rb"\bomem=(\d+)")
_ASK_HELD: Final = command("CLIENT", "INFO")


class Feed:
    """Feeds ``receive`` with all that is published on ``channels``; calls ``resync`` when some may have been missed.

    ``beside`` are channels with a receiver of their own; what is missed of them is gone.
    """

    def __init__(
        self,
        connector: Connector,
        channels: list[str],
        heartbeat_channel: str,
        heartbeat_timeout: float,
        receive: Callable[[bytes], None],
        resync: Callable[[], None],
        beside: Mapping[str, Callable[[bytes], None]] = MappingProxyType({}),
    ) -> None:
        self._connector = connector
        self._heartbeat = heartbeat_channel.encode()
        self._beat = command("SPUBLISH", heartbeat_channel, b"")
        self._timeout = heartbeat_timeout
        self._receive = receive
        self._beside = {channel.encode(): hear for channel, hear in beside.items()}
        self._resync = resync
        self._time = asyncio.get_running_loop().time
        self._heard_at = 0.0
        self._unanswered = 0
        self._ready = asyncio.Event()
        self.reconnects = -1
        connector.subscribe((*channels, *beside, heartbeat_channel), self._hear)
        connector.came_up.append(self._begin)

    @property
    def healthy(self) -> bool:
        """Whether the feed was heard of lately."""
        return self._time() - self._heard_at <= self._timeout

    async def ready(self) -> None:
        """Wait for the first subscription."""
        await self._ready.wait()

    async def run(self) -> None:
        """For ever: see to it that something is heard."""
        while True:
            if self._connector.up:
                self._look()
            if self._connector.up:
                self._ask(self._beat, self._note_answer)
                self._ask(_ASK_HELD, self._note_held)
            due = self._time() + self._timeout / 4
            await asyncio.sleep(self._timeout / 4)
            self._heard_at += max(0.0, self._time() - due)  # while the loop stands still nothing can be heard

    def _begin(self) -> None:
        """There is a new subscription."""
        self.reconnects += 1
        self._heard_at = self._time()
        self._ready.set()
        self._resync()

    def _hear(self, channel: bytes, payload: bytes) -> None:
        if channel == self._heartbeat:
            self._heard_at = self._time()
            return
        try:
            self._beside.get(channel, self._receive)(payload)
        except Exception:
            log.exception("what was published can't be read, or a room failed: all rooms look into their logs")
            self._resync()

    def _look(self) -> None:
        """After too long a silence the connection is of no use; but what is committed over it is waited for."""
        if self.healthy:
            return
        silent = TimeoutError("no heartbeat came through")
        if not self._unanswered:
            self._connector.renew(silent)  # it answers, and nothing is published to us
        elif self._unanswered == self._connector.unanswered:
            self._connector.fail(silent)

    def _ask(self, request: bytes, done: Callable[[Any], None]) -> None:
        self._unanswered += 1
        self._connector.call(request, done)

    def _note_answer(self, _: Any) -> None:
        self._unanswered -= 1

    def _note_held(self, info: Any) -> None:
        """What CLIENT INFO says; it may be refused."""
        self._unanswered -= 1
        held = _HELD.search(info) if isinstance(info, bytes) else None
        if held is not None and int(held[1]) > BACKLOG_MAX:
            self._connector.renew(RedisConnectionError(f"{int(held[1]):,} bytes wait for this node: it reads slowly."))
