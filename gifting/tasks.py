"""Tasks that must not end, and ending tasks for certain."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from gifting.health import Health

log = logging.getLogger(__name__)

CANCEL_AGAIN = 0.1
"""Seconds after which a task that goes on is cancelled once more."""


class Vital:
    """The tasks without which a process is of no use. The first that ends, unless it is cancelled, takes it down:
    ``health`` fails, :meth:`failed` returns, and whoever runs the process ends it.
    """

    def __init__(self, health: Health) -> None:
        self.health = health
        self._failed = asyncio.Event()

    def start(
        self, name: str, work: Coroutine[Any, Any, None], ended: Callable[[], None] = lambda: None
    ) -> asyncio.Task[None]:
        """Run ``work`` for ever. ``ended`` is called if it comes to an end by itself, so that nobody waits for it."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(lambda task: self._end(task, ended))
        return task

    def _end(self, task: asyncio.Task[None], ended: Callable[[], None]) -> None:
        if task.cancelled():
            return
        name, error = task.get_name(), task.exception()
        log.critical("the task %r ended, and must not: this process stops", name, exc_info=error)
        self.health.fail(name, f"It ended ({type(error).__name__}); this process stops.")
        self._failed.set()
        ended()

    @property
    def all_well(self) -> bool:
        return not self._failed.is_set()

    async def failed(self) -> None:
        """Wait until a task has ended."""
        await self._failed.wait()


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until all have ended; how they ended is of no interest.

    Once is not enough: in Python 3.11 ``asyncio.wait_for``, by which redis-py sends its commands, takes a cancellation
    that comes just as what it waits for is done for nothing, and a task that runs for ever then does.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        done, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN)
        for task in done:
            if not task.cancelled():
                task.exception()
