"""A Django Channels server: viewers at ``/view/ROOM``, publishers at ``/publish/ROOM``.

``channels_app.py PORT LAYER REDIS_URL``; ``LAYER`` is a key of ``LAYERS``.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import django
import uvicorn
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import re_path

LOSSLESS: Final = 10_000_000
"""Messages that may wait in the queue layer, for all viewers of a process together; beyond, it drops. 100 is usual."""
REDIS_CONNECTIONS: Final = 5_000
"""Connections to Redis that a process may have; at the usual 100 it refuses viewers who come in at once."""
LAYERS: Final[dict[str, dict[str, Any]]] = {
    "queue": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"capacity": LOSSLESS, "expiry": 3600}},
    "pubsub": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {}},
}


class Viewer(AsyncWebsocketConsumer):  # type: ignore[misc]
    async def connect(self) -> None:
        await self.channel_layer.group_add(self.scope["url_route"]["kwargs"]["room"], self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.scope["url_route"]["kwargs"]["room"], self.channel_name)

    async def event(self, message: dict[str, Any]) -> None:
        await self.send(text_data=message["body"])


class Publisher(AsyncWebsocketConsumer):  # type: ignore[misc]
    async def receive(self, text_data: str) -> None:
        room = self.scope["url_route"]["kwargs"]["room"]
        await self.channel_layer.group_send(room, {"type": "event", "body": text_data})


def application(layer: str, redis: str) -> Any:
    """The ASGI application. Once per process, as it configures Django."""
    chosen = LAYERS[layer]
    chosen["CONFIG"]["hosts"] = [{"address": redis, "max_connections": REDIS_CONNECTIONS}]
    settings.configure(INSTALLED_APPS=["channels"], CHANNEL_LAYERS={"default": chosen})
    django.setup()
    routes = [
        re_path(r"^view/(?P<room>.+)$", Viewer.as_asgi()),
        re_path(r"^publish/(?P<room>.+)$", Publisher.as_asgi()),
    ]
    return ProtocolTypeRouter({"websocket": URLRouter(routes)})


def main(port: str, layer: str, redis: str) -> None:
    uvicorn.run(
        application(layer, redis),
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="off",
        access_log=False,
        log_level="warning",
        backlog=4096,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
