"""A viewer of a room that remembers what it was shown, as a client is to draw it, and holds it to the room's log."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from gifting.client import Client
from gifting.model.packing import unpack
from gifting.wire.batch import RoomBatch

Shown = dict[str, Any]


class Witness:
    """``said`` has the words of all that was shown since the last gap, by seq; ``gaps`` the seqs of their snapshots."""

    def __init__(self, client: Client, room: str, lane: str) -> None:
        self.client, self.room, self.lane = client, room, lane
        self.gaps: list[int] = []
        self.said: dict[int, str] = {}
        self.ever: set[str] = set()
        self.complaints: list[str] = []
        self.last = 0
        self._task: asyncio.Task[None] | None = None

    async def join(self) -> None:
        self.last = (await self.client.join(self.room, lane=self.lane))["seq"]
        self._task = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _listen(self) -> None:
        async for event in self.client.events():
            if event["type"] == "gap":
                self.last = event["snapshot"]["seq"]
                self.gaps.append(self.last)
                self.said.clear()
            elif "seq" in event:
                self._take(event)

    def _take(self, event: Shown) -> None:
        seq = event["seq"]
        if seq <= self.last or (self.lane == "all" and seq != self.last + 1):
            self.complaints.append(f"after {self.last} came {seq}")
        self.last = seq
        self.said[seq] = words(event)
        self.ever.add(words(event))

    async def has_seen(self, word: str) -> None:
        async with asyncio.timeout(30):
            while word not in self.ever:
                await asyncio.sleep(0.01)

    @property
    def place(self) -> tuple[int, int | None]:
        """What one comes back with: since, and the epoch."""
        room = self.client._connection.rooms[self.room]
        assert room.seq is not None
        return room.seq, room.epoch


def words(event: Shown) -> str:
    return str(event.get("text") or event.get("message") or event["type"])


def log_of(batches: list[RoomBatch]) -> dict[int, str]:
    """What a room's log says, by seq."""
    found = {}
    for batch in batches:
        for entry in batch.entries():
            found[entry.seq] = words(unpack(batch.events[entry.start : entry.end]))
    return found
