"""What a client keeps of its rooms: how far each was taken, and the events not yet consumed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, Final, Self

from gifting.wire.removal import SAID


class Room:
    """A joined room, the seq up to which its events were taken, and the epoch that was told with it, if any was."""

    __slots__ = ("epoch", "lane", "name", "seq")

    def __init__(self, name: str, lane: str | None, seq: int | None, epoch: int | None = None) -> None:
        self.name = name
        self.lane = lane
        self.seq = seq
        self.epoch = epoch

    def request(self) -> dict[str, Any]:
        fields = {"room": self.name, "since": self.seq, "epoch": self.epoch, "lane": self.lane}
        return {name: value for name, value in fields.items() if value is not None}

    def unseen(self, message: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The events of ``message`` that weren't taken before; they count as taken from now on."""
        seen = self.seq or 0
        self.seq = max(seen, message["seq"])
        self.epoch = message.get("epoch", self.epoch)
        for event in message["events"]:
            if event.get("seq", seen + 1) > seen:
                event["room"] = self.name
                yield event


OF_USER: Final = frozenset({"budget", "reminder", "destination"})
"""What is told of events that concern the user: the balance comes with replies."""


def of_user(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of a message that is about no room."""
    return ({**event, "room": ""} for event in message["events"] if event["type"] in OF_USER)


class Inbox:
    """Events between the reader and the consumer: ``limit`` events and one frame more at most."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._events: list[dict[str, Any]] = []
        self._next = 0
        self._arrived = asyncio.Event()
        self._space = asyncio.Event()
        self._over = False
        self._error: Exception | None = None

    def put(self, events: Iterable[dict[str, Any]]) -> None:
        fresh = list(events)
        if self._limit:
            self._events += fresh
            self._arrived.set()
            for event in fresh:
                if event.get("type") == "comment_removed":
                    self._unsay(event)

    def _unsay(self, removal: dict[str, Any]) -> None:
        """Whoever has not consumed a comment yet does not see any more what was removed of it."""
        for event in self._events[self._next :]:
            if (event.get("id"), event.get("room")) == (removal["comment_id"], removal.get("room")):
                event.update({name: nothing for name, nothing in SAID.items() if name in event})

    async def has_room(self) -> None:
        while len(self._events) - self._next > self._limit:
            self._space.clear()
            await self._space.wait()

    def end(self, error: Exception | None) -> None:
        self._over, self._error = True, error
        self._arrived.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        while self._next == len(self._events):
            self._events, self._next = [], 0
            if self._over:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        event = self._events[self._next]
        self._next += 1
        self._space.set()
        return event
