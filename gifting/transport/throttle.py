"""Connections whose allowance is used up: they are not read until there is some of it again. One timer for all.

A peer that goes on sending fills its own socket and then waits, so a flood costs this process no more than the
allowance. One that is held so for long without a rest does it on purpose, and is closed.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from gifting.wire.close import CloseCode

TICK = 0.05
"""Seconds between two looks at those who wait."""

REST = 1.0
"""Seconds that a connection must have gone without being held, for what was before to be forgotten."""


class Held(Protocol):
    """A connection that is not read. ``heard_at`` is when it last said something, in seconds of the loop's clock."""

    heard_at: float
    closing: bool

    def used_up(self, now: float) -> bool:
        """Whether its allowance has nothing for it at ``now``."""

    def read_on(self) -> None: ...
    def close(self, code: CloseCode) -> None: ...


class Throttle:
    """Who waits, in the order in which they are read again. ``patience``: seconds until one that persists is closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, patience: float) -> None:
        self._loop = loop
        self._patience = patience
        self._held: dict[Held, None] = {}
        self._spells: dict[Held, tuple[float, float]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.holds = 0
        self.closed = 0

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, connection: Held) -> None:
        """Have ``connection.read_on()`` called when its allowance has something again."""
        now = self._loop.time()
        began, last = self._spells.get(connection, (now, now))
        self._spells[connection] = (began if now - last < REST else now, now)
        self._held[connection] = None
        self.holds += 1
        if self._timer is None:
            self._timer = self._loop.call_later(TICK, self._look)

    def forget(self, connection: Held) -> None:
        """The connection has ended."""
        self._held.pop(connection, None)
        self._spells.pop(connection, None)

    def _look(self) -> None:
        now = self._loop.time()
        for connection in tuple(self._held):
            if connection in self._held:
                self._look_at(connection, now)
        self._timer = self._loop.call_later(TICK, self._look) if self._held else None

    def _look_at(self, connection: Held, now: float) -> None:
        began, _ = self._spells[connection]
        self._spells[connection] = began, now
        connection.heard_at = now  # it can't be silent while nobody listens
        if now - began > self._patience and not connection.closing:
            self.closed += 1
            connection.close(CloseCode.TOO_FAST)
        if not connection.used_up(now):
            del self._held[connection]
            connection.read_on()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
