"""Streaks: how long they last, and that each ends once."""

from __future__ import annotations

import asyncio

import pytest

from gifting.ledger.ledger import Ledger
from gifting.ledger.sweep import SWEEP_MAX
from gifting.model.catalog import load_catalog
from gifting.model.values import Result
from tests.support.world import STREAK, World


async def test_a_streak_lasts_its_window_exactly(world: World) -> None:
    await world.send(count=2)
    world.clock[0] += STREAK
    assert (await world.send()).repeat_count == 3
    world.clock[0] += STREAK + 1
    assert await world.send() == Result(False, 4, 996, 1, 4)
    log = await world.log()
    assert [(event["streak_id"], event["repeat_count"], event["repeat_end"]) for event in log] == [
        ("r1.1", 2, False),
        ("r1.1", 3, False),
        ("r1.1", 3, True),
        ("r1.4", 1, False),
    ]
    assert (log[2]["count"], log[2]["coins"], log[2]["diamonds"], log[2]["message"]) == (0, 0, 0, None)


async def test_a_clock_that_goes_back_shortens_no_streak(world: World) -> None:
    await world.send()
    world.clock[0] -= 2000
    await world.send()
    world.clock[0] += 2000 + STREAK
    assert (await world.ledger.sweeper.sweep())[0] == 0
    assert (await world.send()).repeat_count == 3


@pytest.mark.one_redis("what one call of commit makes of several gifts")
async def test_a_streak_ends_and_begins_in_one_call(world: World) -> None:
    await world.send()
    world.clock[0] += STREAK + 1
    results = await world.together({"count": 2}, {"count": 3})
    assert [(result.seq, result.repeat_count, result.streak) for result in results] == [(3, 2, 3), (4, 5, 3)]
    assert [event["repeat_end"] for event in await world.log()] == [False, True, False, False]
    (streak,) = (await world.ledger.rooms.snapshot(world.room)).streaks
    assert (streak.streak_id, streak.repeat_count) == ("r1.3", 5)
    world.clock[0] += STREAK
    assert (await world.ledger.sweeper.sweep())[0] == 0
    world.clock[0] += 1
    assert (await world.ledger.sweeper.sweep())[0] == 1


async def test_a_gift_that_is_not_streakable_is_whole(world: World) -> None:
    dear = next(gift for gift in world.ledger.catalog if not gift.streakable and gift.coins <= 500)
    await world.send(gift=dear.id, count=2)
    await world.send(gift=dear.id)
    log = await world.log()
    assert [(event["repeat_count"], event["repeat_end"], event["streak_id"]) for event in log] == [
        (2, True, "r1.1"),
        (1, True, "r1.2"),
    ]


@pytest.mark.one_redis("what one call of commit makes of several gifts")
async def test_many_sweepers_end_each_streak_once(world: World, redis_url: str) -> None:
    people = [f"u{number}" for number in range(SWEEP_MAX + 50)]
    for person in people:
        await world.grant(person, 1)
    await world.together(*({"user": person} for person in people))
    world.clock[0] += STREAK + 1
    others = [Ledger(redis_url, world.ledger.settings, load_catalog(), now=lambda: str(world.clock[0])) for _ in "abc"]
    ended = await asyncio.gather(*(ledger.sweeper.sweep() for ledger in (world.ledger, *others)))
    for ledger in others:
        await ledger.stop()
    assert sum(count for count, _ in ended) == len(people)
    log = await world.log()
    assert [event["seq"] for event in log] == list(range(1, 2 * len(people) + 1))
    ends = [event["streak_id"] for event in log if event["repeat_end"]]
    assert len(ends) == len(set(ends)) == len(people)


async def test_a_deadline_without_its_streak_is_forgotten(world: World) -> None:
    """A script that broke off may have left one; it would be due for ever."""
    deadlines = world.ledger.keys.deadlines(world.base("host"))
    await world.redis.zadd(deadlines, {"r1\nann\nspark": world.clock[0] - 1, "gone\nann\nspark": world.clock[0] - 1})
    await world.ledger.sweeper.sweep()
    assert await world.redis.zcard(deadlines) == 0
    assert await world.log() == []


async def test_sweep_says_when_the_next_is_due(world: World) -> None:
    assert await world.ledger.sweeper.sweep() == (0, STREAK / 1000)
    await world.send()
    world.clock[0] += 1000
    assert await world.ledger.sweeper.sweep() == (0, 2.001)
    world.clock[0] += 2001
    assert await world.ledger.sweeper.sweep() == (1, STREAK / 1000)
