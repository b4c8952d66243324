"""Moderation over HTTP and on sockets: what a host and its moderators may, and what the others then can't."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gifting import errors
from gifting.client import Client
from gifting.wire.tokens import issue
from tests.support.keys import new_key
from tests.support.server import SECRET, Server


@pytest.fixture
async def server(tmp_path: Path, redis_url: str, redis_client: Any) -> AsyncIterator[Server]:
    async with Server(tmp_path / "data", redis_url) as running:
        await running.room("r1")
        await running.room("r2", "other")
        for user in ("ann", "mod"):
            grant = {"coins": 100, "key": new_key(), "reason": "a test"}
            await running.operator.call("POST", f"/v1/users/{user}/grants", grant)
        yield running


async def test_rules_are_set_and_told(server: Server) -> None:
    host = server.caller("host", "creator")
    rules = {"gifting": True, "min_age": 18, "regions": ["GB", "US"], "max_gift": 50, "slow_mode": 3}
    assert await host.call("PATCH", "/v1/rooms/r1", rules) == rules
    assert await host.call("PATCH", "/v1/rooms/r1", {"gifting": False}) == {**rules, "gifting": False}
    assert (await server.operator.room("r1"))["rules"] == {**rules, "gifting": False}
    gift = {"gift": "spark", "key": new_key()}
    with pytest.raises(errors.GiftingOff):
        await server.caller("ann", "viewer").call("POST", "/v1/rooms/r1/gifts", gift)


@pytest.mark.parametrize(
    "rules",
    [
        {"min_age": -1},
        {"min_age": 1000},
        {"regions": ["Germany"]},
        {"regions": ["US"] * 251},
        {"max_gift": 2**53},
        {"slow_mode": 3601},
        {"gifting": "no"},
    ],
)
async def test_rules_have_bounds(server: Server, rules: dict[str, Any]) -> None:
    with pytest.raises(errors.BadMessage):
        await server.operator.call("PATCH", "/v1/rooms/r1", rules)


@pytest.mark.attack
async def test_who_is_blocked_comes_by_no_other_way(server: Server) -> None:
    """Not by the connection that was open, nor by another, nor over HTTP, nor without a name."""
    async with Client(server.url, server.token("ann")) as open_before:
        await open_before.join("r1")
        await server.caller("host", "creator").call("PATCH", "/v1/rooms/r1/people/ann", {"blocked": True})
        async with Client(server.url, server.token("ann")) as another:
            for client in (open_before, another):
                with pytest.raises(errors.Blocked):
                    await client.comment("r1", "hello")
                with pytest.raises(errors.Blocked):
                    await client.send_gift("r1", "spark")
    gift = {"gift": "spark", "key": new_key()}
    with pytest.raises(errors.Blocked):
        await server.caller("ann", "viewer").call("POST", "/v1/rooms/r1/gifts", gift)
    events = (await server.operator.call("GET", "/v1/rooms/r1/events"))["events"]
    assert [event["type"] for event in events if event["type"] != "member"] == []


async def test_moderators_help_in_all_rooms_of_the_host(server: Server) -> None:
    await server.room("r3")
    moderator, host = server.caller("mod", "viewer"), server.caller("host", "creator")
    with pytest.raises(errors.Forbidden):
        await moderator.call("PATCH", "/v1/rooms/r1/people/ann", {"blocked": True})
    named = await host.call("PUT", "/v1/rooms/r1/moderators/mod")
    assert named == {"user": "mod", "blocked": False, "muted_until": 0, "moderator": True}
    assert (await moderator.call("PATCH", "/v1/rooms/r3/people/ann", {"mute": 5}))["muted_until"] > 0
    assert (await moderator.call("PATCH", "/v1/rooms/r3", {"slow_mode": 7}))["slow_mode"] == 7
    listed = await moderator.call("GET", "/v1/rooms/r1/people")
    assert sorted(person["user"] for person in listed["people"]) == ["ann", "mod"]
    await host.call("DELETE", "/v1/rooms/r3/moderators/mod")
    with pytest.raises(errors.Forbidden):
        await moderator.call("GET", "/v1/rooms/r1/people")


@pytest.mark.attack
async def test_a_moderator_does_not_rise(server: Server) -> None:
    await server.caller("host", "creator").call("PUT", "/v1/rooms/r1/moderators/mod")
    for role in ("viewer", "creator"):
        moderator = server.caller("mod", role)
        for method, path, body in (
            ("PUT", "/v1/rooms/r1/moderators/friend", None),
            ("DELETE", "/v1/rooms/r1/moderators/mod", None),
            ("PATCH", "/v1/rooms/r1", {"gifting": False}),
            ("PATCH", "/v1/rooms/r1", {"max_gift": 1}),
            ("PATCH", "/v1/rooms/r2", {"slow_mode": 1}),
            ("PATCH", "/v1/rooms/r2/people/ann", {"blocked": True}),
            ("DELETE", "/v1/rooms/r1", None),
            ("POST", "/v1/rooms/r1/overlay-tokens", {}),
        ):
            with pytest.raises(errors.Forbidden):
                await moderator.call(method, path, body)
    with pytest.raises(errors.Forbidden):
        await server.caller("host", "overlay", room="r1").call("PATCH", "/v1/rooms/r1", {"gifting": False})


async def next_of(client: Client, kind: str) -> dict[str, Any]:
    async for event in client.events():
        if event["type"] == kind:
            return event
    raise AssertionError(kind)


@pytest.mark.parametrize("lane", ["all", "live"])
async def test_a_removed_comment_is_told_and_not_replayed(server: Server, lane: str) -> None:
    """To who watches, to who comes back later, and over HTTP."""
    host = server.caller("host", "creator")
    async with Client(server.url, server.token("eve")) as watching, Client(server.url, server.token("ann")) as ann:
        await watching.join("r1", lane=lane)
        await ann.join("r1")
        await ann.comment("r1", "rude")
        comment = await next_of(watching, "comment")
        assert comment["text"] == "rude"
        await host.call("DELETE", f"/v1/rooms/r1/comments/{comment['seq']}")
        removed = await next_of(watching, "comment_removed")
        assert (removed["comment_id"], removed["comment_seq"]) == (comment["id"], comment["seq"])
    async with Client(server.url, server.token("eve")) as again:
        await again.join("r1", since=0, lane="all")
        assert (await next_of(again, "comment"))["text"] == ""
    events = (await host.call("GET", "/v1/rooms/r1/events"))["events"]
    assert [event["text"] for event in events if event["type"] == "comment"] == [""]
    assert [event["comment_seq"] for event in events if event["type"] == "comment_removed"] == [comment["seq"]]


async def test_who_has_not_read_a_comment_yet_never_does(server: Server) -> None:
    async with Client(server.url, server.token("eve")) as slow, Client(server.url, server.token("ann")) as ann:
        await slow.join("r1", lane="all")
        await ann.comment("r1", "rude")
        events = (await server.operator.call("GET", "/v1/rooms/r1/events"))["events"]
        (seq,) = (event["seq"] for event in events if event["type"] == "comment")
        await server.operator.call("DELETE", f"/v1/rooms/r1/comments/{seq}")
        await slow.join("r1")  # its reply comes behind the removal
        assert (await next_of(slow, "comment"))["text"] == ""


@pytest.mark.attack
async def test_who_may_not_remove(server: Server) -> None:
    async with Client(server.url, server.token("ann")) as ann:
        await ann.comment("r1", "hello")
    for caller in (
        server.caller("ann", "viewer"),
        server.caller("other", "creator"),
        server.caller("host", "overlay", room="r1"),
        server.caller("host", "creator", room="r2"),
    ):
        with pytest.raises(errors.Forbidden):
            await caller.call("DELETE", "/v1/rooms/r1/comments/1")
    for seq in ("0", "-1", "1.5", "x", "9" * 16):
        with pytest.raises(errors.BadId):
            await server.operator.call("DELETE", f"/v1/rooms/r1/comments/{seq}")
    with pytest.raises(errors.NotFound):
        await server.operator.call("DELETE", "/v1/rooms/r1/comments/77")


@pytest.mark.attack
async def test_the_token_says_the_age_and_the_region_not_the_sender(server: Server) -> None:
    await server.operator.call("PATCH", "/v1/rooms/r1", {"min_age": 21, "regions": ["DE"]})
    gift = {"gift": "spark"}
    for claims, error in (
        ({"age": 20, "region": "DE"}, errors.RoomAge),
        ({"age": 40, "region": "FR"}, errors.RoomRegion),
    ):
        with pytest.raises(error):
            caller = server.caller("ann", "viewer", **claims)
            await caller.call("POST", "/v1/rooms/r1/gifts", {**gift, "key": new_key()})
    caller = server.caller("ann", "viewer", age=40, region="DE")
    assert (await caller.call("POST", "/v1/rooms/r1/gifts", {**gift, "key": new_key()}))["coins"] == 99


async def test_a_comment_is_held_until_the_host_has_seen_it(server: Server) -> None:
    host = server.caller("host", "creator")
    async with (
        Client(server.url, server.token("ann")) as ann,
        Client(server.url, server.token("host", "creator")) as own,
    ):
        await ann.join("r1", lane="all")
        assert not await ann.comment("r1", "free coins at my profile")
        assert not await ann.comment("r1", "or at example.com")
        assert await own.comment("r1", "my shop is example.com")
        promise, link = (await host.call("GET", "/v1/rooms/r1/held"))["held"]
        assert (promise["text"], promise["why"], promise["user"]["id"]) == (
            "free coins at my profile",
            "free_coins",
            "ann",
        )
        assert link["why"] == "link"
        assert (await host.call("POST", f"/v1/rooms/r1/held/{promise['id']}", {"post": False}))["seq"] == 0
        assert (await host.call("POST", f"/v1/rooms/r1/held/{link['id']}", {"post": True}))["seq"] > 0
        assert [(await next_of(ann, "comment"))["text"] for _ in range(2)] == ["my shop is example.com", link["text"]]
    assert (await host.call("GET", "/v1/rooms/r1/held"))["held"] == []


@pytest.mark.attack
@pytest.mark.parametrize("way", ["socket", "http", "anonymous"])
async def test_a_gift_is_no_way_to_say_what_is_held(server: Server, way: str) -> None:
    """The gift is taken without its words, which wait; said again with the same key they don't wait twice."""
    words, key = "free coins at my profile", new_key()
    async with Client(server.url, server.token("ann")) as ann:
        await ann.join("r1", lane="all")
        for again in (False, True):
            if way == "http":
                body = {"gift": "spark", "key": key, "message": words}
                reply = await server.caller("ann", "viewer").call("POST", "/v1/rooms/r1/gifts", body)
            else:
                reply = await ann.send_gift("r1", "spark", message=words, key=key, anonymous=way == "anonymous")
            assert (reply["coins"], reply["duplicate"]) == (99, again)
        gift = await next_of(ann, "gift")
        assert (gift["message"], gift["coins"]) == (None, 1)
    async with asyncio.timeout(20):
        while not (held := (await server.operator.call("GET", "/v1/rooms/r1/held"))["held"]):
            await asyncio.sleep(0.01)
    assert [(one["text"], one["user"]["id"] == "ann") for one in held] == [(words, way != "anonymous")]


