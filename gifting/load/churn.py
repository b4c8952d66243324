"""Churning viewers who come and go, or stop reading for a while, and who must miss nothing for it."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any, Final

from gifting.errors import GiftingError
from gifting.load.group import ViewerGroup
from gifting.load.plan import Begin, Finish, ViewerReport
from gifting.load.socket import masked
from gifting.load.viewer import Viewer
from gifting.wire.codec import BINARY, MSGPACK

ACTIONS: Final = {"came back": 4, "came anew": 2, "stopped reading": 2, "left and rejoined": 2}
"""What such a viewer does, and how often of ten times."""

LEAVE_ID: Final = 2
"""The ``id`` of a ``leave``; a ``join`` has 1."""


class ChurningViewer(Viewer):
    """A viewer who comes and goes. None is broken off: at the end each comes to its own end early."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._life: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()
        self._left: asyncio.Future[None] = self._loop.create_future()

    def begin(self, stay: float, rng: random.Random) -> None:
        """Do something else than listening after ``stay`` seconds on average; it takes as long again, on average."""
        self._life = self._loop.create_task(self._churn(stay, rng), name=self.user)

    async def settle(self) -> None:
        """Come and go no more; be in the room, reading."""
        self._ending.set()
        if self._life is not None:
            await self._life

    async def _churn(self, stay: float, rng: random.Random) -> None:
        while not self._ending.is_set():
            await self._linger(rng.expovariate(1 / stay))
            if self._is_at_home and not self._ending.is_set():
                await self._follow(rng.choices(list(ACTIONS), list(ACTIONS.values()))[0], rng.expovariate(1 / stay))

    @property
    def _is_at_home(self) -> bool:
        """Whether it is in the room, and not on its way back from where the server sent it."""
        return self.is_open and (self._task is None or self._task.done())

    async def _linger(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ending.wait()

    async def _follow(self, action: str, seconds: float) -> None:
        self._tally.actions[action] += 1
        if action == "stopped reading":
            self.pause()
            await self._linger(seconds)
            self.resume()
        elif action == "left and rejoined":
            await self._rejoin(seconds)
        else:
            self.hang_up()
            await self._linger(seconds)
            if action == "came anew":
                self.last = -1
            await self.come_back()

    async def _rejoin(self, seconds: float) -> None:
        """Leave the room and join it again over the same connection, unless that breaks meanwhile."""
        closes, self._left = self.closes, self._loop.create_future()
        self.write(masked(BINARY, MSGPACK.encode({"op": "leave", "id": LEAVE_ID, "room": self.room})))
        try:
            await self._answer_of(self._left, "leave")
            await self._linger(seconds)
            if self.closes == closes:
                await self.subscribe()
        except (OSError, GiftingError):
            await self.come_back()

    def _take_reply(self, reply: dict[str, Any]) -> None:
        if reply["re"] != LEAVE_ID:
            super()._take_reply(reply)
            return
        if not reply["ok"]:
            self._tally.complaints.add(f"{self.room}: {self.user} could not leave: {reply['error']}.")
        self._has_left()

    def _has_left(self) -> None:
        if not self._left.done():
            self._left.set_result(None)

    def lost(self, code: int) -> None:
        self._has_left()
        super().lost(code)


class ChurningViewerGroup(ViewerGroup):
    """Every second viewer of this process comes and goes; the others see each room from the beginning to the end."""

    def kind_of(self, number: int) -> type[Viewer]:
        at = (number - self.plan.first) // len(self.plan.rooms)
        return ChurningViewer if at % 2 else Viewer

    @property
    def churning(self) -> list[ChurningViewer]:
        return [viewer for viewer in self.viewers if isinstance(viewer, ChurningViewer)]

    def begin(self, order: Begin) -> None:
        super().begin(order)
        rng = random.Random()  # noqa: S311
        for viewer in self.churning:
            viewer.begin(self.plan.churn, rng)

    async def finish(self, order: Finish) -> ViewerReport:
        await asyncio.gather(*(viewer.settle() for viewer in self.churning))
        return await super().finish(order)
