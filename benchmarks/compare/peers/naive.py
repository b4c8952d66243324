"""The naive stack, :mod:`benchmarks.compare.peers.naive_app`, on uvicorn with a durable Redis."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from redis.asyncio import Redis

from benchmarks.compare.giver import Giver
from benchmarks.compare.peer import TEXT, Opening, PeerError, Running
from benchmarks.compare.process import process
from gifting.bench.spec import Replies
from gifting.errors import GiftingError
from gifting.ledger.embedded import EmbeddedRedis
from gifting.ledger.embedded.ports import free_port

ROOT: Final = Path(__file__).resolve().parents[3]
GIFT: Final = "spark"


class Naive(Giver):
    """One process, as most of them run."""

    name = "naive stack"
    family = "naive stack"
    install = "pip install -e '.[embedded,compare]'"
    about = (
        "Starlette `WebSocketRoute` on uvicorn and uvloop, `await evalsha` per gift, Redis pub/sub, `await send_bytes` "
        "per viewer; Redis with `appendfsync always`, compression off."
    )
    gift_opcode = TEXT
    replies = Replies(b'"ok":', b"t")

    def __init__(self) -> None:
        self._redis_url = ""

    @classmethod
    def version(cls) -> str | None:
        """Of Starlette and uvicorn."""
        try:
            return f"Starlette {version('starlette')}, uvicorn {version('uvicorn')}"
        except PackageNotFoundError:
            return None

    @asynccontextmanager
    async def run(self, directory: Path, rooms: Sequence[str]) -> AsyncIterator[Running]:
        redis = EmbeddedRedis(directory / "data")
        try:
            self._redis_url = await redis.start()
        except GiftingError as error:
            raise PeerError(str(error)) from error
        try:
            port = free_port()
            command = [
                *(sys.executable, "-m", "uvicorn", "benchmarks.compare.peers.naive_app:app", "--port", str(port)),
                *("--loop", "uvloop", "--no-access-log", "--ws-per-message-deflate", "false", "--backlog", "4096"),
            ]
            environment = {"NAIVE_REDIS": self._redis_url, "PYTHONPATH": str(ROOT)}
            async with process(command, directory, "naive", port, environment) as pid:
                assert redis.pid is not None
                yield Running(port, [pid], [redis.pid])
        finally:
            await redis.stop()

    def viewer(self, room: str, number: int) -> Opening:
        return Opening(f"/ws/{room}?user=viewer-{number}&watch=1", ready=b'"joined"')

    def publisher(self, room: str, number: int) -> Opening:
        return Opening(f"/ws/{room}?user=publisher-{number}")

    def sender(self, room: str, number: int) -> Opening:
        return Opening(f"/ws/{room}?user=sender-{number}")

    def publish(self, room: str, body: str) -> bytes:
        return json.dumps({"op": "comment", "text": body}).encode()

    def gift(self, room: str, key: str) -> bytes:
        return json.dumps({"op": "send_gift", "id": 1, "gift": GIFT, "key": key}).encode()

    async def grant(self, running: Running, senders: Sequence[int], coins: int) -> None:
        async with Redis.from_url(self._redis_url) as redis:
            await redis.hset("coins", mapping={f"sender-{number}": coins for number in senders})

    async def coins(self, running: Running, senders: Sequence[int]) -> int:
        async with Redis.from_url(self._redis_url) as redis:
            return sum(int(coins) for coins in await redis.hvals("coins"))
