"""Gifts as people want to give them, over sockets and HTTP: by whom, and under which name."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gifting import Client, errors
from tests.support.keys import new_key
from tests.support.server import Server

pytestmark = pytest.mark.slow

PRICES = """
[[package]]
id = "p"
coins = 100
[[market]]
regions = ["US"]
currency = "USD"
tier = "web"
prices = { p = 140 }
"""


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


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"age": 0}, "age_required"),
        ({"age": 17}, "age_required"),
        ({"age": 18, "region": "KR"}, "age_required"),
        ({"account": "business"}, "account_not_allowed"),
    ],
)
async def test_who_may_not_gift_may_comment_and_watch(server: Server, claims: dict[str, Any], code: str) -> None:
    async with Client(server.url, server.token("ann", **claims)) as ann:
        await ann.join("r1", lane="all")
        with pytest.raises(errors.Protected) as refused:
            await ann.send_gift("r1", "spark")
        assert refused.value.code == code
        await ann.comment("r1", "hello")
        await ann.refresh(server.token("ann"))
        assert (await ann.send_gift("r1", "spark"))["coins"] == 999, "who has a better token may"
        await ann.refresh(server.token("ann", **claims))
        with pytest.raises(errors.Protected):
            await ann.send_gift("r1", "spark")
    body = {"gift": "spark", "key": new_key()}
    with pytest.raises(errors.Protected) as refused:
        await server.caller("ann", "viewer", **claims).call("POST", "/v1/rooms/r1/gifts", body)
    assert refused.value.code == code
    assert await server.operator.wallets(["ann"]) == {"ann": 999}


async def test_new_regions_hold_for_who_is_here_already(redis_url: str, redis_client: Any, tmp_path: Path) -> None:
    regions = tmp_path / "regions.toml"
    rule = '[[region]]\nid = "US"\nmin_age = 18\nterms = "None."\n[[region]]\nid = "other"\nterms = "None."\n'
    prices = tmp_path / "prices.toml"
    regions.write_text(rule)
    prices.write_text(PRICES)
    async with Server(tmp_path / "data", redis_url, regions=regions, prices=prices) as server:
        await server.room("r1")
        await server.operator.grant_each(["ann"], 10)
        async with Client(server.url, server.token("ann", age=20)) as ann:
            await ann.send_gift("r1", "spark")
            regions.write_text(rule.replace("18", "21"))
            await server.operator.call("POST", "/v1/admin/reload")
            with pytest.raises(errors.AgeRequired):
                await ann.send_gift("r1", "spark")
            regions.write_text(rule)
            await server.operator.call("POST", "/v1/admin/reload")
            assert (await ann.send_gift("r1", "spark"))["coins"] == 8
