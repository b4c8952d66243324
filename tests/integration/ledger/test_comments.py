"""What was said is removed: no log, no replay and no page shows it again; the audit still finds its books whole."""

from __future__ import annotations

from typing import Any

import pytest

from gifting import errors
from gifting.ledger import held
from gifting.ledger.audit import audit
from gifting.ledger.held import HELD_FOR, HELD_OF_USER
from gifting.model.events import encode_post
from gifting.model.house import PersonChange, RulesChange
from gifting.model.values import RoomRef
from tests.support.world import START, World


async def say(world: World, user: str, text: str) -> int:
    event = encode_post("comment", world.sender(user).user, text)
    result = await world.told(lambda done: world.ledger.free.post(world.room, event, done, user=user, spoken=True))
    return int(result.seq)


async def seen(world: World, room: RoomRef | None = None) -> list[dict[str, Any]]:
    return [
        {name: event[name] for name in ("type", "seq", "text", "message", "comment_seq", "comment_id") if name in event}
        for event in await world.log(room)
    ]


async def test_a_comment_is_removed_and_that_is_told(world: World) -> None:
    await say(world, "ann", "hello")
    seq = await say(world, "bob", "rude")
    await world.ledger.comments.remove(world.room, seq)
    assert await seen(world) == [
        {"type": "comment", "seq": 1, "text": "hello"},
        {"type": "comment", "seq": 2, "text": ""},
        {"type": "comment_removed", "seq": 3, "comment_id": "r1.2", "comment_seq": 2},
    ]
    assert (await world.log())[2]["ts"] == START
    state = await world.state()
    await world.ledger.comments.remove(world.room, seq)
    assert await world.state() == state


async def test_what_was_said_with_a_gift_is_removed_and_the_gift_stays(world: World) -> None:
    await world.send(message="rude")
    await world.ledger.comments.remove(world.room, 1)
    gift, removed = await world.log()
    assert (gift["message"], gift["coins"], gift["count"], removed["comment_seq"]) == (None, 1, 1, 1)
    assert (await audit(world.ledger.redis, world.ledger.keys)).problems == []


async def test_what_says_nothing_can_not_be_removed(world: World) -> None:
    await world.send()
    before = await world.state()
    for seq in (1, 2, 100):
        with pytest.raises(errors.NotFound):
            await world.ledger.comments.remove(world.room, seq)
    assert await world.state() == before


async def test_a_comment_is_removed_after_the_stream(world: World) -> None:
    seq = await say(world, "bob", "rude")
    await world.ledger.rooms.end(world.room)
    await world.ledger.comments.remove(world.room, seq)
    assert [(event["type"], event.get("text")) for event in await world.log()] == [
        ("comment", ""),
        ("stream_end", None),
    ]
    removed = await world.redis.pttl(f"{world.room.base}:room:r1/removed")
    assert 0 <= removed - await world.redis.pttl(world.ledger.keys.log("host", "r1")) < 60_000


@pytest.mark.attack
async def test_only_moderators_of_this_host_remove_and_not_the_hosts_words(world: World) -> None:
    seq, hosts = await say(world, "bob", "rude"), await say(world, "host", "welcome")
    neighbour = next(name for name in map("zoe{}".format, range(999)) if world.base(name) == world.base("host"))
    other = await world.ledger.rooms.open("r2", neighbour, "Zoe", "")
    await world.ledger.people.decide(other, "mod", PersonChange(moderator=True))
    before = await world.state()
    with pytest.raises(errors.RoomNotFound):
        await world.ledger.comments.remove(world.room._replace(host=neighbour), seq)
    for by in ("bob", "mod"):
        with pytest.raises(errors.Forbidden):
            await world.ledger.comments.remove(world.room, seq, by)
    assert await world.state() == before
    await world.ledger.people.decide(world.room, "mod", PersonChange(moderator=True))
    with pytest.raises(errors.Forbidden):
        await world.ledger.comments.remove(world.room, hosts, "mod")
    await world.ledger.comments.remove(world.room, seq, "mod")
    await world.ledger.comments.remove(world.room, hosts)


async def test_what_the_log_has_no_longer_is_forgotten(world: World) -> None:
    """What is remembered of removals is bounded by the log."""
    removed = f"{world.room.base}:room:r1/removed"
    await world.ledger.comments.remove(world.room, await say(world, "bob", "rude"))
    log = world.ledger.keys.log("host", "r1")
    await say(world, "bob", "ruder")
    await world.redis.xtrim(log, minid="3-0", approximate=False)
    await world.ledger.comments.remove(world.room, 3)
    assert await world.redis.zrange(removed, 0, -1) == [b"3"]


# Held.


