"""Anonymous gifts: the room knows a pseudonym, the ledger knows the user, and all rules hold for the user."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import to_builtins
from redis.asyncio import Redis

from gifting import errors
from gifting.ledger.audit import audit
from gifting.ledger.entries import Credit, Debit
from gifting.ledger.stream import Span, read_ledger
from gifting.model.pseudonym import profile, pseudonym
from gifting.model.values import Result, RoomRef
from tests.support.world import STREAK, World, a_world


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url) as world:
        await world.grant("ann", 100)
        yield world


async def give(world: World, user: str = "ann", room: RoomRef | None = None, key: str = "", count: int = 1) -> Result:
    room = room or world.room
    sender = world.ledger.gifts.masked(world.sender(user), room)
    return await world.ledger.gifts.send(sender, room, "spark", key or world.key(), count)


def shown(world: World, user: str = "ann", room: str = "r1") -> str:
    return pseudonym(world.ledger.meta.salt, room, user)


async def test_the_room_sees_a_pseudonym_wherever_it_looks(world: World) -> None:
    await give(world, count=3)
    await give(world)
    snapshot = to_builtins(await world.ledger.rooms.snapshot(world.room))
    seen = profile(shown(world))
    assert snapshot["top"] == [{"user": seen, "coins": 4}]
    assert [(one["user"], one["repeat_count"]) for one in snapshot["streaks"]] == [(seen, 4)]
    world.clock[0] += STREAK + 1
    await world.ledger.sweeper.sweep()
    log = await world.log()
    assert [(event["user"], event["repeat_count"], event["repeat_end"]) for event in log] == [
        (seen, 3, False),
        (seen, 4, False),
        (seen, 4, True),
    ]
    room = [await world.redis.dump(key) for key in await world.redis.keys("*:room:*")]
    assert not any(b"ann" in (dump or b"") for dump in room)
    assert "ann" not in json.dumps([log, snapshot])


async def test_the_ledger_has_the_user_and_the_audit_agrees(world: World) -> None:
    await give(world)
    await world.send()
    await give(world)
    entries: list[Any] = []
    spans = {base: Span() for base in world.ledger.keys.bases}
    async for _, _, entry in read_ledger(world.redis, spans, broken=lambda *why: pytest.fail(str(why))):
        entries.append(entry)
    assert [entry.user for entry in entries if isinstance(entry, Debit | Credit)] == ["ann"] * 6
    report = await audit(world.redis, world.ledger.keys)
    assert report.problems == []
    snapshot = await world.ledger.rooms.snapshot(world.room)
    assert {one.user.id: one.coins for one in snapshot.top} == {"ann": 1, shown(world): 2}


@pytest.mark.parametrize(
    ("part", "cause"), [("top", "ranking_differs"), ("coins", "ranking_differs"), ("event", "event_differs")]
)
async def test_the_audit_sees_what_somebody_changed_under_a_pseudonym(world: World, part: str, cause: str) -> None:
    await give(world)
    other = shown(world, "bob")
    [top] = await world.redis.keys("*:room:r1/top")
    [log] = await world.redis.keys("*:room:r1/log")
    if part == "top":
        await world.redis.rename(top, "old")
        await world.redis.zadd(top, {other: 1})
        await world.redis.delete("old")
    elif part == "coins":
        await world.redis.zincrby(top, 1, shown(world))
    else:
        [(item, fields)] = await world.redis.xrange(log)
        await world.redis.delete(log)
        changed = {name: value.replace(shown(world).encode(), other.encode()) for name, value in fields.items()}
        await world.redis.xadd(log, changed, id=item)
    report = await audit(world.redis, world.ledger.keys)
    assert cause in {problem.name for problem in report.problems}


async def test_another_room_another_pseudonym_and_another_streak(world: World) -> None:
    other = await world.ledger.rooms.open("r2", "host2", "Host", "Another")
    assert (await give(world)).repeat_count == 1
    assert (await world.send()).repeat_count == 1, "the open and the anonymous are two"
    assert (await give(world)).repeat_count == 2
    assert (await give(world, room=other)).repeat_count == 1
    names = [event["user"]["id"] for event in [*await world.log(), *await world.log(other)]]
    assert names == [shown(world), "ann", shown(world), shown(world, room="r2")]


async def test_what_holds_for_the_user_holds_under_a_pseudonym(world: World) -> None:
    with pytest.raises(errors.OwnRoom):
        await give(world, "host")
    with pytest.raises(errors.InsufficientCoins):
        await give(world, count=101)
    key = world.key()
    first = await give(world, key=key)
    assert (await give(world, key=key)) == Result(True, first.seq, first.coins, 1, first.streak)
    with pytest.raises(errors.KeyReused):
        await world.send(key=key)
    assert (await world.ledger.wallets.read("ann")).coins == 99
