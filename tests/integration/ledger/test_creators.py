"""Creators in the ledger: read at one moment, changed one after the other, told to the ledger."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from gifting import errors
from gifting.ledger.audit import audit
from gifting.ledger.entries import AccountChange, Credit
from gifting.ledger.stream import Span, read_ledger
from gifting.model.creator import CreatorRecord, with_destination
from gifting.model.creators import Tier
from tests.support.world import World

DAY = 86_400_000


async def entries(world: World) -> list[object]:
    return [entry async for _, _, entry in read_ledger(world.redis, {world.base("host"): Span()})]


async def test_what_nobody_has_put_is_empty(world: World) -> None:
    creator = await world.ledger.creators.read("nobody")
    assert creator == (CreatorRecord(), 0, 0, None, {}, world.clock[0] // DAY)


async def test_a_tier_holds_from_its_reply_on_and_the_ledger_says_who_put_it(world: World) -> None:
    await world.send()
    said: dict[str, Any] = {"what": "tier", "value": "gold\nhas asked", "by": "eve", "commission": 4_000}
    record = await world.ledger.creators.change("host", lambda record: replace(record, tier="gold"), **said)
    await world.send()
    assert record == CreatorRecord(v=1, tier="gold")
    creator = await world.ledger.creators.read("host")
    assert (creator.record, creator.commission, creator.balance) == (record, 4_000, 800)
    (entry,) = (entry for entry in await entries(world) if isinstance(entry, AccountChange))
    assert (entry.user, entry.what, entry.value, entry.by) == ("host", "tier", "gold\nhas asked", "eve")
    credits_ = [entry for entry in await entries(world) if isinstance(entry, Credit)]
    assert [(entry.commission, entry.diamonds) for entry in credits_] == [(0, 500), (4_000, 300)]
    assert (await audit(world.redis, world.ledger.keys)).clean


async def test_what_changes_nothing_is_not_told(world: World) -> None:
    said: dict[str, Any] = {"what": "kyc", "value": "", "by": "eve"}
    for _ in range(2):
        await world.ledger.creators.change("host", lambda one: replace(one, kyc="pending"), **said)
    assert (await world.ledger.creators.read("host")).record.v == 1


async def test_many_change_one_creator_and_none_is_lost(world: World) -> None:
    async def longer(number: int) -> None:
        await world.ledger.creators.change(
            "host", lambda one: replace(one, held=one.held + "x"), what="hold", value=str(number), by="e"
        )

    await asyncio.gather(*(longer(number) for number in range(8)))
    assert (await world.ledger.creators.read("host")).record == CreatorRecord(v=8, held="x" * 8)


async def test_who_refuses_changes_nothing(world: World) -> None:
    def refuse(record: CreatorRecord) -> CreatorRecord:
        raise errors.Forbidden

    with pytest.raises(errors.Forbidden):
        await world.ledger.creators.change("host", refuse, what="kyc", value="", by="e")
    assert not await world.redis.exists(f"{world.base('host')}:creators")


async def test_what_was_earned_is_pending_until_its_day_is_over(world: World) -> None:
    tier = Tier(id="t", hold_days=2, reserve_bps=1_000, reserve_days=3)
    today = world.clock[0] // DAY
    world.clock[0] = (today + 1) * DAY - 1
    await world.send(count=10)
    world.clock[0] += 1
    await world.send(count=2)
    parts = []
    for day in range(1, 5):
        world.clock[0] = (today + day) * DAY
        found = (await world.ledger.creators.read("host")).split(tier)
        parts.append((found.pending, found.reserved, found.available, found.next_day))
    assert parts == [(6000, 0, 0, today + 2), (1000, 500, 4500, today + 3), (0, 100, 5900, 0), (0, 0, 6000, 0)]
    world.clock[0] = (today - 1) * DAY  # it steps back
    assert (await world.ledger.creators.read("host")).split(tier).pending == 6000


def test_the_first_destination_is_good_at_once_and_any_other_waits() -> None:
    first = with_destination(CreatorRecord(), "stripe", "acct_1", 1_000)
    assert first.destination is not None
    assert first.destination.good_at == 1_000
    assert with_destination(first, "stripe", "acct_1", 9_000) is first
    second = with_destination(first, "stripe", "acct_2", 5_000)
    assert second.destination is not None
    assert second.destination.good_at == 5_000 + 72 * 3_600_000
    back = with_destination(second, "stripe", "acct_1", 6_000)
    assert back.destination is not None
    assert back.destination.good_at == 6_000 + 72 * 3_600_000
