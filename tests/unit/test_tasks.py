"""Tasks end, also those that a cancellation got lost in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from gifting.errors import ServerFailed
from gifting.health import Health
from gifting.tasks import Vital, end, together

WITHIN = 5.0
"""Seconds."""


async def deaf() -> None:
    """Loses its first cancellation, and goes on for longer than these tests wait."""
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await asyncio.sleep(2 * WITHIN)


async def broken() -> None:
    raise ValueError


async def test_a_task_that_loses_a_cancellation_ends_all_the_same() -> None:
    tasks: list[asyncio.Task[None]] = [asyncio.create_task(deaf()), asyncio.create_task(broken())]
    await asyncio.sleep(0)
    async with asyncio.timeout(WITHIN):
        await end(tasks)
    assert tasks[0].cancelled()
    assert tasks[1].done()
    await end([])


async def test_who_is_cancelled_meanwhile_has_ended_all_the_same() -> None:
    task = asyncio.create_task(deaf())
    ending = asyncio.create_task(end([task]))
    await asyncio.sleep(0)
    while not task.cancelling():
        await asyncio.sleep(0)
    ending.cancel()
    await asyncio.wait([ending], timeout=WITHIN)
    assert (ending.cancelled(), task.cancelled()) == (True, True)


async def gone() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("last", [broken, gone, None])
async def test_works_side_by_side_end_together(last: Callable[[], Awaitable[None]] | None) -> None:
    begun: list[asyncio.Task[None] | None] = []

    async def one() -> None:
        begun.append(asyncio.current_task())
        await deaf()

    works = asyncio.create_task(together([one(), one(), *([last()] if last else [])]))
    while len(begun) < 2:
        await asyncio.sleep(0)
    if last is None:
        works.cancel()
    await asyncio.wait([works], timeout=WITHIN)
    assert all(task is not None and task.cancelled() for task in begun)
    if last is broken:
        assert isinstance(works.exception(), ValueError)
    else:
        assert works.cancelled()


async def test_works_side_by_side_give_what_they_found() -> None:
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    assert await together(map(double, (1, 2, 3))) == [2, 4, 6]
    assert await together([]) == []


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
