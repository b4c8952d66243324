"""Work that blocks is done beside the loop, few at a time, and is not waited for when it takes too long."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gifting.economy.providers.threads import Threads
from gifting.errors import BadWebhook, ProviderFailed


async def test_what_work_returns_or_raises_is_told() -> None:
    threads = Threads(2, 5)
    assert await threads.run(lambda: 7) == 7

    def fail() -> None:
        raise BadWebhook("x")

    with pytest.raises(BadWebhook, match="x"):
        await threads.run(fail)


async def test_the_loop_goes_on_and_what_takes_too_long_is_left() -> None:
    end = threading.Event()
    threads = Threads(1, 0.05)
    with pytest.raises(ProviderFailed, match="more than"):
        await threads.run(end.wait)
    with pytest.raises(ProviderFailed):
        await threads.run(lambda: True)  # the other still has the one place
    end.set()
    for _ in range(100):
        try:
            assert await threads.run(lambda: True)
            break
        except ProviderFailed:
            continue
    else:
        pytest.fail("the place was never given back")


async def test_only_so_many_run_at_once() -> None:
    lock, running, most = threading.Lock(), 0, 0
    both = threading.Barrier(2)

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait(5)
        with lock:
            running -= 1

    threads = Threads(2, 10)
    await asyncio.gather(*(threads.run(work) for _ in range(8)))
    assert most == 2
