"""A user's sockets hear that a limit comes near, on whichever process they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gifting.archive.store import open_store
from gifting.client.inbox import of_user
from gifting.ledger.notices import Notice
from gifting.model.events import BudgetEvent, ReminderEvent
from gifting.model.values import Result
from gifting.transport.notices import UNTOLD_MAX
from gifting.wire.codec import JSON
from tests.support.gateway import Lone
from tests.support.keys import new_key, session_keys
from tests.support.raw import TEXT, Raw, says
from tests.support.server import Server


@pytest.fixture
async def world() -> AsyncIterator[Lone]:
    made = Lone()
    yield made
    await made.stop()


TOLD = ("budget", "reminder", "destination")


def budget(percent: int) -> dict[str, Any]:
    return {"type": "budget", "percent": percent}


def reminder(minutes: int, coins: int) -> dict[str, Any]:
    return {"type": "reminder", "minutes": minutes, "coins": coins}


def give(world: Lone, *, duplicate: bool = False, notice: int = 0) -> None:
    world.gateway.given("ann", Result(duplicate, 1, 5, 1, 1, notice))


async def heard(raw: Raw, last: dict[str, Any]) -> list[dict[str, Any]]:
    """What a socket hears of limits and reminders until ``last``, and then until a ping is answered."""
    found: list[dict[str, Any]] = []
    asked = answered = False
    while not answered:
        opcode, payload = await raw.frame()
        message = JSON.decode_any(payload) if opcode == TEXT else {}
        found += [event for event in message.get("events", ()) if event["type"] in TOLD]
        answered = message.get("re") == 99
        if last in found and not asked:
            raw.writer.write(says(op="ping", id=99))
            asked = True
    return found


@pytest.mark.slow
async def test_the_sockets_on_every_process_hear_it_once(redis_url: str, redis_client: Any, tmp_path: Path) -> None:
    """By whichever process the gift came, and by HTTP or a socket."""
    here, there = (Server(tmp_path / name, redis_url, member_rate=0) for name in ("a", "b"))
    async with here, there:
        await here.room("r1")
        await here.operator.grant_each(["ann"], 1000)
        viewer = here.caller("ann", "viewer")
        await viewer.call("PUT", "/v1/users/ann/limits", {"gifts": {"h24": 10}})
        sockets = [await Raw.upgraded(server, server.token("ann")) for server in (here, there, there)]
        sockets[0].writer.write(says(op="send_gift", id=1, room="r1", gift="spark", key=new_key(), count=5))
        assert (await sockets[0].reply(1))["ok"]
        assert [await heard(raw, budget(50)) for raw in sockets] == [[budget(50)]] * 3
        await viewer.call("POST", "/v1/rooms/r1/gifts", {"gift": "spark", "key": new_key(), "count": 3})
        assert [await heard(raw, budget(80)) for raw in sockets] == [[budget(80)]] * 3
        told = msgspec.msgpack.encode(Notice("ann", ReminderEvent(60, 8)))
        await redis_client.spublish(session_keys(1).notices, told)
        assert [await heard(raw, reminder(60, 8)) for raw in sockets] == [[reminder(60, 8)]] * 3


@pytest.mark.slow
async def test_a_creator_hears_on_every_process_that_the_money_goes_elsewhere(
    redis_url: str, redis_client: Any, tmp_path: Path
) -> None:
    """Also by whom the notice is no news: it may be somebody else who changed it. To say the same again is none."""
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    store = open_store(url)
    await store.upgrade()
    await store.close()
    here, there = (Server(tmp_path / name, redis_url, member_rate=0, archive=url) for name in ("a", "b"))
    async with here, there:
        host = here.caller("host", "creator", mfa=True)
        sockets = [await Raw.upgraded(server, server.token("host", "creator")) for server in (here, there, there)]
        stranger = await Raw.upgraded(there, there.token("ann"))
        for account, wait in (("acct_1", 0), ("acct_22", 72 * 3_600_000)):
            to = {"provider": "sandbox", "account": account}
            set_now = (await host.call("PUT", "/v1/creators/host/destination", to))["destination"]
            told = {"type": "destination", "provider": "sandbox", "ending": account[-4:]}
            told |= {"good_at": set_now["since"] + wait, "help": set_now["help"]}
            assert [await heard(raw, told) for raw in sockets] == [[told]] * 3
            await host.call("PUT", "/v1/creators/host/destination", to)
        await there.operator.grant_each(["ann", "host"], 5)
        await here.caller("host", "creator", mfa=True).call("GET", "/v1/creators/host")
        last = msgspec.msgpack.encode(Notice("ann", ReminderEvent(60, 8)))
        await redis_client.spublish(session_keys(1).notices, last)
        assert await heard(stranger, reminder(60, 8)) == [reminder(60, 8)]
        story = (await host.call("GET", "/v1/users/host/history?type=limits"))["entries"]
        assert [(one["about"], one["value"], one["by"]) for one in story] == [
            ("destination", "sandbox: acct_22", "host"),
            ("destination", "sandbox: acct_1", "host"),
        ]


async def test_all_sockets_of_the_user_but_overlays_hear_it_also_without_redis(world: Lone) -> None:
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


def test_the_client_tells_of_them_but_not_of_balances() -> None:
    events = [{"type": "wallet", "coins": 5}, budget(80), reminder(60, 5)]
    told = list(of_user({"room": "", "seq": 0, "events": events}))
    assert told == [{**event, "room": ""} for event in events[1:]]
