"""When output is written: at once when idle, after a pause when busy, and nothing before it is due."""

from __future__ import annotations

import asyncio
from time import perf_counter

import pytest

from gifting.hub.pacer import Pacer

TICK = 0.002
"""Seconds by which a timer may come early, with the grain of the clock."""


class Output:
    """Has output to write, which takes ``cost`` seconds."""

    def __init__(self, due: float = 0.0, cost: float = 0.0) -> None:
        self.due = due
        self.cost = cost
        self.flushed: list[float] = []
        self.dismissed = 0
        self.written = asyncio.Event()

    def flush(self, now: float) -> None:
        self.flushed.append(perf_counter())
        self.written.set()
        while perf_counter() - self.flushed[-1] < self.cost:
            pass

    def dismiss(self) -> None:
        self.dismissed += 1


async def test_when_idle_output_is_written_in_the_next_turn_of_the_loop() -> None:
    pacer, first, second = Pacer(1.0), Output(), Output()
    for output in (first, second, first):
        pacer.mark(output)
    assert not first.flushed
    await asyncio.sleep(0)
    assert (len(first.flushed), len(second.flushed)) == (1, 1)


async def test_when_busy_there_is_a_pause_as_long_as_the_last_pass() -> None:
    pacer, slow, next_one = Pacer(1.0), Output(cost=0.03), Output()
    pacer.mark(slow)
    await slow.written.wait()
    pacer.mark(next_one)
    await next_one.written.wait()
    assert next_one.flushed[0] - slow.flushed[0] >= 2 * slow.cost - TICK


async def test_the_pause_has_a_bound() -> None:
    pacer, slow, next_one = Pacer(0.0), Output(cost=0.03), Output()
    pacer.mark(slow)
    await slow.written.wait()
    pacer.mark(next_one)
    await asyncio.sleep(0)
    assert next_one.flushed


async def test_what_is_due_sooner_does_not_wait_for_what_is_due_later() -> None:
    time = asyncio.get_running_loop().time
    pacer, later, sooner, at_once = Pacer(1.0), Output(time() + 0.06), Output(time() + 0.03), Output()
    began = perf_counter()
    for output in (later, sooner, at_once):
        pacer.mark(output)
    await later.written.wait()
    assert at_once.flushed[0] < sooner.flushed[0] < later.flushed[0]
    assert sooner.flushed[0] - began >= 0.03 - TICK
    assert later.flushed[0] - began >= 0.06 - TICK
    assert [len(output.flushed) for output in (at_once, sooner, later)] == [1, 1, 1]


async def test_one_that_fails_does_not_keep_the_others_from_their_turn(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Output):
        def flush(self, now: float) -> None:
            raise ValueError("broken")

    pacer, failing, sound = Pacer(1.0), Failing(), Output()
    pacer.mark(failing)
    pacer.mark(sound)
    await sound.written.wait()
    assert failing.dismissed == 1
    assert "could not be made or written" in caplog.text


async def test_nothing_is_written_once_it_is_stopped() -> None:
    pacer, output = Pacer(1.0), Output()
    pacer.mark(output)
    pacer.stop()
    await asyncio.sleep(0)
    assert not output.flushed