async def hold(world: World, user: str, text: str = "see example.com", age: int = 30) -> None:
    await world.ledger.held.hold(world.room, world.sender(user), text, "link", age)


async def texts(world: World, room: RoomRef | None = None) -> list[str]:
    return [held.text for held in await world.ledger.held.of_room(room or world.room)]


async def test_what_is_held_is_posted_as_its_authors_or_dropped(world: World) -> None:
    await hold(world, "ann", "one")
    world.clock[0] += 5
    await hold(world, "bob", "two")
    first, second = await world.ledger.held.of_room(world.room)
    assert (first.user.id, first.text, first.why, first.ts) == ("ann", "one", "link", START)
    assert second.ts == START + 5
    assert await seen(world) == []
    assert await world.ledger.held.decide(world.room, first.id, post=True) == 1
    assert await world.ledger.held.decide(world.room, second.id, post=False) == 0
    (event,) = await world.log()
    assert (event["user"], event["text"], event["ts"]) == (
        {"id": "ann", "name": "ann", "picture": "", "level": 1},
        "one",
        START + 5,
    )
    assert await texts(world) == []
    for post in (True, False):
        with pytest.raises(errors.NotFound):
            await world.ledger.held.decide(world.room, first.id, post=post)


async def test_who_may_not_comment_is_not_held(world: World) -> None:
    people = world.ledger.people
    await people.decide(world.room, "ann", PersonChange(blocked=True))
    await people.decide(world.room, "bob", PersonChange(mute=1000))
    await people.set_rules(world.room, RulesChange(slow_mode=5, min_age=18))
    before = await world.state()
    for user, age, error in (("ann", 30, errors.Blocked), ("bob", 30, errors.Muted), ("cat", 17, errors.RoomAge)):
        with pytest.raises(error):
            await hold(world, user, age=age)
    assert await world.state() == before
    await hold(world, "cat")
    with pytest.raises(errors.SlowMode):
        await hold(world, "cat")
    await world.ledger.rooms.end(world.room)
    with pytest.raises(errors.RoomEnded):
        await hold(world, "dan")


@pytest.mark.attack
async def test_what_is_held_is_bounded_for_each_and_for_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who floods the list loses its own, and a day later nothing is left of it."""
    await hold(world, "bob", "of bob")
    for number in range(HELD_OF_USER + 3):
        await hold(world, "ann", f"{number}")
    assert await texts(world) == ["of bob", "3", "4", "5", "6", "7"]
    monkeypatch.setattr(held, "HELD_MAX", 4)
    await hold(world, "cat", "of cat")
    assert await texts(world) == ["5", "6", "7", "of cat"]
    world.clock[0] += HELD_FOR + 1
    assert await texts(world) == []
    await hold(world, "dan", "of dan")
    assert await world.redis.xlen(f"{world.room.base}:held:host") == 1


async def test_a_clock_that_goes_back_holds_all_the_same(world: World) -> None:
    await hold(world, "ann", "later")
    world.clock[0] -= 10_000
    await hold(world, "bob", "earlier")
    assert await texts(world) == ["later", "earlier"]


@pytest.mark.attack
async def test_nobody_decides_about_their_own_or_those_of_another_host(world: World) -> None:
    other = await world.ledger.rooms.open("r2", "zoe", "Zoe", "")
    second = await world.ledger.rooms.open("r3", "host", "Host", "")
    for room in (world.room, other):
        await world.ledger.people.decide(room, "mod", PersonChange(moderator=True))
    await hold(world, "mod")
    (mine,) = await world.ledger.held.of_room(world.room)
    assert await texts(world, second) == []
    before = await world.state()
    for room, by, error in (
        (world.room, "mod", errors.Forbidden),
        (world.room, "bob", errors.Forbidden),
        (other, "mod", errors.NotFound),
        (second, "", errors.NotFound),
    ):
        with pytest.raises(error):
            await world.ledger.held.decide(room, mine.id, by, post=True)
    assert await world.state() == before
    assert await world.ledger.held.decide(world.room, mine.id, post=True) == 1


async def test_what_can_not_be_posted_stays_held(world: World) -> None:
    await hold(world, "ann")
    (one,) = await world.ledger.held.of_room(world.room)
    await world.ledger.people.decide(world.room, "ann", PersonChange(blocked=True))
    with pytest.raises(errors.Blocked):
        await world.ledger.held.decide(world.room, one.id, post=True)
    await world.ledger.people.decide(world.room, "ann", PersonChange(blocked=False))
    await world.ledger.rooms.end(world.room)
    with pytest.raises(errors.RoomEnded):
        await world.ledger.held.decide(world.room, one.id, post=True)
    assert await world.ledger.held.decide(world.room, one.id, post=False) == 0
