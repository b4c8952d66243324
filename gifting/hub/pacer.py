"""When to write: at once when idle; when busy, pauses about as long as the last pass took, so that batches grow."""

from __future__ import annotations

import asyncio
import logging
from math import inf
from time import perf_counter
from typing import Protocol

log = logging.getLogger(__name__)


class Flushable(Protocol):
    """Something with output to write, not before ``due`` (seconds of the loop's clock)."""

    due: float

    def flush(self, now: float) -> None: ...

    def dismiss(self) -> None:
        """A flush has failed: whoever should have had its output must start anew."""


class Pacer:
    """Runs passes over what has output. A pass joins all that queued since the last one into one write per reader."""

    def __init__(self, pause_max: float) -> None:
        self._pause_max = pause_max
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[Flushable, None] = {}
        self._wake: asyncio.Handle | None = None
        self._wake_at = inf
        self._free_at = 0.0

    def mark(self, item: Flushable) -> None:
        """``item`` has output."""
        if item not in self._waiting:
            self._waiting[item] = None
            self._schedule(item.due)

    def _schedule(self, due: float) -> None:
        at = max(due, self._free_at)
        if at >= self._wake_at:
            return
        if self._wake is not None:
            self._wake.cancel()
        self._wake_at = at
        if at <= self._loop.time():
            self._wake = self._loop.call_soon(self._run_pass)  # half of what a timer costs that is over at once
        else:
            self._wake = self._loop.call_at(at, self._run_pass)

    def _run_pass(self) -> None:
        self._wake, self._wake_at = None, inf
        now = self._loop.time()
        ready = [item for item in self._waiting if item.due <= now]
        started = perf_counter()
        for item in ready:
            del self._waiting[item]
            self._flush(item, now)
        self._free_at = self._loop.time() + min(perf_counter() - started, self._pause_max)
        if self._waiting:
            self._schedule(min(item.due for item in self._waiting))

    def _flush(self, item: Flushable, now: float) -> None:
        """One that fails does so by itself: the others have their turn, and its readers don't go on with a hole."""
        try:
            item.flush(now)
        except Exception:
            log.exception("a frame could not be made or written: its readers start anew")
            item.dismiss()

    def stop(self) -> None:
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
