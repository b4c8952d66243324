"""What happens in a room: likes, its end, presence, ranking, snapshot, log."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from redis.asyncio import Redis

from gifting.ledger.audit import audit
from gifting.ledger.commit import LIKE, PendingCommit
from gifting.ledger.commit_keys import room_spot
from gifting.model.events import encode_event
from gifting.model.money import MAX_AMOUNT
from gifting.model.packing import pack, unpack
from tests.support.world import STREAK, World, a_world


async def test_likes_are_folded(world: World) -> None:
    told: list[Any] = []
    for count in (1, 2, 3):
        world.ledger.free.like(world.room, count, told.append)
    await world.ledger.flush(5)
    assert [result.seq for result in told] == [1, 1, 1]
    assert (await world.told(lambda done: world.ledger.free.like(world.room, 4, done))).seq == 2
    log = await world.log()
    assert [(event["type"], event["count"], event["total"]) for event in log] == [
        ("like", 6, 6),
        ("like", 4, 10),
    ]


async def test_likes_stop_at_the_largest_number(world: World) -> None:
    event = encode_event("like", {"count": MAX_AMOUNT}, decided=1)
    spot = room_spot(world.room.base, world.room.id, world.room.host)
    like = PendingCommit(LIKE, None, spot, None, pack(("r1", "host", event, MAX_AMOUNT))[1:], print, 0.0)
    await world.raw_commit(like, like)
    assert [event["total"] for event in await world.log()] == [MAX_AMOUNT] * 2
    assert (await world.ledger.rooms.snapshot(world.room)).likes == MAX_AMOUNT


async def test_the_end_of_a_room(world: World) -> None:
    await world.send(gift="petal")
    await world.send()
    await world.ledger.rooms.presence(world.room, "node", 3)
    assert await world.ledger.rooms.live("start", "", 10) == (["r1"], "")
    await world.ledger.rooms.end(world.room)
    after = await world.state()
    await world.ledger.rooms.end(world.room)
    assert (await world.state()).keys() == after.keys()
    log = await world.log()
    assert [(event["type"], event.get("streak_id")) for event in log[2:]] == [
        ("gift", "r1.1"),
        ("gift", "r1.2"),
        ("stream_end", None),
    ]
    snapshot = await world.ledger.rooms.snapshot(world.room)
    assert (snapshot.state, snapshot.streaks, snapshot.seq) == ("ended", [], 5)
    assert await world.ledger.rooms.live("viewers", "", 10) == ([], "")
    world.clock[0] += STREAK + 1
    assert (await world.ledger.sweeper.sweep())[0] == 0
    for part in ("log", "top", "users", "presence"):
        assert await world.redis.pttl(f"{world.ledger.keys.room('host', 'r1')}/{part}") > 0
    assert await world.ledger.rooms.presence(world.room, "node", 3) == 0


@pytest.mark.parametrize("part", ["log", "streaks", "top", "users", "presence"])
async def test_no_room_id_reaches_into_another_room(world: World, part: str) -> None:
    """A creator chooses the id, of the characters that ids have."""
    for mark in "_.:@-":
        await world.ledger.rooms.open(f"r1{mark}{part}", "host", "Host", "")
    assert (await world.send()).seq == 1
    assert await world.ledger.rooms.presence(world.room, "node", 3) == 3
    await world.ledger.rooms.end(world.room)
    assert len(await world.log()) == 3


async def test_presence(world: World) -> None:
    presence = world.ledger.rooms.presence
    assert await presence(world.room, "a", 3) == 3
    assert await presence(world.room, "b", 4) == 7
    world.clock[0] += 15_000
    assert await presence(world.room, "a", 2) == 6
    world.clock[0] += 1
    assert (await world.ledger.rooms.snapshot(world.room)).viewers == 2
    assert await presence(world.room, "a", 0) == 0
    assert not await world.redis.exists(f"{world.ledger.keys.room('host', 'r1')}/presence")


async def test_the_ranking(world: World) -> None:
    await world.grant("bob", 10)
    await world.send(count=2)
    await world.send("bob", count=5)
    await world.send(count=1)
    top = await world.ledger.rooms.top(world.room, 5)
    assert [(row.user.id, row.coins) for row in top] == [("bob", 5), ("ann", 3)]
    assert await world.ledger.rooms.top(world.room, 1) == top[:1]
    assert (await world.ledger.rooms.snapshot(world.room)).top == top


async def test_a_new_ranking_is_told_once(world: World) -> None:
    await world.send()
    await world.send()
    batches = [batch async for batch in world.ledger.rooms.batches(world.room, 0)]
    assert [bool(batch.rank) for batch in batches] == [True, False]


@pytest.mark.one_redis("what one call of commit makes of several gifts")
async def test_a_snapshot_has_the_heaviest_streaks_of_many(world: World) -> None:
    for number in range(120):
        await world.grant(f"u{number}", 1000)
    await world.together(*({"user": f"u{number}", "count": number + 1} for number in range(120)))
    streaks = (await world.ledger.rooms.snapshot(world.room)).streaks
    assert [streak.repeat_count for streak in streaks] == list(range(120, 20, -1))
    assert {streak.count for streak in streaks} == {0}


async def test_the_log_is_trimmed_to_what_is_kept(redis_client: Redis, redis_url: str) -> None:
    async with a_world(redis_url, log_keep=100) as world:
        await world.grant("ann", 1000)
        for _ in range(500):
            await world.send()
        log = await world.log()
        assert 100 <= len(log) < 400
        assert [event["seq"] for event in log] == list(range(501 - len(log), 501))


@pytest.mark.one_redis("what one call of commit makes of several gifts")
async def test_replay_gives_what_came_after(world: World) -> None:
    for _ in range(3):
        await world.together({}, {}, {})
    for since in range(10):
        seqs = [
            entry.seq
            async for batch in world.ledger.rooms.batches(world.room, since, page=1)
            for entry in batch.entries()
        ]
        assert seqs == list(range(since + 1, 10))


async def test_what_a_call_logs_is_cut_into_batches_of_a_bounded_size(redis_client: Redis, redis_url: str) -> None:
    """One call of 512 gifts with long messages; each batch has the totals after it, and the audit reads them all."""
    async with a_world(redis_url) as world:
        await world.grant("ann", 1_000_000)
        message = "\N{GRINNING FACE}" * 200
        for gift in ("spark", "skateboard") * 256:
            world.ledger.gifts.submit(world.sender("ann"), world.room, gift, world.key(), 1, message, lambda _: None)
        await world.ledger.batcher.drain()
        assert world.ledger.batcher.counts.batches == 1
        log = world.ledger.keys.log("host", "r1")
        sizes = [len(fields[b"b"]) for _, fields in await world.redis.xrange(log)]
        assert len(sizes) > 5
        assert max(sizes) < 65_536 + 20_000
        batches = [batch async for batch in world.ledger.rooms.batches(world.room, 0)]
        assert [bool(batch.rank) for batch in batches] == [False] * (len(batches) - 1) + [True]
        assert [entry.seq for batch in batches for entry in batch.entries()] == list(range(1, 513))
        for batch, following in itertools.pairwise(batches):
            spent = sum(unpack(following.events[entry.start : entry.end])["coins"] for entry in following.entries())
            assert following.totals.coins - batch.totals.coins == spent
        report = await audit(world.redis, world.ledger.keys)
        assert not report.problems


@pytest.mark.parametrize("size", [1, 100_000, 10**9])
async def test_a_page_of_the_log_has_a_size(redis_client: Redis, redis_url: str, size: int) -> None:
    async with a_world(redis_url) as world:
        await world.grant("ann", 1_000_000)
        for _ in range(3):
            for _ in range(200):
                key, text = world.key(), "x" * 200
                world.ledger.gifts.submit(world.sender("ann"), world.room, "spark", key, 1, text, lambda _: None)
            await world.ledger.batcher.drain()
        page = await world.ledger.rooms.replay(world.room, 150, size)
        assert page[0].first <= 151 <= page[0].last
        assert sum(len(batch.events) for batch in page[:-1]) < size
        assert sum(len(batch.events) for batch in page) < size + 66_000
        if size == 10**9:
            assert page[-1].last == 600
        assert await world.ledger.rooms.replay(world.room, 600, size) == []


@pytest.mark.one_redis("its feed is tried in test_cluster_feed.py")
async def test_batches_are_published_as_they_are_logged(world: World) -> None:
    async with world.redis.pubsub() as channel:
        await channel.ssubscribe(f"{world.room.base}:events")
        await world.together({}, {})
        async with asyncio.timeout(10):
            async for message in channel.listen():
                if message["type"] == "smessage":
                    break
    ((_, fields),) = await world.redis.xrange(world.ledger.keys.log("host", "r1"))
    assert message["data"] == fields[b"b"]
