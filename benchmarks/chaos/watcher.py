"""Viewers on lane ``all`` that hold each event's seq against the one before, across nodes and told gaps."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from gifting.errors import GiftingError
from gifting.load.plan import Target
from gifting.load.socket import Socket, masked
from gifting.model.packing import unpack
from gifting.wire.codec import BINARY, MSGPACK

OPEN_S: Final = 3.0
AGAIN_S: Final = 0.2
ANSWER_S: Final = 10.0


class Watcher(Socket):
    """One viewer of one room. ``seen``: seq and sender of each gift since the last gap."""

    def __init__(self, user: str, room: str, targets: Sequence[Target], seed: int) -> None:
        super().__init__(asyncio.get_running_loop())
        self.user, self.room = user, room
        self.last = -1
        self.epoch: int | None = None
        self.gaps = self.events = self.returns = 0
        self.seen: dict[int, str] = {}
        self.complaints: list[str] = []
        self._targets = targets
        self._random = random.Random(seed)
        self._joined: asyncio.Future[None] | None = None

    async def live(self, end: Callable[[], bool]) -> None:
        """Watch until ``end``; come back whenever it must, from where it was."""
        try:
            while not end():
                if not self.is_open:
                    with suppress(OSError, GiftingError, TimeoutError):
                        await self._come_back()
                await asyncio.sleep(AGAIN_S)
        finally:
            self.close()

    def move(self) -> None:
        """Hang up, and come back to any node."""
        self.close()

    async def _come_back(self) -> None:
        target = self._random.choice(self._targets)
        async with asyncio.timeout(OPEN_S):
            await self.open(target, target.token(self.user))
        self.returns += 1
        self._joined = joined = self._loop.create_future()
        request: dict[str, Any] = {"op": "join", "id": 1, "room": self.room, "lane": "all"}
        if self.last >= 0:
            request["since"] = self.last
        if self.epoch is not None:
            request["epoch"] = self.epoch
        self.write(masked(BINARY, MSGPACK.encode(request)))
        try:
            async with asyncio.timeout(ANSWER_S):
                await joined
        except TimeoutError:
            self.close()

    def message(self, data: bytes, start: int, end: int) -> None:
        self.take(unpack(data[start:end]))

    def take(self, message: dict[str, Any]) -> None:
        """What the server says: the reply to the join, a snapshot out of turn, or events."""
        if "re" in message:
            if message["ok"] and "room" in message:
                self._begin(message)
            elif not message["ok"]:
                self.close()
            if self._joined is not None and not self._joined.done():
                self._joined.set_result(None)
        elif message.get("room") == self.room and "events" in message:
            self._take_events(message)
        elif isinstance(message.get("room"), dict):
            self._begin(message)

    def _begin(self, message: dict[str, Any]) -> None:
        """A snapshot: from the beginning or after a gap it is all there is; else what is lacking follows."""
        gap = bool(message.get("gap"))
        if gap or self.last < 0:
            self.gaps += gap
            self.last = message["room"]["seq"]
            self.epoch = message["room"].get("epoch")
            self.seen.clear()

    def _take_events(self, message: dict[str, Any]) -> None:
        if message.get("gap"):
            self.gaps += 1
            self.last = message["seq"] - sum("seq" in event for event in message["events"])
            self.seen.clear()
        self.epoch = message.get("epoch")
        for event in message["events"]:
            if (seq := event.get("seq")) is None:
                continue
            if seq != self.last + 1:
                self.complaints.append(f"{self.room}: {self.user} waited for {self.last + 1} and got {seq}.")
            self.last = seq
            self.events += 1
            if event["type"] == "gift" and event["count"]:
                self.seen[seq] = event["user"]["id"]

    def lost(self, code: int) -> None:
        if self._joined is not None and not self._joined.done():
            self._joined.set_result(None)
