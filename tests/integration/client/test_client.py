"""The Python client against the real server, through a proxy that loses what it should lose; and against a script."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgpack
import pytest
from websockets.asyncio.server import ServerConnection, serve

from gifting import errors
from gifting.client import Client, connection
from gifting.client.inbox import Inbox
from gifting.config import FRAME_MAX_MOST
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.waiting import until, until_is

pytestmark = pytest.mark.slow

WITHIN = 20.0


@pytest.fixture
async def server(tmp_path: Path, server_redis: str) -> AsyncIterator[Server]:
    async with Server(tmp_path / "data", server_redis, member_rate=0) as running:
        await running.room("r1")
        await running.operator.grant_each(["ann", "bob"], 100_000)
        yield running


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[Proxy]:
    async with Proxy(server.url) as running:
        yield running


def came_back(proxy: Proxy, before: int) -> bool:
    return proxy.connections > before


async def collect(client: Client, enough: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """Events until there are ``enough``."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(WITHIN):
        async for event in client.events():
            found.append(event)
            if enough(found):
                break
    return found


def paid(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == "gift" and event["count"]]


async def test_a_gift_whose_reply_was_lost_is_said_again_with_its_key(server: Server, proxy: Proxy) -> None:
    async with Client(proxy.url, server.token("ann")) as ann:
        await ann.join("r1", lane="all")
        proxy.mute = True
        sending = asyncio.create_task(ann.send_gift("r1", "spark"))
        await until_is(lambda: server.operator.wallets(["ann"]), {"ann": 99_999}, WITHIN)
        proxy.mute = False
        proxy.cut()
        reply = await sending
        assert reply["duplicate"]
        assert reply["coins"] == 99_999
        assert proxy.connections == 2
        events = await collect(ann, lambda found: any(event.get("repeat_end") for event in found))
        assert len(paid(events)) == 1
    assert await server.operator.wallets(["ann"]) == {"ann": 99_999}


async def test_every_event_comes_once_and_in_order_through_cut_connections(server: Server, proxy: Proxy) -> None:
    async with (
        Client(server.url, server.token("ann"), queue=0) as ann,
        Client(proxy.url, server.token("host", "overlay", room="r1")) as overlay,
    ):
        snapshot = await overlay.join("r1")
        listening = asyncio.create_task(collect(overlay, lambda found: len(paid(found)) == 60))
        for number in range(60):
            await ann.send_gift("r1", "spark", message=str(number))
            if number % 15 == 7:
                before = proxy.connections
                proxy.cut()
            if number % 15 == 12:
                await until(partial(came_back, proxy, before))
        events = await listening
    numbered = [event["seq"] for event in events if "seq" in event]
    assert numbered == list(range(snapshot["seq"] + 1, snapshot["seq"] + 1 + len(numbered)))
    assert [event["message"] for event in paid(events)] == [str(number) for number in range(60)]
    assert {event["room"] for event in events} == {"r1"}
    assert proxy.connections >= 5


async def test_a_gift_without_any_reply_is_an_unknown_outcome_that_its_key_resolves(
    server: Server, proxy: Proxy
) -> None:
    async with Client(proxy.url, server.token("ann"), deadline=0.5) as ann:
        key = ann.new_key()
        proxy.mute = True
        with pytest.raises(errors.OutcomeUnknown, match=key):
            await ann.send_gift("r1", "spark", key=key)
        proxy.mute = False
        proxy.cut()
    async with Client(server.url, server.token("ann")) as ann:
        assert (await ann.send_gift("r1", "spark", key=key))["coins"] == 99_999


async def test_temporary_refusals_are_waited_out(tmp_path: Path, server_redis: str) -> None:
    async with Server(tmp_path / "data", server_redis, message_rate=20, message_burst=5) as server:
        await server.room("r1")
        await server.operator.grant_each(["ann"], 100)
        async with Client(server.url, server.token("ann")) as ann:
            replies = await asyncio.gather(*(ann.send_gift("r1", "spark") for _ in range(15)))
        assert len({reply["seq"] for reply in replies}) == 15
        assert await server.operator.wallets(["ann"]) == {"ann": 85}


async def test_rooms_are_resumed_when_the_server_comes_back(server: Server) -> None:
    async with Client(server.url, server.token("bob")) as bob:
        await bob.join("r1", lane="all")
        await bob.send_gift("r1", "spark")
        await server.stop(signal.SIGTERM)
        sending = asyncio.create_task(bob.send_gift("r1", "petal"))
        await server.start()
        assert (await sending)["coins"] == 99_998
        events = await collect(bob, lambda found: len(paid(found)) == 2)
        seqs = [event["seq"] for event in events if "seq" in event]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
        assert [event["gift"]["id"] for event in paid(events)] == ["spark", "petal"]


