"""When output is written: at once when idle, after a pause when busy, and nothing before it is due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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


class Hands:
    """A loop whose clock the test moves."""

    def __init__(self) -> None:
        self._now = 100.0
        self._calls: list[tuple[float, Callable[[], None], asyncio.Handle]] = []

    def time(self) -> float:
        return self._now

    def call_soon(self, call: Callable[[], None]) -> asyncio.Handle:
        return self.call_at(self._now, call)

    def call_at(self, at: float, call: Callable[[], None]) -> asyncio.Handle:
        handle = asyncio.Handle(call, (), asyncio.get_running_loop())
        self._calls.append((at, call, handle))
        return handle

    def move(self, to: float) -> None:
        """What is due by then is called."""
        self._now = to
        due = [each for each in self._calls if each[0] <= to]
        self._calls = [each for each in self._calls if each[0] > to]
        for _, call, handle in due:
            if not handle.cancelled():
                call()


async def test_what_is_due_sooner_does_not_wait_for_what_is_due_later() -> None:
    hands, pacer = Hands(), Pacer(0.0)
    pacer._loop = hands  # type: ignore[assignment]
    outputs = later, sooner, at_once = Output(100.5), Output(100.25), Output()
    for output in outputs:
        pacer.mark(output)
    found = []
    for now in (100.0, 100.125, 100.25, 100.375, 100.5, 101.0):
        hands.move(now)
        found.append([len(output.flushed) for output in (at_once, sooner, later)])
    assert found == [[1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 0], [1, 1, 1], [1, 1, 1]]


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
