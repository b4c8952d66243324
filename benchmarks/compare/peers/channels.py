"""Django Channels with channels-redis on uvicorn (``apps/channels_app.py``)."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar, Final

from benchmarks.compare.peer import Opening, Peer, Running
from benchmarks.compare.peers._install import HERE, python_packages
from benchmarks.compare.peers._redis import private_redis
from benchmarks.compare.process import process
from gifting.ledger.embedded.ports import free_port

APP: Final = HERE / "apps" / "channels_app.py"


class _Channels(Peer):
    family = "Channels"
    install = "pip install -e '.[peers]'"
    layer: ClassVar[str]
    """Of ``apps/channels_app.py``."""

    @classmethod
    def version(cls) -> str | None:
        return python_packages("channels", "channels-redis", "django", "uvicorn")

    def viewer(self, room: str, number: int) -> Opening:
        return Opening(f"/view/{room}")

    def publisher(self, room: str, number: int) -> Opening:
        return Opening(f"/publish/{room}")

    def publish(self, room: str, body: str) -> bytes:
        return body.encode()

    @asynccontextmanager
    async def run(self, directory: Path, rooms: Sequence[str]) -> AsyncIterator[Running]:
        async with private_redis(directory) as redis:
            port = free_port()
            command = [sys.executable, str(APP), str(port), self.layer, f"unix://{redis.socket}"]
            async with process(command, directory, "server", port) as pid:
                yield Running(port, (pid,), (redis.pid,))


class Channels(_Channels):
    name = "Channels, RedisChannelLayer"
    about = (
        "one process on uvicorn with uvloop, no compression, the layer that its documentation starts with; capacity "
        "raised from 100 to 10 million messages, so that it drops nothing"
    )
    layer = "queue"


class ChannelsPubSub(_Channels):
    name = "Channels, RedisPubSubChannelLayer"
    about = "as with RedisChannelLayer, with the layer that is its faster one; its queues have no bound, so none drops"
    layer = "pubsub"