async def test_an_expired_token_ends_the_client(server: Server) -> None:
    async with Client(server.url, server.token("ann", ttl=3)) as ann:
        await ann.join("r1")
        with pytest.raises(errors.TokenExpired):
            await collect(ann, lambda _: False)
        with pytest.raises(errors.TokenExpired):
            await ann.send_gift("r1", "spark")


async def test_a_refreshed_token_is_kept_for_reconnects(server: Server, proxy: Proxy) -> None:
    async with Client(proxy.url, server.token("ann", ttl=3)) as ann:
        await ann.refresh(server.token("ann"))
        expired = time.time() + 3
        await until(lambda: time.time() > expired)
        proxy.cut()
        assert (await ann.send_gift("r1", "spark"))["coins"] == 99_999


async def test_keys_follow_the_clock_of_the_server(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    real, hour = time.time_ns, 3600 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: real() + hour)
    async with Client(server.url, server.token("ann", ttl=10_000)) as ann:
        assert (await ann.send_gift("r1", "spark"))["coins"] == 99_999
        assert abs(await ann.ping() - real() // 10**6) < 5000


async def test_everything_else_one_can_say(server: Server) -> None:
    async with (
        Client(server.url, server.token("ann")) as ann,
        Client(server.url, server.token("host", "overlay", room="r1")) as overlay,
    ):
        await overlay.join("r1")
        await ann.join("r1")
        await ann.comment("r1", "hello")
        await ann.like("r1", 3)
        await ann.share("r1")
        await ann.follow("r1")
        wanted = {"comment", "like", "share", "follow"}
        events = await collect(overlay, lambda found: wanted <= {event["type"] for event in found})
        assert next(event for event in events if event["type"] == "like")["count"] == 3
        with pytest.raises(errors.RoomNotFound) as refusal:
            await ann.comment("r2", "hello")
        assert str(refusal.value).count(errors.RoomNotFound.help) == 1
        with pytest.raises(errors.Forbidden):
            await overlay.comment("r1", "hello")
        await ann.leave("r1")


async def test_what_cannot_be_connected_to_says_why(server: Server) -> None:
    with pytest.raises(errors.BadToken):
        async with Client(server.url, "nonsense"):
            pass
    with pytest.raises(ConnectionError, match="can't be reached"):
        async with Client("ws://127.0.0.1:1", "nonsense", connect_timeout=0.3):
            pass
    with pytest.raises(ValueError, match="ftp"):
        Client("ftp://example.org", "nonsense")


async def test_closing_ends_events_and_fails_calls_and_leaves_nothing(server: Server, proxy: Proxy) -> None:
    tasks = asyncio.all_tasks()
    client = Client(server.url, server.token("ann"))
    async with client:
        await client.join("r1")
        listening = asyncio.create_task(collect(client, lambda _: False))
    await listening
    with pytest.raises(errors.OutcomeUnknown):
        await client.send_gift("r1", "spark")
    await client.close()
    assert asyncio.all_tasks() == tasks


async def test_a_full_inbox_stops_the_reader_and_loses_nothing(server: Server) -> None:
    async with (
        Client(server.url, server.token("ann"), queue=0) as ann,
        Client(server.url, server.token("bob"), queue=10) as bob,
    ):
        await bob.join("r1", lane="all")
        for _ in range(10):
            await asyncio.gather(*(ann.send_gift("r1", "spark", message="x" * 200) for _ in range(15)))
        events = await collect(bob, lambda found: len(paid(found)) == 150)
        assert len({event["seq"] for event in paid(events)}) == 150


async def test_the_inbox_is_bounded() -> None:
    inbox = Inbox(2)
    inbox.put([{"n": number} for number in range(3)])
    waiting = asyncio.create_task(inbox.has_room())
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    assert not done
    assert await anext(inbox) == {"n": 0}
    await asyncio.wait_for(waiting, WITHIN)
    inbox.end(None)
    assert [event["n"] async for event in inbox] == [1, 2]


# A server that follows a script, for what a real one does rarely.


@asynccontextmanager
async def scripted(*, joins: list[dict[str, Any]], closes: list[int]) -> AsyncIterator[str]:
    """Answers the n-th join with the n-th of ``joins``, then closes that connection with the n-th of ``closes``."""
    answers, codes = iter(joins), iter(closes)

    async def handle(socket: ServerConnection) -> None:
        async for data in socket:
            message = msgpack.unpackb(data)
            if message["op"] == "ping":
                await socket.send(msgpack.packb({"re": message["id"], "ok": True, "ts": 1}))
            else:
                await socket.send(msgpack.packb({"re": message["id"], **next(answers)}))
                if code := next(codes, 0):
                    await socket.close(code)

    options: Any = {"subprotocols": ["gifting.v1.msgpack"], "compression": None}
    async with serve(handle, "127.0.0.1", 0, **options) as running:
        yield f"ws://127.0.0.1:{next(iter(running.sockets)).getsockname()[1]}"


def joined(seq: int, *, gap: bool = False) -> dict[str, Any]:
    return {"ok": True, "room": {"seq": seq}, "gap": gap}


async def test_a_gap_after_a_reconnect_is_an_event() -> None:
    async with scripted(joins=[joined(5), joined(900, gap=True)], closes=[4000]) as url, Client(url, "t") as client:
        assert await client.join("r1") == {"seq": 5, "gap": False}
        events = await collect(client, lambda _: True)
        assert events == [{"type": "gap", "room": "r1", "snapshot": {"seq": 900}}]


async def test_a_room_that_can_not_be_joined_again_is_an_event() -> None:
    ended = {"ok": False, "error": {"code": "room_ended", "message": "Over.", "temporary": False}}
    async with scripted(joins=[joined(5), ended], closes=[4002]) as url, Client(url, "t") as client:
        await client.join("r1")
        events = await collect(client, lambda _: True)
        assert events == [{"type": "lost", "room": "r1", "error": "room_ended"}]


async def test_a_temporary_refusal_to_rejoin_is_tried_again() -> None:
    busy = {"ok": False, "error": {"code": "overloaded", "message": "Busy.", "temporary": True}}
    async with (
        scripted(joins=[joined(5), busy, joined(9, gap=True)], closes=[4001]) as url,
        Client(url, "t") as client,
    ):
        await client.join("r1")
        assert [event["type"] for event in await collect(client, lambda _: True)] == ["gap"]


@pytest.mark.attack
async def test_a_message_that_is_too_large_ends_the_client_and_is_not_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "FRAME_MAX", 1_000)
    dials = 0

    async def handle(socket: ServerConnection) -> None:
        nonlocal dials
        dials += 1
        async for data in socket:
            reply = {"re": msgpack.unpackb(data)["id"], "ok": True, "ts": 1, **joined(5)}
            await socket.send(msgpack.packb(reply))
            if msgpack.unpackb(data)["op"] == "join":
                await socket.send(bytes(2_000))

    options: Any = {"subprotocols": ["gifting.v1.msgpack"], "compression": None}
    async with serve(handle, "127.0.0.1", 0, **options) as running:
        url = f"ws://127.0.0.1:{next(iter(running.sockets)).getsockname()[1]}"
        async with asyncio.timeout(WITHIN), Client(url, "t") as client:
            await client.join("r1")
            with pytest.raises(errors.MessageTooLarge):
                await anext(client.events())
    assert dials == 1


