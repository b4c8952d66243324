"""The feed of what is published in one Redis to the hub, watched by a heartbeat of its own (``pulse.py``).

All is published by sharded pub/sub, on one Redis as on a cluster (``cluster/feed.py``). It may lose messages when a
connection breaks: then the connection is made anew, and every room looks into its log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType

from gifting.ledger.connector import Connector
from gifting.ledger.pulse import Pulse
from gifting.ledger.resp import command

log = logging.getLogger(__name__)


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
        beat = command("SPUBLISH", heartbeat_channel, b"")
        self._heartbeat = heartbeat_channel.encode()
        self._pulse = Pulse(connector, heartbeat_timeout, lambda: beat)
        self._receive = receive
        self._beside = {channel.encode(): hear for channel, hear in beside.items()}
        self._resync = resync
        self._ready = asyncio.Event()
        self.reconnects = -1
        connector.subscribe((*channels, *beside, heartbeat_channel), self._hear)
        connector.came_up.append(self._begin)

    @property
    def healthy(self) -> bool:
        """Whether the feed was heard of lately."""
        return self._pulse.healthy

    async def ready(self) -> None:
        """Wait for the first subscription."""
        await self._ready.wait()

    async def run(self) -> None:
        """For ever: see to it that something is heard."""
        await self._pulse.run()

    def _begin(self) -> None:
        """There is a new subscription."""
        self.reconnects += 1
        self._pulse.hear()
        self._ready.set()
        self._resync()

    def _hear(self, channel: bytes, payload: bytes) -> None:
        if channel == self._heartbeat:
            self._pulse.hear()
            return
        try:
            self._beside.get(channel, self._receive)(payload)
        except Exception:
            log.exception("what was published can't be read, or a room failed: all rooms look into their logs")
            self._resync()
