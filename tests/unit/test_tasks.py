"""Tasks end, also those that a cancellation got lost in."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from gifting.errors import ServerFailed
from gifting.health import Health
from gifting.tasks import Vital, end


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


@pytest.mark.parametrize("breaks", [True, False])
async def test_a_task_may_end_in_order_when_all_do_but_not_break(breaks: bool) -> None:
    vital, told = Vital(Health()), asyncio.Event()

    async def last_work() -> None:
        await vital.stop.wait()
        if breaks:
            raise ValueError

    task = vital.start("work", last_work(), told.set)
    vital.stop.set()
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert told.is_set() is breaks
    assert ("work" in vital.health.problems) is breaks
    if breaks:
        with pytest.raises(ServerFailed, match="work"):
            vital.check()
    else:
        vital.check()