@pytest.mark.attack
async def test_who_may_not_decide_about_what_is_held(server: Server) -> None:
    async with Client(server.url, server.token("ann")) as ann:
        await ann.comment("r1", "free coins at my profile")
    (one,) = (await server.operator.call("GET", "/v1/rooms/r1/held"))["held"]
    for caller in (server.caller("ann", "viewer"), server.caller("other", "creator"), server.caller("mod", "viewer")):
        with pytest.raises(errors.Forbidden):
            await caller.call("GET", "/v1/rooms/r1/held")
        with pytest.raises(errors.Forbidden):
            await caller.call("POST", f"/v1/rooms/r1/held/{one['id']}", {"post": True})
    with pytest.raises(errors.NotFound):
        await server.caller("other", "creator").call("POST", f"/v1/rooms/r2/held/{one['id']}", {"post": True})


async def test_a_report_has_what_was_said_also_when_it_is_removed(server: Server) -> None:
    async with Client(server.url, server.token("ann")) as ann:
        await ann.comment("r1", "rude")
    await server.operator.call("DELETE", "/v1/rooms/r1/comments/1")
    eve = server.caller("eve", "viewer", room="r1")
    made = await eve.call("POST", "/v1/reports", {"kind": "harassment", "room": "r1", "seq": 1, "text": "look"})
    (report,) = (await server.operator.call("GET", "/v1/reports"))["reports"]
    told = {name: report[name] for name in ("id", "by", "kind", "room", "user", "seq", "said", "text")}
    assert told == {
        "id": made["id"],
        "by": "eve",
        "kind": "harassment",
        "room": "r1",
        "user": "ann",
        "seq": 1,
        "said": "rude",
        "text": "look",
    }
    for body in ({"kind": "spam"}, {"kind": "spam", "user": "ann", "seq": 1}, {"kind": "dislike", "room": "r1"}):
        with pytest.raises(errors.BadMessage):
            await server.caller("eve", "viewer").call("POST", "/v1/reports", body)
    with pytest.raises(errors.NotFound):
        await server.caller("eve", "viewer").call("POST", "/v1/reports", {"kind": "spam", "room": "r1", "seq": 9})
    await server.operator.call("DELETE", f"/v1/reports/{made['id']}")


