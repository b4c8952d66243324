"""A user's sockets hear that a limit comes near, and every hour what was spent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gifting.client.inbox import of_user
from gifting.model.events import BudgetEvent
from gifting.model.values import Result
from gifting.transport import notices
from gifting.transport.notices import REMINDER_INTERVAL, UNTOLD_MAX
from gifting.wire.messages import SendGift
from tests.support.gateway import Lone
from tests.support.keys import new_key

HOUR = REMINDER_INTERVAL


@pytest.fixture
async def world() -> AsyncIterator[Lone]:
    made = Lone()
    yield made
    await made.stop()


def budget(percent: int) -> dict[str, Any]:
    return {"type": "budget", "percent": percent}


def reminder(minutes: int, coins: int) -> dict[str, Any]:
    return {"type": "reminder", "minutes": minutes, "coins": coins}


def give(world: Lone, *, duplicate: bool = False, notice: int = 0) -> None:
    wish = SendGift(id=1, room="r1", gift="crown", key=new_key(), count=2)
    world.gateway.given("ann", wish, Result(duplicate, 1, 5, 1, 1, notice))


async def test_all_sockets_of_the_user_but_overlays_hear_that_a_limit_comes_near(world: Lone) -> None:
    (_, first), (_, second), (_, overlay) = (world.connect(role) for role in ("viewer", "creator", "overlay"))
    give(world)
    give(world, notice=50)
    give(world, notice=80, duplicate=True)
    for socket in (first, second):
        await world.until(socket, [budget(50)])
    assert overlay.events == []


async def test_a_full_socket_hears_the_newest_when_it_has_drained(world: Lone) -> None:
    (connection, socket), (_, other) = world.connect(), world.connect()
    connection.pause_writing()
    told = [budget(percent) for percent in (50, 50, 80, 50, 80, 100)]
    for event in told:
        world.gateway.notices.tell("ann", BudgetEvent(event["percent"]))
    await world.until(other, told[-UNTOLD_MAX:])
    assert socket.events == []
    connection.resume_writing()
    await world.until(socket, told[-UNTOLD_MAX:])


async def test_who_spends_is_reminded_after_each_hour(world: Lone) -> None:
    _, socket = world.connect()
    reminders = world.gateway.reminders
    reminders.spent("ann", 5, 100.0)
    reminders.look(100.0 + HOUR - 1)
    reminders.spent("ann", 7, 100.0 + HOUR - 1)
    reminders.look(100.0 + HOUR)
    await world.until(socket, [reminder(60, 12)])
    reminders.look(100.0 + 2 * HOUR - 1)
    reminders.spent("ann", 1, 100.0 + 2 * HOUR - 1)
    reminders.look(100.0 + 2 * HOUR + 5)  # late, and said of the hour
    await world.until(socket, [reminder(60, 12), reminder(120, 13)])


async def test_what_a_gift_costs_is_in_the_reminder(world: Lone) -> None:
    _, socket = world.connect()
    for duplicate in (False, True):
        give(world, duplicate=duplicate)
    world.gateway.reminders.look(world.gateway.time() + HOUR)
    await world.until(socket, [reminder(60, 2 * world.gateway.ledger.catalog["crown"].coins)])


async def test_who_is_gone_when_it_is_due_is_forgotten(world: Lone) -> None:
    reminders = world.gateway.reminders
    reminders.spent("ann", 5, 0.0)
    reminders.look(HOUR)
    _, socket = world.connect()
    reminders.spent("ann", 1, HOUR + 60)
    reminders.look(2 * HOUR)
    reminders.look(2 * HOUR + 60)
    await world.until(socket, [reminder(60, 1)])


async def test_whose_spending_is_kept_has_a_bound(world: Lone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "SPENDERS_MAX", 1)
    _, socket = world.connect()
    reminders = world.gateway.reminders
    reminders.spent("bob", 5, 0.0)
    reminders.spent("ann", 5, 0.0)
    reminders.look(HOUR)  # bob is gone
    reminders.spent("ann", 3, HOUR)
    reminders.look(2 * HOUR)
    await world.until(socket, [reminder(60, 3)])


def test_the_client_tells_of_them_but_not_of_balances() -> None:
    events = [{"type": "wallet", "coins": 5}, budget(80), reminder(60, 5)]
    told = list(of_user({"room": "", "seq": 0, "events": events}))
    assert told == [{**event, "room": ""} for event in events[1:]]
