"""Gifts as people want to give them, over sockets and HTTP: anonymously."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gifting import Client
from tests.support.keys import new_key
from tests.support.server import Server

pytestmark = pytest.mark.slow


@pytest.fixture
async def server(redis_url: str, redis_client: Any, tmp_path: Path) -> AsyncIterator[Server]:
    async with Server(tmp_path / "data", redis_url, member_rate=0, viewers_interval=0.05) as running:
        await running.room("r1")
        await running.operator.grant_each(["ann"], 1000)
        yield running


async def test_an_anonymous_gift_is_seen_and_its_sender_is_not(server: Server) -> None:
    async with (
        Client(server.url, server.token("host", "creator")) as host,
        Client(server.url, server.token("ann", name="Ann Other", picture="/ann.png", level=9)) as ann,
    ):
        await host.join("r1", lane="all")
        reply = await ann.send_gift("r1", "spark", 2, "for you", anonymous=True)
        assert (reply["coins"], reply["repeat_count"], reply["duplicate"]) == (998, 2, False)
        seen = [await anext(aiter(host.events()))]
        caller = server.caller("ann", "viewer", name="Ann Other")
        body = {"gift": "skateboard", "key": (key := new_key()), "anonymous": True, "message": "again"}
        await caller.call("POST", "/v1/rooms/r1/gifts", body)
        assert (await caller.call("POST", "/v1/rooms/r1/gifts", body))["duplicate"]
        while sum(event["type"] == "gift" for event in seen) < 2:
            seen.append(await anext(aiter(host.events())))
        gifts = [event for event in seen if event["type"] == "gift"]
        [user] = {json.dumps(gift["user"]) for gift in gifts}
        assert json.loads(user)["name"] == "Anonymous"
        assert [gift["message"] for gift in gifts] == ["for you", "again"]
        told = [seen, await host.join("r1", since=0), await server.operator.call("GET", "/v1/rooms/r1/top")]
        assert not any(word in json.dumps(told) for word in ("ann", "Ann"))
        status = await ann.gift_status(key)
        assert (status["state"], status["gift"]) == ("accepted", "skateboard")
    assert (await server.audit())[0] == 0