@pytest.mark.attack
async def test_what_is_too_large_for_the_server_is_told_and_harms_nothing_else(server: Server) -> None:
    async with asyncio.timeout(WITHIN), Client(server.url, server.token("ann")) as ann:
        for too_much in ("x" * 5_000, "x" * 5_000_000):
            gift = asyncio.create_task(ann.send_gift("r1", "spark"))
            with pytest.raises(errors.MessageTooLarge):
                await ann.comment("r1", too_much)
            with pytest.raises(errors.MessageTooLarge):
                await ann.send_gift("r1", "spark", message=too_much)
            assert (await gift)["coins"]
    assert (await server.operator.wallets(["ann"]))["ann"] == 100_000 - 2


def test_the_client_takes_more_than_any_server_may_be_set_to_send() -> None:
    assert connection.FRAME_MAX >= 4 * FRAME_MAX_MOST


@pytest.mark.parametrize(
    ("code", "error"), [(4501, errors.TokenExpired), (4502, errors.TokenRevoked), (4999, errors.Denied)]
)
async def test_close_codes_from_4500_up_are_final(code: int, error: type[errors.GiftingError]) -> None:
    async with scripted(joins=[joined(5)], closes=[code]) as url, Client(url, "t") as client:
        await client.join("r1")
        with pytest.raises(error):
            await collect(client, lambda _: False)
