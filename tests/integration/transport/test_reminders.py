"""Who spends is reminded every hour, on all processes, of all that was spent by any of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gifting.errors import LedgerUnavailable
from gifting.ledger.notices import Notice
from gifting.model.calendar import HOUR_MS
from gifting.model.events import ReminderEvent
from gifting.model.values import Result
from gifting.transport import reminders
from gifting.transport.reminders import REMINDER_INTERVAL as HOUR
from tests.support.gateway import Lone


class Board:
    """Processes, and what they tell one another: in place of Redis, whose record says ``spent``."""

    def __init__(self) -> None:
        self.now = 0.0
        self.spent = 0
        self.down = self.deaf = False
        self.reminded: list[tuple[str, int]] = []
        self.processes: list[Lone] = []

    async def remind(self, user: str, began: int) -> None:
        if self.down:
            raise LedgerUnavailable
        self.reminded.append((user, began))
        if not self.deaf:
            self.deliver(Notice(user, ReminderEvent(60, self.spent), began))

    def deliver(self, notice: Notice) -> None:
        for process in self.processes:
            process.gateway.reminders.heard(notice, self.now)

    def gave(self, place: int, user: str = "ann") -> None:
        self.processes[place].gateway.reminders.gave(user, self.now)

    async def look(self, now: float) -> None:
        self.now = now
        for process in self.processes:
            await process.gateway.reminders.look(now)

    @property
    def remembered(self) -> list[int]:
        return [len(process.gateway.reminders._spells) for process in self.processes]


@pytest.fixture
async def board(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Board]:
    made = Board()
    made.processes = [Lone(), Lone(), Lone()]
    for process in made.processes:
        monkeypatch.setattr(process.gateway.ledger, "notices", made)
    yield made
    for process in made.processes:
        await process.stop()


def told(*coins: int) -> list[dict[str, Any]]:
    return [{"type": "reminder", "minutes": 60, "coins": each} for each in coins]


async def test_each_hour_after_the_first_gift(board: Board) -> None:
    one, _, _ = board.processes
    _, socket = one.connect()
    board.gave(0)
    await board.look(HOUR - 1)
    board.gave(0)
    assert board.reminded == []
    board.spent = 12
    await board.look(HOUR)
    await one.until(socket, told(12))
    board.spent = 13
    await board.look(2 * HOUR - 1)
    await board.look(2 * HOUR)
    await one.until(socket, told(12, 13))


async def test_a_socket_elsewhere_hears_it_once_and_goes_on_when_the_giver_is_gone(board: Board) -> None:
    """One process took gifts by HTTP, another has the sockets, a third gifts of its own a minute later."""
    _, two, three = board.processes
    (_, socket), (_, other) = two.connect(), three.connect()
    board.gave(0)
    await board.look(60)
    board.gave(2)
    board.spent = 5
    await board.look(HOUR)
    assert len(board.reminded) == 1
    assert board.remembered == [0, 1, 1], "who has no socket there is forgotten"
    await board.look(HOUR + 60)
    assert len(board.reminded) == 1, "the second process goes on from the first's"
    board.spent = 6
    await board.look(2 * HOUR)
    for place, each in ((two, socket), (three, other)):
        await place.until(each, told(5, 6))
    assert len({began for _, began in board.reminded}) == 1


async def test_two_that_remind_at_once_are_heard_as_one(board: Board) -> None:
    one, two, _ = board.processes
    (_, socket), (_, other) = one.connect(), two.connect()
    board.gave(0)
    board.now = HOUR
    for spent in (5, 5):
        board.deliver(Notice("ann", ReminderEvent(60, spent), 0))
    for place, each in ((one, socket), (two, other)):
        await place.until(each, told(5))
    board.now = 2 * HOUR
    board.deliver(Notice("ann", ReminderEvent(60, 7), 0))
    for place, each in ((one, socket), (two, other)):
        await place.until(each, told(5, 7))


async def test_it_counts_from_the_earliest_hour_that_any_process_knows(board: Board) -> None:
    one, two, _ = board.processes
    one.connect()
    two.connect()
    board.gave(0)
    board.deliver(Notice("ann", ReminderEvent(60, 5), HOUR_MS))
    await board.look(HOUR)
    assert board.reminded == [("ann", HOUR_MS)]


async def test_who_is_gone_is_forgotten_also_where_nothing_is_heard(board: Board) -> None:
    board.gave(0)
    board.deaf = True
    await board.look(HOUR)
    assert board.remembered == [1, 0, 0], "it may yet be heard"
    board.deaf = False
    await board.look(2 * HOUR)
    assert board.remembered == [0, 0, 0]
    board.gave(0)
    assert board.remembered == [1, 0, 0]


async def test_while_redis_is_away_it_is_still_due(board: Board) -> None:
    one, _, _ = board.processes
    _, socket = one.connect()
    board.gave(0)
    board.down = True
    with pytest.raises(LedgerUnavailable):
        await board.look(HOUR)
    board.down, board.spent = False, 4
    await board.look(HOUR + 2)
    await one.until(socket, told(4))


async def test_whose_spending_is_remembered_has_a_bound(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reminders, "SPENDERS_MAX", 1)
    board.processes[1].connect()
    for user in ("bob", "ann"):
        board.gave(0, user)
    assert board.remembered == [1, 0, 0]
    board.processes[0].gateway.given("ann", Result(duplicate=True, seq=1, coins=5, repeat_count=1, streak=1))
    board.processes[1].gateway.given("ann", Result(duplicate=True, seq=1, coins=5, repeat_count=1, streak=1))
    assert board.remembered == [1, 0, 0], "what was given before is not given again"
    board.processes[1].gateway.given("ann", Result(duplicate=False, seq=1, coins=5, repeat_count=1, streak=1))
    assert board.remembered == [1, 1, 0]
