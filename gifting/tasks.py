"""Tasks that must not end, and ending tasks for certain."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from gifting.errors import ServerFailed
from gifting.health import Health

log = logging.getLogger(__name__)
T = TypeVar("T")

CANCEL_AGAIN = 0.1
"""Seconds after which a task that goes on is cancelled once more."""


class Vital:
    """The tasks without which a process is of no use. The first that comes to an end takes the process down.

    ``stop`` is set when the process should end: from outside, or because such a task has ended. Then ``health`` has
    failed too, and :meth:`check` says so to whoever ends the process. ``reload`` is set from outside when the
    files that may be replaced should be read again.
    """

    def __init__(self, health: Health) -> None:
        self.health = health
        self.stop = asyncio.Event()
        self.reload = asyncio.Event()
        self._ended = ""

    def start(
        self, name: str, work: Coroutine[Any, Any, None], ended: Callable[[], None] = lambda: None
    ) -> asyncio.Task[None]:
        """Run ``work`` until it is cancelled, or ends in order after ``stop``.

        ``ended`` is called if it ends otherwise, so that nobody waits for what it does not do any more.
        """
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(lambda task: self._end(task, ended))
        return task

    def _end(self, task: asyncio.Task[None], ended: Callable[[], None]) -> None:
        if task.cancelled() or (self.stop.is_set() and task.exception() is None):
            return
        name, error = task.get_name(), task.exception()
        log.critical("the task %r must not end and did: this process stops", name, exc_info=error)
        self.health.fail(name, f"It ended ({type(error).__name__}); this process stops.")
        self._ended = self._ended or name
        self.stop.set()
        ended()

    async def until(self, work: Coroutine[Any, Any, Any]) -> None:
        """Wait for ``work``, or until the process should end."""
        tasks = [asyncio.ensure_future(work), asyncio.ensure_future(self.stop.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await end(tasks)

    def check(self) -> None:
        """Raises ServerFailed if a task ended that must not."""
        if self._ended:
            raise ServerFailed(f"The task {self._ended!r} ended.")


async def end(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks until all have ended; how they ended is of no interest. Who waits is cancelled after that only.

    Once is not enough: in Python 3.11 ``asyncio.wait_for``, by which redis-py sends its commands, takes a cancellation
    that comes just as what it waits for is done for nothing, and a task that runs for ever then does.
    """
    every = list(tasks)
    cancelled: asyncio.CancelledError | None = None
    while pending := [task for task in every if not task.done()]:
        for task in pending:
            task.cancel()
        try:
            await asyncio.wait(pending, timeout=CANCEL_AGAIN)
        except asyncio.CancelledError as error:
            cancelled = error
    for task in every:
        if not task.cancelled():
            task.exception()
    if cancelled is not None:
        raise cancelled


async def together(works: Iterable[Awaitable[T]]) -> list[T]:
    """The results of all, side by side; if one fails or is cancelled, or who waits is, none goes on."""
    works = list(works)
    if len(works) < 2:
        return [await work for work in works]
    tasks = [asyncio.ensure_future(work) for work in works]
    results = asyncio.gather(*tasks)
    try:
        await asyncio.wait([results])  # to await them would pass a cancellation on, once, and go on waiting
    finally:
        await end([*tasks, results])
    return results.result()
