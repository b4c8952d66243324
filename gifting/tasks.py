"""Ending tasks for certain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

CANCEL_AGAIN = 0.1
"""Seconds after which a task that goes on is cancelled once more."""


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