@pytest.mark.attack
async def test_a_ban_closes_the_sockets_and_new_tokens_are_no_way_back(server: Server) -> None:
    async with Client(server.url, server.token("ann")) as ann:
        await ann.join("r1")
        await server.operator.call("POST", "/v1/users/ann/ban", {"reason": "scam"})
        with pytest.raises((errors.TokenRevoked, ConnectionError)):
            async for _ in ann.events():
                pass
    later = issue(SECRET, "ann", "viewer", now=time.time() + 5, ttl=1000)  # within the leeway of clocks
    async with Client(server.url, later) as again:
        await again.join("r1")
        for say in (again.comment("r1", "hello"), again.share("r1"), again.like("r1"), again.send_gift("r1", "spark")):
            with pytest.raises(errors.Banned):
                await say
    assert (await server.operator.call("GET", "/v1/bans"))["users"] == ["ann"]
    await server.operator.call("POST", "/v1/users/ann/unban", {"reason": "a mistake"})
    async with Client(server.url, later) as free:
        assert await free.comment("r1", "hello")
        assert (await free.send_gift("r1", "spark"))["coins"] == 99


@pytest.mark.attack
async def test_an_anonymous_giver_is_blocked_and_reported_and_only_operators_learn_who_it_is(server: Server) -> None:
    host, told = server.caller("host", "creator"), []
    async with Client(server.url, server.token("ann")) as ann, Client(server.url, server.token("eve")) as eve:
        await eve.join("r1", lane="all")
        await ann.send_gift("r1", "spark", message="rude", anonymous=True)
        gift = await next_of(eve, "gift")
        shown = gift["user"]["id"]
        told.append(await host.call("PATCH", f"/v1/rooms/r1/people/{shown}", {"blocked": True, "mute": 5}))
        with pytest.raises(errors.Blocked):
            await ann.send_gift("r1", "spark", anonymous=True)
        assert (await ann.send_gift("r1", "spark"))["coins"] == 98
        assert await ann.comment("r1", "hello")
    told.append(await host.call("GET", "/v1/rooms/r1/people"))
    assert [person["user"] for person in (told[0], *told[1]["people"])] == [shown] * 2
    reporter = server.caller("eve", "viewer")
    ids = [
        (await reporter.call("POST", "/v1/reports", {"kind": "hate", "room": "r1", **subject}))["id"]
        for subject in ({"seq": gift["seq"]}, {"user": shown}, {"user": "ann"})
    ]
    assert len(set(ids)) == 3, "a report by name is not the same as one by pseudonym, which would tell that they are"
    reports = (await server.operator.call("GET", "/v1/reports"))["reports"]
    assert [(one["user"], one["real"]) for one in reports] == [(shown, "ann"), (shown, "ann"), ("ann", "")]
    assert "ann" not in str(told)
    for method, path, body in (
        ("PUT", f"/v1/rooms/r1/moderators/{shown}", None),
        ("PATCH", "/v1/rooms/r1/people/~ann", {"blocked": True}),
    ):
        with pytest.raises(errors.BadId):
            await host.call(method, path, body)
    with pytest.raises(errors.NotFound):
        await server.caller("other", "creator").call("PATCH", f"/v1/rooms/r2/people/{shown}", {"blocked": True})
    for about in ({"user": shown}, {"user": "~ann", "room": "r1"}):
        with pytest.raises(errors.BadMessage):
            await reporter.call("POST", "/v1/reports", {"kind": "hate", **about})
