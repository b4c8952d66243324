"""Gifts as people want to give them, over sockets and HTTP: by whom, and under which name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gifting import Client, errors
from tests.support.keys import new_key
from tests.support.raw import Raw, says
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


async def lost(server: Server, key: str, coins: int) -> None:
    """A gift of a spark that is taken, and whose sender is gone before the reply."""
    raw = await Raw.upgraded(server, server.token("ann"))
    raw.writer.write(says(op="send_gift", id=1, room="r1", gift="spark", key=key))
    async with asyncio.timeout(10):
        while await server.operator.wallets(["ann"]) != {"ann": coins}:
            await asyncio.sleep(0.01)
    raw.end()


async def both_ways(server: Server, key: str, **claims: Any) -> list[dict[str, Any]]:
    """What a socket, and HTTP, say of a spark under this key: the reply, or the error."""
    raw = await Raw.upgraded(server, server.token("ann", **claims))
    raw.writer.write(says(op="send_gift", id=1, room="r1", gift="spark", key=key))
    told = await raw.reply(1)
    found = [told.get("error", told)]
    try:
        body = {"gift": "spark", "key": key}
        found.append(await server.caller("ann", "viewer", **claims).call("POST", "/v1/rooms/r1/gifts", body))
    except errors.GiftingError as error:
        found.append({"code": error.code, "message": error.message})
    return found


async def state(redis: Any) -> dict[bytes, bytes]:
    """All that rooms and accounts have; what is kept under keys is left out."""
    names = [name async for name in redis.scan_iter("{p*") if b":keys:" not in name and b":deadlines" not in name]
    return {name: await redis.dump(name) for name in names}


CLOSED = [
    ("min_age = 40", {}, "age_required"),
    ("allowed = false", {}, "region_not_allowed"),
    ('accounts = ["club"]', {}, "account_not_allowed"),
    ("", {"age": 17}, "age_required"),
    ("", {"age": 0}, "age_required"),
    ("", {"region": "CU"}, "region_not_allowed"),
    ("", {"account": "business"}, "account_not_allowed"),
]
"""What the region becomes, or the token; and what is said of the next gift."""


@pytest.mark.parametrize(("rule", "claims", "code"), CLOSED)
async def test_who_may_give_no_more_is_told_of_the_gift_whose_reply_was_lost(
    redis_url: str, redis_client: Any, tmp_path: Path, rule: str, claims: dict[str, Any], code: str
) -> None:
    files: dict[str, Any] = {name: tmp_path / f"{name}.toml" for name in ("regions", "prices")}
    others = 'terms = "None."\n[[region]]\nid = "CU"\nallowed = false\nterms = "None."\n'
    text = '[[region]]\nid = "US"\nRULE\nterms = "None."\n[[region]]\nid = "other"\n' + others
    files["regions"].write_text(text.replace("RULE", ""))
    files["prices"].write_text(PRICES)
    async with Server(tmp_path / "data", redis_url, member_rate=0, **files) as server:
        await server.room("r1")
        await server.operator.grant_each(["ann"], 10)
        await lost(server, key := new_key(), 9)
        await streak_is_over(server)
        files["regions"].write_text(text.replace("RULE", rule))
        await server.operator.call("POST", "/v1/admin/reload")
        before = await state(redis_client)
        for told in await both_ways(server, key, **claims):
            assert (told["seq"], told["coins"], told["duplicate"]) == (1, 9, True)
        refused, again = await both_ways(server, (new := new_key()), **claims), await both_ways(server, new)
        assert [told["code"] for told in refused + again] == [code] * 4
        assert {told["message"] for told in refused} == {told["message"] for told in again}, "that is kept"
        assert await state(redis_client) == before
        files["regions"].write_text(text.replace("RULE", ""))
        await server.operator.call("POST", "/v1/admin/reload")
        assert {told["coins"] for told in await both_ways(server, new_key())} == {8}
        assert (await server.audit())[0] == 0


async def streak_is_over(server: Server) -> None:
    """What the sweep writes is written."""
    async with asyncio.timeout(30):
        while (await server.operator.room("r1"))["streaks"]:
            await asyncio.sleep(0.05)
