"""A user's sockets hear of a changed balance, unless they know it from a reply."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gifting import Client
from gifting.transport.wallets import WALLET_INTERVAL
from gifting.wire.codec import JSON
from tests.support.gateway import Lone
from tests.support.keys import new_key
from tests.support.raw import TEXT, Raw, says
from tests.support.server import Server

pytestmark = pytest.mark.slow


@pytest.fixture
async def server(redis_url: str, redis_client: Any, tmp_path: Path) -> AsyncIterator[Server]:
    async with Server(tmp_path / "data", redis_url, member_rate=0) as running:
        await running.room("r1")
        await running.operator.grant_each(["ann", "bob"], 1000)
        yield running


async def told(raw: Raw) -> int:
    """The next balance that the socket hears of."""
    while True:
        opcode, payload = await raw.frame()
        message = JSON.decode_any(payload) if opcode == TEXT else {}
        if message.get("room") == "":
            (event,) = message["events"]
            assert message == {"room": "", "seq": 0, "events": [{"type": "wallet", "coins": event["coins"]}]}
            return int(event["coins"])


async def told_beside(raw: Raw) -> list[int]:
    """The balances that the socket was told of since it was read last; what waits to be told again is waited for."""
    await asyncio.sleep(WALLET_INTERVAL)
    raw.writer.write(says(op="ping", id=77))
    found: list[int] = []
    while (message := JSON.decode_any((await raw.frame())[1])).get("re") != 77:
        found += [event["coins"] for event in message.get("events", ()) if event["type"] == "wallet"]
    return found


@pytest.mark.slow
async def test_who_does_not_know_it_from_a_reply_is_told_and_nobody_else(server: Server) -> None:
    sender, other = [await Raw.upgraded(server, server.token("ann")) for _ in range(2)]
    overlay = await Raw.upgraded(server, server.token("ann", "overlay", room="r1"))
    bob = await Raw.upgraded(server, server.token("bob"))
    key = new_key()
    for number in (1, 2):  # the second is the first again, and changes nothing
        sender.writer.write(says(op="send_gift", id=number, room="r1", gift="spark", key=key))
        assert (await sender.reply(number))["coins"] == 999
    assert await told(other) == 999
    assert await told_beside(other) == []

    grant = {"coins": 100, "key": new_key(), "reason": "a test"}
    for _ in range(2):
        await server.operator.call("POST", "/v1/users/ann/grants", grant)
    assert (await told(other), await told(sender)) == (1099, 1099)
    assert await told_beside(other) == []

    caller = server.caller("ann", "viewer")
    gift = {"gift": "spark", "key": new_key(), "count": 2}
    for _ in range(2):
        await caller.call("POST", "/v1/rooms/r1/gifts", gift)
    assert (await told(other), await told(sender)) == (1097, 1097)
    assert [await told_beside(raw) for raw in (sender, other, overlay, bob)] == [[]] * 4


@pytest.mark.slow
async def test_a_client_that_asks_for_no_wallets_passes_over_them(server: Server) -> None:
    """A second gift comes after the first one's wallet, on the same connection."""
    async with Client(server.url, server.token("ann")) as sender, Client(server.url, server.token("ann")) as other:
        await other.join("r1")
        events = other.events()
        for _ in range(2):
            await sender.send_gift("r1", "crown")
            async with asyncio.timeout(10):
                while (event := await anext(events))["type"] != "gift":
                    assert event["room"] == "r1"
            await asyncio.sleep(WALLET_INTERVAL)
        assert other._connection.last_error is None, "it never came back"


@pytest.fixture
async def world() -> AsyncIterator[Lone]:
    made = Lone()
    yield made
    await made.stop()


async def test_of_many_changes_the_newest_is_told(world: Lone) -> None:
    connection, socket = world.connect()
    _, creators = world.connect("creator")
    began = time.monotonic()
    for coins in range(1000, 0, -1):
        world.gateway.wallets.changed("ann", coins, told=connection.session)
        if coins % 10 == 0:
            await asyncio.sleep(0)
    await world.until_told(creators, 1)
    assert creators.told == sorted(creators.told, reverse=True), "never an older balance after a newer one"
    assert len(creators.told) <= 2 + (time.monotonic() - began) / WALLET_INTERVAL
    assert socket.told == []


async def test_a_full_socket_is_told_when_it_has_drained(world: Lone) -> None:
    connection, socket = world.connect()
    connection.pause_writing()
    for coins in (3, 2):
        world.gateway.wallets.changed("ann", coins)
        await asyncio.sleep(1.5 * WALLET_INTERVAL)
    assert socket.told == []
    connection.resume_writing()
    await world.until_told(socket, 2)
    assert socket.told == [2]


async def test_a_reply_is_newer_than_what_is_still_to_be_told(world: Lone) -> None:
    connection, socket = world.connect()
    _, other = world.connect()
    world.gateway.wallets.changed("ann", 3)
    world.gateway.wallets.changed("ann", 2, told=connection.session)
    await world.until_told(other, 2)
    assert socket.told == []


async def test_one_that_has_gone_is_told_nothing_and_kept_nowhere(world: Lone) -> None:
    connection, socket = world.connect()
    connection.pause_writing()
    world.gateway.wallets.changed("ann", 3)
    world.connections.remove(connection)
    connection.connection_lost(None)
    async with asyncio.timeout(10):
        while world.gateway.wallets._untold:
            await asyncio.sleep(0.001)
    assert socket.told == []
