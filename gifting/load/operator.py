"""The few HTTP calls that set a load up: rooms, coins, wallets."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection, Iterable
from typing import Any, Final

import msgspec

from gifting.client.reconnect import error_from_reply
from gifting.errors import GiftingError
from gifting.load.plan import TOKEN_TTL, Target
from gifting.model.money import make_key
from gifting.wire.tokens import issue

AT_ONCE: Final = 16
ANSWER_MAX: Final = 1 << 24
ANSWER_WITHIN_S: Final = 30.0
SETTLE_WITHIN_S: Final = 20.0
"""How long streaks may take to end after the last gift."""

POLL_S: Final = 0.2


class Operator:
    """Calls the HTTP API with an operator's token, at most ``AT_ONCE`` calls at a time."""

    def __init__(self, target: Target, user: str = "bench") -> None:
        self._target = target
        self._token = issue(target.secret, user, "operator", now=time.time(), ttl=TOKEN_TTL)
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def open_rooms(self, rooms: Iterable[str]) -> None:
        """Open each room; room ``r`` is hosted by ``host-r``."""
        await self._each({"room": room, "host": f"host-{room}", "title": f"Room {room}"} for room in rooms)

    async def _each(self, bodies: Iterable[dict[str, Any]]) -> None:
        await asyncio.gather(*(self.call("POST", "/v1/rooms", body) for body in bodies))

    async def grant(self, users: Iterable[str], coins: int) -> None:
        """Give each user ``coins``."""

        async def one(user: str) -> None:
            key = make_key(time.time_ns() // 1_000_000, os.urandom(10))
            await self.call("POST", f"/v1/users/{user}/grants", {"coins": coins, "key": key, "reason": "load test"})

        await asyncio.gather(*(one(user) for user in users))

    async def wallets(self, users: Iterable[str]) -> dict[str, int]:
        """Coins of each user."""
        names = list(users)
        found = await asyncio.gather(*(self.call("GET", f"/v1/users/{user}/wallet") for user in names))
        return {user: int(wallet["coins"]) for user, wallet in zip(names, found, strict=True)}

    async def room(self, room: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.call("GET", f"/v1/rooms/{room}")
        return found

    async def final_seqs(self, rooms: Collection[str]) -> dict[str, int]:
        """The seq of every room once its streaks have ended."""
        end = time.monotonic() + SETTLE_WITHIN_S
        final: dict[str, int] = {}
        while len(final) < len(rooms) and time.monotonic() < end:
            for room in rooms:
                if room not in final:
                    snapshot = await self.room(room)
                    if not snapshot["streaks"]:
                        final[room] = snapshot["seq"]
            await asyncio.sleep(POLL_S)
        return final

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """One call; returns the decoded answer.

        Raises:
            GiftingError: the server refused.
            OSError, TimeoutError: it could not be asked.
        """
        async with self._gate, asyncio.timeout(ANSWER_WITHIN_S):
            status, answer = await self._exchange(method, path, msgspec.json.encode(body) if body else b"")
        document = msgspec.json.decode(answer) if answer else None
        if status >= 400:
            problem = document if isinstance(document, dict) else {}
            if "code" in problem:
                raise error_from_reply(problem["code"], str(problem.get("detail", "")))
            raise GiftingError(f"{method} {path} was answered with HTTP {status}.")
        return document

    async def _exchange(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        # HTTP/1.0: the answer ends with the connection and is never chunked.
        reader, writer = await asyncio.open_connection(self._target.host, self._target.port, limit=ANSWER_MAX)
        try:
            head = (
                f"{method} {path} HTTP/1.0\r\nHost: {self._target.host}:{self._target.port}\r\n"
                f"Authorization: Bearer {self._token}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            answer = await reader.read(ANSWER_MAX)
            while more := await reader.read(ANSWER_MAX):
                answer += more
        finally:
            writer.close()
            await writer.wait_closed()
        head_bytes, _, rest = answer.partition(b"\r\n\r\n")
        return int(head_bytes.split(b" ", 2)[1]), rest
