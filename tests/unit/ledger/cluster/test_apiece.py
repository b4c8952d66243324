"""Work for partitions side by side: who is slow holds up nobody else, and is told the next time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from redis.exceptions import RedisError

from gifting.ledger.cluster.apiece import Apiece


def after(event: asyncio.Event, value: int) -> Callable[[], Coroutine[Any, Any, int]]:
    async def work() -> int:
        await event.wait()
        return value

    return work


async def test_who_is_slow_is_not_waited_for_twice_and_told_later() -> None:
    slow, quick, apiece = asyncio.Event(), asyncio.Event(), Apiece[int]("work", 0.02)
    quick.set()
    assert await apiece.do({1: after(slow, 1), 2: after(quick, 2)}) == {2: 2}
    assert apiece.busy == {1}
    apiece._patience = 3600.0
    async with asyncio.timeout(60):  # the slow one is not waited for
        assert await apiece.do({1: after(quick, 7), 2: after(quick, 3)}) == {2: 3}
    slow.set()
    await asyncio.sleep(0)
    assert await apiece.do({1: after(quick, 8)}) == {1: 1}
    assert await apiece.do({1: after(quick, 8)}) == {1: 8}
    assert not apiece.busy


async def test_what_fails_by_redis_is_left_out_and_else_is_raised() -> None:
    async def fail(error: Exception) -> int:
        raise error

    apiece = Apiece[int]("work", 1.0)
    assert await apiece.do({1: lambda: fail(RedisError("gone")), 2: lambda: fail(TimeoutError())}) == {}
    with pytest.raises(ValueError, match="nonsense"):
        await apiece.do({1: lambda: fail(ValueError("nonsense"))})
    assert not apiece.busy


async def test_the_first_that_ends_can_be_waited_for() -> None:
    first, second, apiece = asyncio.Event(), asyncio.Event(), Apiece[int]("work", 0.01)
    assert await apiece.do({1: after(first, 1), 2: after(second, 2)}) == {}
    asyncio.get_running_loop().call_later(0.01, first.set)
    await apiece.until_one()
    assert await apiece.do({}) == {1: 1}
    await apiece.close()


async def test_what_is_under_way_ends_with_it() -> None:
    apiece = Apiece[int]("work", 0.01)
    assert await apiece.do({1: after(asyncio.Event(), 1)}) == {}
    await apiece.close()
    assert not apiece.busy
