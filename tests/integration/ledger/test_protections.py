"""What protects a user is changed by many at once, and counts from the reply on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from gifting import errors
from gifting.ledger import protections, spending
from gifting.ledger.entries import AccountChange
from gifting.ledger.notices import Notice, read_notice
from gifting.ledger.stream import Span, read_ledger
from gifting.model.calendar import DAY_MS, HOUR_MS
from gifting.model.events import ReminderEvent
from gifting.model.limits import ask, pause
from gifting.model.protection import NOTHING, UNLIMITED, Protection, read_protection, write_protection
from gifting.model.purchase_limits import move
from gifting.model.values import Result
from gifting.model.windows import spent_in
from tests.support.world import World, a_world

WHY = {"what": "limits", "value": "a test", "by": "ann"}


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url) as made:
        await made.grant("ann", 100_000)
        yield made


async def limit(world: World, **limits: int) -> Protection:
    wanted = {f"gifts.{window}": coins for window, coins in limits.items()}
    return await world.ledger.protections.change("ann", lambda record, now: ask(record, wanted, now), **WHY)


async def changes(world: World) -> list[AccountChange]:
    reading = read_ledger(world.ledger.redis, {world.base("ann"): Span()})
    return [entry async for _, _, entry in reading if isinstance(entry, AccountChange)]


async def test_what_is_set_is_read_and_entered_in_the_ledger(world: World) -> None:
    assert await world.ledger.protections.read("ann") != NOTHING, "its calendar windows run"
    record = await limit(world, h24=10, day=20)
    assert record.limits == {"h24": 10, "day": 20}
    assert await world.ledger.protections.read("ann") == record
    (entry,) = await changes(world)
    assert (entry.user, entry.what, entry.value, entry.by, entry.ts) == (
        "ann",
        "limits",
        "a test",
        "ann",
        world.clock[0],
    )


async def test_what_changes_nothing_is_not_entered(world: World) -> None:
    await limit(world, h24=10)
    before = await world.state()
    await limit(world, h24=10)
    assert await world.state() == before


async def test_a_limit_counts_from_its_reply_on_and_a_raise_after_a_day(world: World) -> None:
    await limit(world, d7=10)
    await world.send(count=10)
    with pytest.raises(errors.SpendingLimit):
        await world.send()
    await limit(world, d7=20)
    with pytest.raises(errors.SpendingLimit):
        await world.send()
    world.clock[0] += DAY_MS
    with pytest.raises(errors.SpendingLimit):
        await world.send()
    assert (await limit(world, d7=20)).limits == {"d7": 20}
    await world.send(count=10)
    with pytest.raises(errors.SpendingLimit):
        await world.send()


async def test_what_was_spent_stays_whatever_is_set(world: World) -> None:
    """Also what was spent after a record was read, and before it is written."""
    accounts = world.ledger.accounts
    for hour in range(3):
        await world.send(count=5)
        stored = (await accounts.read("ann")).record
        await world.send(count=2)
        record = move(read_protection(stored), "Asia/Kolkata" if hour % 2 else "America/New_York", world.clock[0])
        await accounts.put("ann", write_protection(record), **WHY)
        found = await world.ledger.protections.read("ann")
        assert [spent_in(found, window, world.clock[0]) for window in ("h24", "d30", "week")] == [7 * (hour + 1)] * 3
        world.clock[0] += HOUR_MS


async def test_who_moves_as_the_day_ends_gets_no_third_allowance(world: World) -> None:
    """The record is read before midnight and written after it, when the next day has begun by the older zone."""
    accounts = world.ledger.accounts
    await limit(world, day=10)
    midnight = (world.clock[0] // DAY_MS + 1) * DAY_MS
    world.clock[0] = midnight - 1
    await world.send(count=10)
    stored = read_protection((await accounts.read("ann")).record)
    world.clock[0] = midnight
    await world.send(count=1)
    await accounts.put("ann", write_protection(move(stored, "Etc/GMT+3", midnight - 1)), **WHY)
    await world.send(count=9)
    for hours in (23, 24, 26):
        world.clock[0] = midnight + hours * HOUR_MS
        with pytest.raises(errors.SpendingLimit):
            await world.send()
    world.clock[0] = midnight + 27 * HOUR_MS
    await world.send(count=10)


async def test_many_changes_at_once_are_all_made(world: World) -> None:
    names = [f"{group}.{window}" for group in ("gifts", "purchases") for window in ("h24", "d7", "d30", "day", "week")]

    async def change(what: str) -> None:
        await world.ledger.protections.change("ann", lambda record, now: ask(record, {what: 5}, now), **WHY)

    await asyncio.gather(*map(change, names))
    record = await world.ledger.protections.read("ann")
    assert record.limits == record.purchases == dict.fromkeys(("h24", "d7", "d30", "day", "week"), 5)
    assert len(await changes(world)) == len(names)


async def test_who_is_always_overtaken_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protections, "TRIES", 3)
    tries = 0

    def rule(record: Protection, now: int) -> Protection:
        nonlocal tries
        tries += 1
        return pause(record, now + tries)

    async def overtaken(*_: Any, **__: Any) -> int:
        raise errors.Conflict

    monkeypatch.setattr(world.ledger.accounts, "put", overtaken)
    before = await world.state()
    with pytest.raises(errors.Conflict):
        await world.ledger.protections.change("ann", rule, **WHY)
    assert tries == 3
    assert await world.state() == before


async def test_a_limit_that_is_lowered_amid_a_load_on_two_nodes_holds_from_its_reply_on(
    world: World, redis_url: str
) -> None:
    async with a_world(redis_url) as other:
        other.clock, worlds = world.clock, (world, other)
        await limit(world, h24=200)

        async def gift(number: int) -> Result | errors.GiftingError:
            try:
                return await worlds[number % 2].send(count=3, key=world.key())
            except errors.SpendingLimit as error:
                return error

        early = [asyncio.create_task(gift(number)) for number in range(50)]
        lowered = await limit(other, h24=100)
        late = await asyncio.gather(*map(gift, range(50)))
        outcomes = [*await asyncio.gather(*early), *late]
        taken = sum(3 for outcome in outcomes if isinstance(outcome, Result))
        assert lowered.limits == {"h24": 100}
        assert 99 <= taken <= 150, "what was sent before the reply may have gone by the older limit"
        assert taken == 99 or not any(isinstance(outcome, Result) for outcome in late)
        with pytest.raises(errors.SpendingLimit):
            await other.send(count=2, key=world.key())


async def test_fifty_gifts_on_two_nodes_do_not_pass_a_limit_by_a_coin(world: World, redis_url: str) -> None:
    async with a_world(redis_url) as other:
        await limit(world, month=100)
        worlds = (world, other)
        sent = [worlds[number % 2].send(count=3, key=world.key()) for number in range(50)]
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
        assert sum(isinstance(outcome, Result) for outcome in outcomes) == 33
        assert all(isinstance(outcome, Result | errors.SpendingLimit) for outcome in outcomes)
        assert spent_in(await world.ledger.protections.read("ann"), "month", world.clock[0]) == 99


async def test_what_is_on_record_tells_on_what_it_was_spent(world: World) -> None:
    await world.grant("bob", 100)
    second = await world.ledger.rooms.open("r2", "other", "Other", "")
    began = world.clock[0]
    await world.send(count=5)
    await world.send("bob", count=50)
    world.clock[0] += HOUR_MS
    await world.send(gift="crown", count=2, room=second)
    crown = world.ledger.catalog["crown"].coins
    found = await world.ledger.spending.read("ann", 0)
    assert found.since == 0
    assert found.coins == 5 + 2 * crown
    assert sorted(found.rooms) == sorted([("r1", 5, 5), ("r2", 2 * crown, 2)])
    assert sorted(found.creators) == sorted([("host", 5, 5), ("other", 2 * crown, 2)])
    assert sorted(found.gifts) == sorted([("spark", 5, 5), ("crown", 2 * crown, 2)])
    assert [one.coins for one in found.rooms] == sorted([5, 2 * crown], reverse=True)
    later = await world.ledger.spending.read("ann", began + 1)
    assert (later.coins, later.rooms) == (2 * crown, [("r2", 2 * crown, 2)])
    assert (await world.ledger.spending.read("nobody", 0)).coins == 0


@pytest.mark.one_redis("what one call of commit makes of several gifts")
async def test_what_others_spend_in_the_same_call_is_theirs(world: World) -> None:
    near = next(f"ann{number}" for number in range(1000) if world.base(f"ann{number}") == world.base("ann"))
    await world.grant(near, 100)
    await world.together({"count": 3}, {"user": near, "count": 50})
    assert [(await world.ledger.spending.read(user, 0)).coins for user in ("ann", near)] == [3, 50]


async def a_new_ms() -> int:
    """In which nothing has been written yet."""
    begun = time.time_ns() // 1_000_000
    while (now := time.time_ns() // 1_000_000) == begun:
        await asyncio.sleep(0)
    return now


@pytest.mark.parametrize(("bound", "most"), [("READ_MAX", 400), ("ENTRIES_MAX", 3)])
async def test_what_is_too_much_to_read_is_complete_from_a_later_time_on(
    world: World, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    monkeypatch.setattr(spending, bound, most)
    times = []
    for number in range(12):
        world.clock[0] = await a_new_ms()  # by which Redis names items, too: answers are cut between two
        times.append(world.clock[0])
        await world.send(count=number + 1)
    found = await world.ledger.spending.read("ann", 0)
    assert times[0] < found.since <= times[-1] + 1000
    assert found.more
    assert sum(range(13)) > found.coins >= sum(number + 1 for number, at in enumerate(times) if at >= found.since)
    pages = [found]
    while pages[-1].more:
        pages.append(await world.ledger.spending.read("ann", 0, pages[-1].since))
        assert pages[-1].since < pages[-2].since
    assert pages[-1].since == 0
    assert sum(page.coins for page in pages) == sum(range(13)), "nothing is missing, and nothing comes twice"
    assert [sum(page.rooms[0].gifts for page in pages if page.rooms)] == [sum(range(13))]


async def test_only_so_many_wait_to_be_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spending, "WAITING_MAX", 2)
    asked = await asyncio.gather(*(world.ledger.spending.read("ann", 0) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(one, errors.Overloaded) for one in asked) == 2
    assert (await world.ledger.spending.read("ann", 0)).coins == 0


async def test_nothing_is_spent_after_a_break_was_told(world: World) -> None:
    until = world.clock[0] + HOUR_MS
    record = await world.ledger.protections.change("ann", lambda record, _: pause(record, until), **WHY)
    assert record.until == until
    with pytest.raises(errors.OnBreak) as told:
        await world.send()
    assert told.value.until == until
    assert (await limit(world, h24=UNLIMITED)).until == until, "not lifted by anything else"


@pytest.mark.one_redis("it hears by a subscription to one server")
async def test_a_reminder_says_what_is_in_the_record(world: World) -> None:
    """From the start of the hour on, whatever the hour before it had, with what is not yet in any hour's sum."""
    notices, keys = world.ledger.notices, world.ledger.keys
    hour = world.clock[0] // HOUR_MS * HOUR_MS + HOUR_MS
    world.clock[0] = hour - 60_000
    await world.send(count=7)
    world.clock[0] = hour + 20 * 60_000
    await world.send(count=2)
    world.clock[0] += HOUR_MS
    await world.send(count=3)
    async with world.redis.pubsub() as heard:
        await heard.ssubscribe(keys.notices)
        for began in (hour, hour + HOUR_MS, hour - HOUR_MS):
            await notices.remind("ann", began)
        found = [one["data"] async for one in _messages(heard, 3)]
    assert [read_notice(one) for one in found] == [
        Notice("ann", ReminderEvent(80, 5), hour),
        Notice("ann", ReminderEvent(20, 3), hour + HOUR_MS),
        Notice("ann", ReminderEvent(140, 12), hour - HOUR_MS),
    ]


async def _messages(heard: Any, count: int) -> AsyncIterator[dict[str, Any]]:
    async for message in heard.listen():
        if message["type"] == "smessage":
            yield message
            count -= 1
            if not count:
                return
