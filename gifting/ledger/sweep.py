"""The end of streaks: every node looks for those whose time is over, and each ends once."""

from __future__ import annotations

from math import inf
from typing import Final

from gifting.config import Settings
from gifting.ledger.calls import Calls, translated
from gifting.ledger.clock import in_ms
from gifting.ledger.keys import room_keys
from gifting.model.packing import unpack

SWEEP_MAX: Final = 200
"""Streaks ended in one call."""


class Sweeper:
    """Ends streaks; how long they may be idle is ``streak_window``."""

    def __init__(self, calls: Calls, settings: Settings) -> None:
        self._calls = calls
        self._keys = calls.keys
        self._window = settings.streak_window * 1000
        self._log_keep = settings.log_keep

    async def sweep(self) -> tuple[int, float]:
        """End the streaks whose time is over. Returns how many, and seconds until the next may be due.

        Raises:
            LedgerHalted, Unavailable
        """
        self._calls.halt.check()
        ended, wait = 0, self._window
        now, deadlines = await self._next_deadlines()
        for base, deadline in deadlines:
            left = deadline - now + 1
            if left <= 0:
                count, left = await self._end_streaks(base, now)
                ended += count
            wait = min(wait, left)
        return ended, wait / 1000

    async def _next_deadlines(self) -> tuple[int, list[tuple[str, float]]]:
        """The time, and when the next streak of each partition may be over; ms."""
        pipe = self._calls.redis.pipeline(transaction=False).time()
        for base in self._keys.bases:
            pipe.zrange(self._keys.deadlines(base), 0, 0, withscores=True)
        with translated():
            time, *found = await pipe.execute()
        first = [page[0][1] if page else inf for page in found]
        now = int(self._calls.now() or in_ms(time))
        return now, list(zip(self._keys.bases, first, strict=True))

    async def _end_streaks(self, base: str, now: int) -> tuple[int, float]:
        """Of one partition. Which may be over is read here, so that the call can name their rooms; the script decides.

        Returns how many ended, and ms until the next may be due.
        """
        ended, deadlines = 0, self._keys.deadlines(base)
        while True:
            with translated():
                due = await self._calls.redis.zrange(
                    deadlines, "-inf", f"({now}", byscore=True, offset=0, num=SWEEP_MAX
                )
            streaks = [member.decode().partition("\n") for member in due]
            rooms = {room: place for place, room in enumerate(dict.fromkeys(room for room, _, _ in streaks), 1)}
            keys = [deadlines, *(key for room in rooms for key in room_keys(base, room))]
            members = [(rooms[room], field) for room, _, field in streaks]
            count, left = unpack(await self._calls.timed("sweep", keys, (self._log_keep, list(rooms), members)))
            ended += count
            if len(due) < SWEEP_MAX:
                return ended, left if left >= 0 else inf
