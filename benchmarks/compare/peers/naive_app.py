"""What everybody writes first: one script call per gift, Redis pub/sub, and a loop over the room's sockets.

NAIVE_REDIS=unix:///run/redis.sock uvicorn benchmarks.compare.peers.naive_app:app
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

SEND_GIFT = """
-- KEYS: coins, diamonds, top, key.  ARGV: user, host, price, event, channel.  Returns {accepted, coins left}.
if redis.call('EXISTS', KEYS[4]) == 1 then return {1, tonumber(redis.call('HGET', KEYS[1], ARGV[1]))} end
local coins = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0)
local price = tonumber(ARGV[3])
if coins < price then return {0, coins} end
redis.call('HINCRBY', KEYS[1], ARGV[1], -price)
redis.call('HINCRBY', KEYS[2], ARGV[2], price * 500)
redis.call('ZINCRBY', KEYS[3], price, ARGV[1])
redis.call('SET', KEYS[4], '1', 'EX', 600)
redis.call('PUBLISH', ARGV[5], ARGV[4])
return {1, coins - price}
"""
PRICES = {"spark": 1, "rose": 10}

# By default the 101st gift in flight would raise an error.
redis = Redis.from_url(os.environ.get("NAIVE_REDIS", "redis://127.0.0.1"), max_connections=10_000)
rooms: dict[str, set[WebSocket]] = defaultdict(set)
script = redis.register_script(SEND_GIFT)


async def fan_out() -> None:
    """Everything that is published goes to every viewer of its room."""
    async with redis.pubsub() as channels:
        await channels.psubscribe("room:*")
        async for message in channels.listen():
            if message["type"] != "pmessage":
                continue
            room = message["channel"].decode().removeprefix("room:")
            for viewer in list(rooms[room]):
                try:
                    await viewer.send_bytes(message["data"])
                except (RuntimeError, WebSocketDisconnect):
                    rooms[room].discard(viewer)


async def send_gift(room: str, user: str, message: dict[str, Any]) -> dict[str, Any]:
    price = PRICES[message["gift"]]
    event = json.dumps({"type": "gift", "user": user, "gift": message["gift"], "coins": price})
    accepted, coins = await script(
        keys=["coins", "diamonds", f"top:{room}", f"key:{message['key']}"],
        args=[user, f"host-{room}", price, event, f"room:{room}"],
    )
    return {"re": message["id"], "ok": bool(accepted), "coins": coins}


async def socket(websocket: WebSocket) -> None:
    """A viewer or a sender: ``/ws/ROOM?user=U``."""
    room, user = websocket.path_params["room"], websocket.query_params["user"]
    await websocket.accept()
    if "watch" in websocket.query_params:
        rooms[room].add(websocket)
        await websocket.send_json({"joined": room})
    try:
        while True:
            message = await websocket.receive_json()
            if message["op"] == "send_gift":
                await websocket.send_json(await send_gift(room, user, message))
            elif message["op"] == "comment":
                event = json.dumps({"type": "comment", "user": user, "text": message["text"]})
                await redis.publish(f"room:{room}", event)
    except WebSocketDisconnect:
        pass
    finally:
        rooms[room].discard(websocket)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    task = asyncio.create_task(fan_out())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await redis.aclose()


app = Starlette(routes=[WebSocketRoute("/ws/{room}", socket)], lifespan=lifespan)
