"""Tasks end, also those that a cancellation got lost in."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from gifting.tasks import end


async def test_a_task_that_loses_a_cancellation_ends_all_the_same() -> None:
    async def deaf() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def broken() -> None:
        raise ValueError

    tasks: list[asyncio.Task[None]] = [asyncio.create_task(deaf()), asyncio.create_task(broken())]
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await end(tasks)
    assert tasks[0].cancelled()
    assert tasks[1].done()
    await end([])
