"""The rounds of a link: what is written together, when the next one goes, and what its calls are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest

from gifting.ledger.cluster.awaited import AtLeast
from gifting.ledger.cluster.link import WAIT_SHARE, Call, Link, Pace, Query
from gifting.ledger.cluster.rounds import Rounds
from gifting.ledger.cluster.topology import Node
from gifting.ledger.resp import command
from tests.support.waiting import until

MASTER = Node("m", "h", 1)
PAUSE = 0.03


class Line:
    """A connector whose replies the test gives: what was written, and who takes the replies to it."""

    def __init__(self) -> None:
        self.up = True
        self.came_up: list[Callable[[], None]] = []
        self.written: list[bytes] = []
        self.takers: list[list[Callable[[Any], None]]] = []
        self.failed: list[Exception] = []

    def call_each(self, request: bytes, done: list[Callable[[Any], None]]) -> None:
        self.written.append(request)
        self.takers.append(done)

    def fail(self, error: Exception) -> None:
        self.failed.append(error)

    def answer(self, *replies: Any) -> None:
        """To what was written last."""
        for take, reply in zip(self.takers[-1], replies, strict=True):
            take(reply)


class Linked:
    def __init__(self, replicas: int = 1, pause: float = 0.0) -> None:
        self.line, self.asking = Line(), Line()
        self.told: list[tuple[int, Any, bool]] = []
        self.rounds_seen = Rounds()
        pace = Pace(pause, AtLeast(replicas), 5.0)
        ended, seen = self._ended, self.rounds_seen
        self.link = Link(MASTER, self.line, self.asking, pace, ended, seen)  # type: ignore[arg-type]

    def _ended(self, call: Call, reply: Any, held: bool) -> None:
        self.told.append((call.slot, reply, held))

    def take(self, *slots: int) -> None:
        for slot in slots:
            self.link.take(Call(slot, lambda whole, slot=slot: self._pack(slot, whole), print, 0.0))  # type: ignore[misc]

    def _pack(self, slot: int, whole: bool) -> bytes:
        return b"<%d%b>" % (slot, b" whole" if whole else b"")

    @property
    def rounds(self) -> list[bytes]:
        return [request.replace(WAIT, b" wait") for request in self.line.written]


WAIT = command("WAIT", 1, round(1000 * WAIT_SHARE * 5.0))


async def test_what_is_ready_together_is_one_round_and_what_comes_later_the_next() -> None:
    linked = Linked()
    assert linked.link.idle
    linked.take(1, 2)
    assert not linked.link.idle
    await asyncio.sleep(0)
    linked.take(3)
    linked.take(4)
    await asyncio.sleep(0)
    assert linked.rounds == [b"<1><2> wait"]
    linked.line.answer("a", "b", 1)
    assert linked.told == [(1, "a", True), (2, "b", True)]
    assert not linked.link.idle
    await asyncio.sleep(0)
    assert linked.rounds[1:] == [b"<3><4> wait"]
    linked.line.answer("c", "d", 0)
    assert linked.told[2:] == [(3, "c", False), (4, "d", False)]
    assert linked.link.idle
    assert [count for _, count in linked.rounds_seen.took.buckets()][-1] == 2


async def test_where_nobody_is_awaited_what_is_answered_is_held() -> None:
    linked = Linked(replicas=0)
    linked.take(1, 2)
    await asyncio.sleep(0)
    assert linked.rounds == [b"<1><2>"]
    linked.line.answer("a", "b")
    assert linked.told == [(1, "a", True), (2, "b", True)]


async def test_a_round_that_is_under_way_is_not_idle() -> None:
    linked = Linked()
    linked.take(1)
    await asyncio.sleep(0)
    assert not linked.link.idle


async def test_a_call_that_brings_its_script_is_packed_so() -> None:
    linked = Linked()
    linked.link.take(Call(1, lambda whole: linked._pack(1, whole), print, 0.0, whole=True))
    await asyncio.sleep(0)
    assert linked.rounds == [b"<1 whole> wait"]


async def test_the_next_round_goes_no_sooner_than_a_pause_after_the_last_was_written() -> None:
    linked = Linked(pause=PAUSE)
    began = monotonic()
    linked.take(1)
    await asyncio.sleep(0)
    assert linked.rounds == [b"<1> wait"], "the first at once"
    linked.line.answer("a", 1)
    linked.take(2)
    await until(lambda: len(linked.rounds) == 2, pause=0)
    assert monotonic() - began >= PAUSE
    linked.take(3)
    await asyncio.sleep(2 * PAUSE)
    assert len(linked.rounds) == 2, "nor before the last has ended"
    linked.line.answer("b", 1)
    await asyncio.sleep(0)
    assert len(linked.rounds) == 3


async def test_without_a_connection_calls_wait_for_one() -> None:
    linked = Linked()
    linked.line.up = False
    linked.take(1)
    await asyncio.sleep(0)
    assert linked.rounds == []
    linked.line.up = True
    for came_up in linked.line.came_up:
        came_up()
    linked.line.up = False
    await asyncio.sleep(0)
    assert linked.rounds == [], "it is lost again"
    linked.line.up = True
    for came_up in linked.line.came_up:
        came_up()
    await asyncio.sleep(0)
    assert linked.rounds == [b"<1> wait"]


async def test_what_is_given_back_is_not_sent() -> None:
    linked = Linked()
    linked.take(1, 2)
    assert [call.slot for call in linked.link.give_back()] == [1, 2]
    await asyncio.sleep(0)
    assert linked.rounds == []
    assert linked.link.idle
    assert linked.link.give_back() == []


@pytest.mark.parametrize("resting", [False, True])
async def test_who_closes_it_sends_nothing_more(resting: bool) -> None:
    linked = Linked(pause=PAUSE)
    if resting:
        linked.take(1)
        await asyncio.sleep(0)
        linked.line.answer("a", 1)
    linked.take(2)
    linked.link.close()
    await asyncio.sleep(2 * PAUSE)
    assert len(linked.rounds) == resting
    assert linked.link.idle


async def test_what_can_not_be_written_ends_the_connection() -> None:
    linked = Linked()
    broken = OSError("a pipe")

    def pack(whole: bool) -> bytes:
        raise broken

    linked.link.take(Call(1, pack, print, 0.0))
    await asyncio.sleep(0)
    assert linked.line.failed == [broken]


def test_a_round_waits_for_a_share_of_the_time_and_for_no_time_without_end() -> None:
    assert Pace(0.0, AtLeast(1), 5.0).patience == 1250
    assert Pace(0.0, AtLeast(1), 0.001).patience == 1, "0 would be for ever"


async def test_a_query_is_answered_with_all_replies_or_with_the_first_error() -> None:
    linked = Linked()
    answers: list[Any] = []
    query = Query(1, b"ask", 3, print, 0.0)
    linked.link.ask(query, lambda _, replies: answers.append(replies))
    assert linked.asking.written == [b"ask"]
    linked.asking.answer(1, 2, 3)
    first, second = ValueError("first"), ValueError("second")
    linked.link.ask(query, lambda _, replies: answers.append(replies))
    linked.asking.answer(1, first, second)
    assert answers == [[1, 2, 3], first]
    assert linked.link.idle
    assert not linked.line.written
