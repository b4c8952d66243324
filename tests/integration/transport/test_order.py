"""What one connection sends is done in that order, whatever has to be looked for first."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from gifting.transport.pending import PENDING_MAX
from tests.support.keys import new_key
from tests.support.server import Server

pytestmark = [pytest.mark.attack, pytest.mark.slow]

COINS = 1000


class Talker:
    """One socket on which messages are sent without waiting; the replies are collected by their ids."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._last = 0
        self._found: dict[int, Any] = {}

    async def say(self, op: str, room: str, **fields: Any) -> int:
        self._last += 1
        await self._socket.send(json.dumps({"op": op, "id": self._last, "room": room, **fields}))
        return self._last

    async def gift(self, room: str) -> int:
        return await self.say("send_gift", room, gift="spark", key=new_key())

    async def replies(self) -> list[Any]:
        """To all that was said, in the order of saying."""
        async with asyncio.timeout(20):
            while len(self._found) < self._last:
                reply = json.loads(await self._socket.recv())
                if "re" in reply:
                    self._found[reply["re"]] = reply
        return [self._found[number] for number in sorted(self._found)]


def talk_to(server: Server) -> connect:
    headers = {"Authorization": f"Bearer {server.token('ann')}"}
    return connect(server.url.replace("http", "ws") + "/v1/ws", additional_headers=headers, compression=None)


@pytest.fixture
async def server(tmp_path: Path, redis_url: str, redis_client: Any) -> Any:
    """It knows no room: they were opened by another node."""
    async with Server(tmp_path / "other", redis_url) as other:
        for room in ("r1", "r2", "r3"):
            await other.room(room)
        await other.operator.grant_each(["ann"], COINS)
    async with Server(tmp_path / "data", redis_url) as running:
        yield running


async def test_gifts_to_rooms_that_the_node_does_not_know(server: Server) -> None:
    for rooms in (("r1",), ("r2", "r3", "r1")):
        async with talk_to(server) as socket:
            talker = Talker(socket)
            for number in range(PENDING_MAX):
                await talker.gift(rooms[number % len(rooms)])
            replies = await talker.replies()
        assert [reply["ok"] for reply in replies] == [True] * PENDING_MAX
        coins = [reply["coins"] for reply in replies]
        assert coins == sorted(coins, reverse=True), "each was charged after the one before it"


async def test_a_known_room_does_not_overtake_an_unknown_one(server: Server) -> None:
    async with talk_to(server) as socket:
        talker = Talker(socket)
        await talker.gift("r1")
        await talker.replies()  # from now on it is known
        for _ in range(10):
            await talker.gift("r2")
            await talker.gift("r1")
            await talker.say("share", "r1")
            await talker.gift("nowhere")
            await talker.gift("r3")
        replies = await talker.replies()
    taken = [reply for reply in replies if reply["ok"]]
    coins = [reply["coins"] for reply in taken if "coins" in reply]
    assert coins == sorted(coins, reverse=True)
    refused = [reply["error"]["code"] for reply in replies if not reply["ok"]]
    assert set(refused) <= {"room_not_found", "rate_limited"}
    assert len(taken) + len(refused) == 51


async def test_a_connection_is_in_so_many_rooms_and_no_more(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    """However the joins come: with their snapshot at hand or not, at once or one by one."""
    async with Server(tmp_path / "data", redis_url, connection_rooms=2) as server:
        for room in ("r1", "r2", "r3"):
            await server.room(room)
        for at_once in (True, False):
            async with talk_to(server) as socket:
                talker = Talker(socket)
                for room in ("r1", "r2", "r3"):
                    await talker.say("join", room)
                    if not at_once:
                        await talker.replies()
                refused = [reply for reply in await talker.replies() if not reply["ok"]]
                assert [reply["error"]["code"] for reply in refused] == ["too_many_rooms"]
                full = ({1, 2, 3} - {reply["re"] for reply in refused}).pop()
                await talker.say("join", f"r{full}")  # one of its own, again
                await talker.replies()
                await talker.say("leave", f"r{full}")
                await talker.say("join", f"r{refused[0]['re']}")
                assert [reply["ok"] for reply in (await talker.replies())[3:]] == [True] * 3


@pytest.mark.one_redis("reply and event come on two connections, and may overtake each other")
async def test_a_reply_comes_before_the_event_of_it(server: Server) -> None:
    """Both come from Redis in one read."""
    async with talk_to(server) as socket:
        await socket.send(json.dumps({"op": "join", "id": 0, "room": "r1", "lane": "all"}))
        await socket.recv()
        for number in range(1, 151):
            gift = {"op": "send_gift", "id": number, "room": "r1", "gift": "spark", "key": new_key()}
            await socket.send(json.dumps(gift))
            if number % 10 > 5:  # some alone, some together
                await asyncio.sleep(0.005)
        replied, seen = set[str](), set[str]()
        async with asyncio.timeout(20):
            while len(seen) < 150:
                message = json.loads(await socket.recv())
                replied.add(message.get("event_id"))
                seen |= {event["id"] for event in message.get("events", ()) if event.get("count")}
                assert seen <= replied
