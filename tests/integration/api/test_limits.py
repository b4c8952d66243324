"""Limits, breaks and guardians over HTTP, and what they do to gifts; what was spent."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gifting import errors
from gifting.client import Client
from gifting.client.admin import Admin
from gifting.model.calendar import DAY_MS, HOUR_MS
from gifting.model.money import MAX_AMOUNT
from tests.support.keys import new_key
from tests.support.server import Server

pytestmark = pytest.mark.slow

LIMITS = "/v1/users/ann/limits"


@pytest.fixture
async def server(tmp_path: Path, redis_url: str, redis_client: Any) -> AsyncIterator[Server]:
    async with Server(tmp_path / "data", redis_url) as running:
        await running.room("r1")
        await running.operator.grant_each(["ann"], 1000)
        yield running


@pytest.fixture
def ann(server: Server) -> Admin:
    return server.caller("ann", "viewer")


async def give(ann: Admin, count: int = 1) -> Any:
    return await ann.call("POST", "/v1/rooms/r1/gifts", {"gift": "spark", "count": count, "key": new_key()})


async def test_limits_are_set_told_and_held(ann: Admin) -> None:
    nothing = await ann.call("GET", LIMITS)
    assert set(nothing["own"]["gifts"].values()) == {None}
    assert (nothing["zone"], nothing["asked"], nothing["blocked_until"], nothing["guardian"]) == ("UTC", False, 0, "")
    body = {"gifts": {"h24": 10, "month": 0}, "caps": {"streak": 5}, "zone": "Asia/Seoul"}
    told = await ann.call("PUT", LIMITS, body)
    assert told["own"]["gifts"] == {**nothing["own"]["gifts"], "h24": 10, "month": 0}
    assert (told["own"]["caps"]["streak"], told["zone"], told["asked"]) == (5, "Asia/Seoul", False)
    with pytest.raises(errors.SpendingLimit):
        await give(ann)
    assert await ann.call("GET", LIMITS) == told
    assert await ann.call("PUT", LIMITS, {}) == told


async def test_a_raise_is_noted_and_can_be_taken_back(ann: Admin) -> None:
    began = time.time_ns() // 1_000_000
    await ann.call("PUT", LIMITS, {"gifts": {"day": 10}, "purchases": {"d7": 5}})
    told = await ann.call("PUT", LIMITS, {"gifts": {"day": None}, "purchases": {"d7": 6}})
    assert told["own"]["gifts"]["day"] == 10
    assert {one["limit"]: one["coins"] for one in told["raises"]} == {"gifts.day": None, "purchases.d7": 6}
    assert all(abs(one["after"] - began - DAY_MS) < 60_000 for one in told["raises"])
    assert all(one["before"] - one["after"] == 7 * DAY_MS for one in told["raises"])
    back = await ann.call("PUT", LIMITS, {"gifts": {"day": 10}})
    assert [one["limit"] for one in back["raises"]] == ["purchases.d7"]


@pytest.mark.parametrize("none", [None, 0, 5])
async def test_purchases_may_begin_once_a_limit_was_asked_for(ann: Admin, none: int | None) -> None:
    assert (await ann.call("PUT", LIMITS, {"purchases": {"month": none}}))["asked"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"gifts": {"h24": -1}}, errors.BadMessage),
        ({"gifts": {"h24": MAX_AMOUNT}}, errors.BadMessage),
        ({"gifts": {"hour": 5}}, errors.BadMessage),
        ({"limits": {}}, errors.BadMessage),
        ({"caps": {"gift": 0}}, errors.BadMessage),
        ({"zone": "Nowhere/Town"}, errors.BadZone),
        ({"zone": "../../etc/passwd"}, errors.BadMessage),
        ({"zone": ""}, errors.BadMessage),
    ],
)
async def test_what_can_not_be_set(ann: Admin, body: Any, error: type[errors.GiftingError]) -> None:
    before = await ann.call("GET", LIMITS)
    with pytest.raises(error):
        await ann.call("PUT", LIMITS, body)
    assert await ann.call("GET", LIMITS) == before


async def test_a_break_stops_gifts_and_is_only_lengthened(server: Server, ann: Admin) -> None:
    began = time.time_ns() // 1_000_000
    first = await ann.call("POST", "/v1/users/ann/break", {"hours": 2})
    assert abs(first["blocked_until"] - began - 2 * HOUR_MS) < 60_000
    assert await server.operator.call("POST", "/v1/users/ann/break", {"hours": 1}) == first
    with pytest.raises(errors.OnBreak):
        await give(ann)
    longer = await ann.call("POST", "/v1/users/ann/exclusion", {"days": 30})
    assert abs(longer["blocked_until"] - began - 30 * DAY_MS) < 60_000
    for days in (None, 1):
        told = await ann.call("POST", "/v1/users/ann/exclusion", {"days": days})
        assert told["blocked_until"] == MAX_AMOUNT


async def test_a_guardian_sees_and_caps_once_both_agreed(server: Server, ann: Admin) -> None:
    mum, dad = (server.caller(name, "viewer") for name in ("mum", "dad"))
    for caller in (mum, dad):
        with pytest.raises(errors.Forbidden):
            await caller.call("GET", LIMITS)
    with pytest.raises(errors.Forbidden):
        await mum.call("POST", "/v1/users/ann/guardian/accept")
    assert (await ann.call("PUT", "/v1/users/ann/guardian", {"guardian": "mum"}))["invited"] == "mum"
    with pytest.raises(errors.Forbidden):
        await mum.call("GET", "/v1/users/ann/spending")
    with pytest.raises(errors.Forbidden):
        await dad.call("POST", "/v1/users/ann/guardian/accept")
    told = await mum.call("POST", "/v1/users/ann/guardian/accept")
    assert (told["guardian"], told["invited"]) == ("mum", "")

    guard = "/v1/users/ann/guardian/limits"
    with pytest.raises(errors.Forbidden):
        await ann.call("PUT", guard, {"gifts": {"day": 500}})
    told = await mum.call("PUT", guard, {"gifts": {"day": 5}, "caps": {"gift": 3}})
    assert (told["guard"]["gifts"]["day"], told["guard"]["caps"]["gift"]) == (5, 3)
    with pytest.raises(errors.GiftCap):
        await give(ann, 4)
    await give(ann, 3)
    with pytest.raises(errors.GuardianLimit):
        await give(ann, 3)
    assert (await mum.call("GET", "/v1/users/ann/spending"))["details"]["coins"] == 3

    with pytest.raises(errors.Conflict):
        await ann.call("PUT", "/v1/users/ann/guardian", {"guardian": "dad"})
    with pytest.raises(errors.Forbidden):
        await ann.call("DELETE", "/v1/users/ann/guardian")
    told = await mum.call("DELETE", "/v1/users/ann/guardian")
    assert (told["guardian"], told["guard"]["gifts"]["day"]) == ("", None)
    await give(ann, 4)
    with pytest.raises(errors.Forbidden):
        await mum.call("GET", LIMITS)


async def test_who_may_be_asked_to_be_guardian(server: Server, ann: Admin) -> None:
    for guardian, error in (("ann", errors.Forbidden), ("a b", errors.BadMessage), ("", errors.BadMessage)):
        with pytest.raises(error):
            await ann.call("PUT", "/v1/users/ann/guardian", {"guardian": guardian})
    await ann.call("PUT", "/v1/users/ann/guardian", {"guardian": "mum"})
    assert (await ann.call("DELETE", "/v1/users/ann/guardian"))["invited"] == ""
    await server.operator.call("PUT", "/v1/users/ann/guardian", {"guardian": "mum"})
    assert (await server.caller("mum", "viewer").call("DELETE", "/v1/users/ann/guardian"))["invited"] == ""


async def wards(caller: Admin, guardian: str) -> list[tuple[str, bool]]:
    told = await caller.call("GET", f"/v1/users/{guardian}/wards")
    return [(ward["user"], ward["accepted"]) for ward in told["wards"]]


async def test_a_guardian_is_told_who_asks_and_whose_guardian_it_is(server: Server, ann: Admin) -> None:
    mum = server.caller("mum", "viewer")
    assert await wards(mum, "mum") == []
    for name in ("bea", "ann"):
        await server.caller(name, "viewer").call("PUT", f"/v1/users/{name}/guardian", {"guardian": "mum"})
    await mum.call("POST", "/v1/users/ann/guardian/accept")
    assert await wards(server.operator, "mum") == [("ann", True), ("bea", False)]
    with pytest.raises(errors.Forbidden):
        await ann.call("GET", "/v1/users/mum/wards")
    await server.caller("bea", "viewer").call("PUT", "/v1/users/bea/guardian", {"guardian": "dad"})
    await mum.call("DELETE", "/v1/users/ann/guardian")
    assert (await wards(mum, "mum"), await wards(server.operator, "dad")) == ([], [("bea", False)])


async def test_spending_is_told_per_window_room_creator_and_gift(ann: Admin) -> None:
    nothing = await ann.call("GET", "/v1/users/ann/spending")
    empty = {"since": 0, "more": False, "coins": 0, "rooms": [], "creators": [], "gifts": []}
    assert nothing["details"] | {"since": 0} == empty
    every = [(one["coins"], one["falls"]) for one in (*nothing["gifts"], *nothing["purchases"])]
    assert every == [(0, 0)] * 12
    await ann.call("PUT", LIMITS, {"gifts": {"d7": 50}, "purchases": {"day": 7}})
    await give(ann, 20)
    told = await ann.call("GET", "/v1/users/ann/spending?days=1")
    windows = {one["window"]: one for one in told["gifts"]}
    assert {one["coins"] for one in windows.values()} == {20}
    assert (windows["d7"]["limit"], windows["h24"]["limit"]) == (50, None)
    now = time.time_ns() // 1_000_000
    assert DAY_MS < windows["h24"]["falls"] - now + 60_000 < DAY_MS + HOUR_MS + 120_000
    assert [(one["window"], one["limit"]) for one in told["purchases"] if one["limit"] is not None] == [("day", 7)]
    details = told["details"]
    assert abs(details["since"] - now + DAY_MS) < 60_000
    spent = {"coins": 20, "gifts": 20}
    assert [details["rooms"], details["creators"], details["gifts"]] == [
        [{"id": name, **spent}] for name in ("r1", "host", "spark")
    ]
    before = await ann.call("GET", f"/v1/users/ann/spending?before={details['since']}")
    assert before["details"] | {"since": 0} == empty


async def test_shares_of_a_limit_are_told_to_the_users_sockets(server: Server, ann: Admin) -> None:
    await ann.call("PUT", LIMITS, {"gifts": {"d30": 100}})
    async with Client(server.url, server.token("ann")) as sender, Client(server.url, server.token("ann")) as other:
        for count in (49, 1):
            await sender.send_gift("r1", "spark", count=count)
        for events in (sender.events(), other.events()):
            assert await anext(events) == {"type": "budget", "percent": 50, "room": ""}
        await give(ann, 30)
        await sender.send_gift("r1", "spark", count=20)
        for events in (sender.events(), other.events()):
            assert [await anext(events) for _ in range(2)] == [
                {"type": "budget", "percent": percent, "room": ""} for percent in (80, 100)
            ]
        with pytest.raises(errors.SpendingLimit):
            await sender.send_gift("r1", "spark")
