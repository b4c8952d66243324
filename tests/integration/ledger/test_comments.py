"""What was said is removed: no log, no replay and no page shows it again; the audit still finds its books whole."""

from __future__ import annotations

from typing import Any

import pytest

from gifting import errors
from gifting.ledger.audit import audit
from gifting.model.events import encode_post
from gifting.model.house import PersonChange
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
    other = await world.ledger.rooms.open("r2", "zoe", "Zoe", "")
    await world.ledger.people.decide(other, "mod", PersonChange(moderator=True))
    before = await world.state()
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
