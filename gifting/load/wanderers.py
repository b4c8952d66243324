"""Wanderers: viewers who come and go, or stop reading for a while, and who must miss nothing for it."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any, Final

from gifting.errors import GiftingError
from gifting.load.crew import ViewerCrew
from gifting.load.plan import Begin, Finish, ViewerReport
from gifting.load.socket import masked
from gifting.load.viewer import Viewer
from gifting.wire.codec import BINARY, MSGPACK

WHIMS: Final = {"came back": 4, "came anew": 2, "stopped reading": 2, "left and rejoined": 2}
"""What a wanderer does, and how often of ten times."""

LEAVE_ID: Final = 2
"""The ``id`` of a ``leave``; a ``join`` has 1."""


class Wanderer(Viewer):
    """A viewer with whims. None is broken off: at the end each comes to its own end early."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._life: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()
        self._left: asyncio.Future[None] = self._loop.create_future()

    def begin(self, stay: float, dice: random.Random) -> None:
        """Have a whim after ``stay`` seconds on average; it takes as long again, on average."""
        self._life = self._loop.create_task(self._wander(stay, dice), name=self.user)

    async def settle(self) -> None:
        """No more whims; be in the room, reading."""
        self._ending.set()
        if self._life is not None:
            await self._life

    async def _wander(self, stay: float, dice: random.Random) -> None:
        while not self._ending.is_set():
            await self._linger(dice.expovariate(1 / stay))
            if self._is_at_home and not self._ending.is_set():
                await self._follow(dice.choices(list(WHIMS), list(WHIMS.values()))[0], dice.expovariate(1 / stay))

    @property
    def _is_at_home(self) -> bool:
        """Whether it is in the room, and not on its way back from where the server sent it."""
        return self.is_open and (self._task is None or self._task.done())

    async def _linger(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ending.wait()

    async def _follow(self, whim: str, seconds: float) -> None:
        self._gallery.whims[whim] += 1
        if whim == "stopped reading":
            self.pause()
            await self._linger(seconds)
            self.resume()
        elif whim == "left and rejoined":
            await self._rejoin(seconds)
        else:
            self.hang_up()
            await self._linger(seconds)
            if whim == "came anew":
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
            self._gallery.complaints.add(f"{self.room}: {self.user} could not leave: {reply['error']}.")
        self._has_left()

    def _has_left(self) -> None:
        if not self._left.done():
            self._left.set_result(None)

    def lost(self, code: int) -> None:
        self._has_left()
        super().lost(code)


class WandererCrew(ViewerCrew):
    """Every second viewer of this process wanders; the others see each room from the beginning to the end."""

    def kind_of(self, number: int) -> type[Viewer]:
        at = (number - self.plan.first) // len(self.plan.rooms)
        return Wanderer if at % 2 else Viewer

    @property
    def wanderers(self) -> list[Wanderer]:
        return [viewer for viewer in self.viewers if isinstance(viewer, Wanderer)]

    def begin(self, order: Begin) -> None:
        super().begin(order)
        dice = random.Random()  # noqa: S311
        for wanderer in self.wanderers:
            wanderer.begin(self.plan.churn, dice)

    async def finish(self, order: Finish) -> ViewerReport:
        await asyncio.gather(*(wanderer.settle() for wanderer in self.wanderers))
        return await super().finish(order)
