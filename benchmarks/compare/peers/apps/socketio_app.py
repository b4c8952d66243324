"""A python-socketio server whose clients name a room when they connect. ``socketio_app.py PORT WS [REDIS_URL]``

Viewers join the room, publishers send events to it. ``WS`` is uvicorn's WebSocket implementation.
"""

from __future__ import annotations

import sys
from typing import Any

import socketio
import uvicorn


def handle(server: Any) -> None:
    """Lets clients in, and passes on what publishers send."""
    publishing: dict[str, str] = {}

    async def connect(sid: str, environ: dict[str, Any], auth: dict[str, Any]) -> None:
        if auth.get("publishes"):
            publishing[sid] = auth["room"]
        else:
            await server.enter_room(sid, auth["room"])

    async def ready(sid: str) -> None:
        await server.emit("in", to=sid)

    async def event(sid: str, body: str) -> None:
        await server.emit("event", body, room=publishing[sid])

    for handler in (connect, ready, event):
        server.on(handler.__name__, handler)


def main(port: str, ws: str, redis: str = "") -> None:
    server = socketio.AsyncServer(
        async_mode="asgi",
        client_manager=socketio.AsyncRedisManager(redis) if redis else None,
        transports=["websocket"],
        http_compression=False,
        # handled one after another: the events of a publisher stay in their order
        async_handlers=False,
    )
    handle(server)
    uvicorn.run(
        socketio.ASGIApp(server),
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        ws=ws,
        ws_per_message_deflate=False,
        ws_ping_interval=None,  # Socket.IO has its own
        lifespan="off",
        access_log=False,
        log_level="warning",
        backlog=4096,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
