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
from gifting.model.house import Person, PersonChange, RulesChange
from gifting.model.pseudonym import profile, pseudonym
from gifting.model.values import Result, RoomRef
from tests.support.world import STREAK, World, a_world


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url) as world:
        await world.grant("ann", 100)
        yield world


async def give(
    world: World,
    user: str = "ann",
    room: RoomRef | None = None,
    key: str = "",
    count: int = 1,
    message: str | None = None,
) -> Result:
    room = room or world.room
    sender = world.ledger.gifts.masked(world.sender(user), room)
    return await world.ledger.gifts.send(sender, room, "spark", key or world.key(), count, message)


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
    [users] = await world.redis.keys("*:room:r1/users")
    room = [await world.redis.dump(key) for key in await world.redis.keys("*:room:*") if key != users]
    assert not any(b"ann" in (dump or b"") for dump in room)
    found = await world.redis.hgetall(users)
    assert found.pop(f"={shown(world)}".encode()) == b"ann", "which no user's id is, so that no ranking asks for it"
    assert list(found) == [shown(world).encode()]
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
        await world.redis.rename(top, top + b"/old")
        await world.redis.zadd(top, {other: 1})
        await world.redis.delete(top + b"/old")
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


async def decide(world: World, person: str, room: RoomRef | None = None, by: str = "", **changes: Any) -> Person:
    return await world.ledger.people.decide(room or world.room, person, PersonChange(**changes), by)


async def people(world: World) -> list[Person]:
    found, cursor = await world.ledger.people.page(world.room, 0, 100)
    assert cursor == 0
    return found


async def test_who_is_blocked_by_a_pseudonym_gives_to_this_host_by_name_only(world: World) -> None:
    """In all rooms of the host, by whatever pseudonym; and what is told of it has nothing but the pseudonym."""
    other = await world.ledger.rooms.open("r2", "host", "Host", "")
    elsewhere = await world.ledger.rooms.open("r3", "zoe", "Zoe", "")
    await world.grant("bob", 10)
    await give(world)
    await give(world, "bob")
    assert await decide(world, shown(world), blocked=True) == Person(shown(world), True, 0, False)
    before = await world.state()
    for room in (world.room, other):
        with pytest.raises(errors.Blocked):
            await give(world, room=room)
    after = await world.state()
    assert {name for name in after if after[name] != before.get(name)} <= {n for n in after if b":keys" in n}
    assert (await world.send()).coins == 98
    assert (await give(world, "bob")).coins == 8
    assert (await give(world, room=elsewhere)).coins == 97
    assert await people(world) == [Person(shown(world), True, 0, False)]
    assert await decide(world, shown(world), other, blocked=False) == Person(shown(world), False, 0, False)
    assert await people(world) == []
    assert (await give(world)).coins == 96


async def test_neither_decision_tells_of_the_other(world: World) -> None:
    """By name and by pseudonym: what the host is told of one is the same whatever the other is."""
    await give(world)
    await decide(world, shown(world), blocked=True, mute=60_000)
    assert await decide(world, "ann") == Person("ann", False, 0, False)
    assert await decide(world, "ann", moderator=True) == Person("ann", False, 0, True)
    assert (await world.ledger.people.find(world.room, "ann")).moderator
    masked = Person(shown(world), True, world.clock[0] + 60_000, False)
    assert await decide(world, shown(world)) == masked
    assert await decide(world, "ann", blocked=True) == Person("ann", True, 0, False)
    assert await decide(world, "ann", blocked=False) == Person("ann", False, 0, False)
    assert await people(world) == [masked]
    with pytest.raises(errors.Blocked):
        await give(world)


async def test_a_block_by_name_holds_without_one(world: World) -> None:
    await give(world)
    await decide(world, "ann", blocked=True)
    with pytest.raises(errors.Blocked):
        await give(world)
    assert await decide(world, shown(world)) == Person(shown(world), False, 0, False)


async def test_who_is_muted_by_a_pseudonym_gives_without_words(world: World) -> None:
    await give(world, message="rude")
    muted = await decide(world, shown(world), mute=60_000)
    with pytest.raises(errors.Muted) as refused:
        await give(world, message="rude again")
    assert refused.value.until == muted.muted_until == world.clock[0] + 60_000
    assert (await give(world)).coins == 98
    assert (await world.send(message="by name")).coins == 97
    world.clock[0] += 60_000
    assert (await give(world, message="sorry")).coins == 96


async def test_a_pseudonym_that_nobody_gave_under_is_nobody(world: World) -> None:
    other = await world.ledger.rooms.open("r2", "zoe", "Zoe", "")
    await give(world)
    for name, room in ((shown(world, "bob"), world.room), (shown(world), other), ("~" + "0" * 16, world.room)):
        with pytest.raises(errors.NotFound):
            await decide(world, name, room, blocked=True)
    assert await people(world) == []


async def test_a_moderator_decides_by_pseudonym_even_about_one(world: World) -> None:
    """Else the refusal would tell that it is one."""
    await decide(world, "ann", moderator=True)
    await decide(world, "cat", moderator=True)
    await give(world)
    with pytest.raises(errors.Forbidden):
        await decide(world, "ann", by="cat", blocked=True)
    assert (await decide(world, shown(world), by="cat", blocked=True)).blocked
    with pytest.raises(errors.Forbidden):
        await decide(world, shown(world), by="bob", blocked=True)


async def test_what_is_held_of_who_is_blocked_by_name_does_not_tell_who_said_it(world: World) -> None:
    masked = world.ledger.gifts.masked(world.sender("ann"), world.room)
    for sender in (masked, world.sender("ann")):
        await world.ledger.held.hold(world.room, sender, "free coins", "free_coins", 30)
    await decide(world, "ann", blocked=True)
    by_mask, by_name = await world.ledger.held.of_room(world.room)
    assert (by_mask.user.id, by_name.user.id) == (shown(world), "ann")
    assert await world.ledger.held.decide(world.room, by_mask.id, post=True) > 0
    with pytest.raises(errors.Blocked):
        await world.ledger.held.decide(world.room, by_name.id, post=True)


async def test_in_one_call_a_block_by_pseudonym_is_of_the_anonymous_gift_alone(world: World) -> None:
    await give(world)
    await decide(world, shown(world), blocked=True)
    await world.ledger.people.set_rules(world.room, RulesChange(max_gift=100))  # so that the house is asked
    gifts = world.ledger.gifts
    told: list[list[Any]] = [[], [], []]
    named = world.sender("ann")
    for sender, one in zip(
        (gifts.masked(named, world.room), named, gifts.masked(named, world.room)), told, strict=True
    ):
        gifts.submit(sender, world.room, "spark", world.key(), 1, None, one.append)
    await world.ledger.batcher.drain()
    assert [type(one) for (one,) in told] == [errors.Blocked, Result, errors.Blocked]
