"""Likes, folded: all likes of a room within an interval become one event, and are told together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from gifting.errors import GiftingError
from gifting.model.values import Done, Outcome

log = logging.getLogger(__name__)

WAITING_MAX: Final = 100_000
"""Likes that may wait in one fold to be told; a fold that is full goes out at once."""


class Fold:
    """The likes of one room."""

    def __init__(self, interval: float, send: Callable[[int, Done], None]) -> None:
        self._interval = interval
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._next = 0.0
        self._count = 0
        self._waiting: list[Done] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        return self._timer is None and self._loop.time() > self._next

    def add(self, count: int, done: Done) -> None:
        self._count += count
        self._waiting.append(done)
        if len(self._waiting) >= WAITING_MAX:
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_at(max(self._next, self._loop.time()), self.flush)

    def flush(self) -> None:
        """Send what has gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting:
            return
        count, waiting = self._count, self._waiting
        self._count, self._waiting = 0, []
        self._next = self._loop.time() + self._interval

        def tell(outcome: Outcome) -> None:
            for done in waiting:
                try:
                    done(outcome)
                except Exception:
                    log.exception("the outcome of a like is known, but telling its sender failed")

        try:
            self._send(count, tell)
        except GiftingError as error:
            tell(error)
