"""Bans that every node knows of, and reports: both bounded, and both the same however often they are said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gifting import errors
from gifting.ledger import bans, reports
from gifting.ledger.account import Frozen
from gifting.ledger.audit import audit
from gifting.model.reports import Report
from tests.support.keys import session_keys
from tests.support.world import World, a_world


@pytest.fixture
async def other(world: World, redis_url: str) -> AsyncIterator[World]:
    """The same Redis, seen by another node."""
    async with a_world(redis_url, like_interval=0) as made:
        yield made


async def test_who_is_banned_gives_nothing_and_each_node_knows_it(world: World, other: World) -> None:
    await world.ledger.bans.ban("ann", "scam", "op")
    assert world.ledger.bans.covers("ann")
    assert not other.ledger.bans.covers("ann")
    with pytest.raises(errors.Banned):
        await other.send()
    await other.ledger.bans.sync()
    assert other.ledger.bans.covers("ann")
    assert (await world.ledger.accounts.read("ann")).account.frozen == Frozen.BANNED
    await other.ledger.bans.unban("ann", "a mistake", "op")
    await world.ledger.bans.sync()
    assert not world.ledger.bans.covers("ann")
    assert (await world.send()).coins == 999
    assert (await audit(world.ledger.redis, world.ledger.keys)).problems == []


async def test_bans_are_the_same_however_often_they_are_said(world: World, other: World) -> None:
    """A node that hears of several at once knows the last of each."""
    for user in ("ann", "bob", "cat"):
        for _ in range(2):
            await world.ledger.bans.ban(user, "scam", "op")
    for _ in range(2):
        await world.ledger.bans.unban("bob", "a mistake", "op")
    await world.ledger.bans.unban("dan", "was never", "op")
    assert await world.redis.zscore(world.ledger.keys.unbanned, "dan") is None
    await other.ledger.bans.sync()
    assert [user for user in ("ann", "bob", "cat", "dan") if other.ledger.bans.covers(user)] == ["ann", "cat"]
    await world.ledger.bans.ban("bob", "again", "op")
    await world.ledger.bans.unban("ann", "a mistake", "op")
    await other.ledger.bans.sync()
    assert [user for user in ("ann", "bob", "cat") if other.ledger.bans.covers(user)] == ["bob", "cat"]
    assert await world.ledger.bans.page(0, 1) == (["cat"], 3)
    assert await world.ledger.bans.page(3, 10) == (["bob"], 0)


async def test_a_node_that_starts_knows_who_is_banned(world: World, redis_url: str) -> None:
    await world.ledger.bans.ban("ann", "scam", "op")
    async with a_world(redis_url) as late:
        assert late.ledger.bans.covers("ann")


async def test_bans_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bans, "BANNED_MAX", 2)
    for user in ("ann", "bob"):
        await world.ledger.bans.ban(user, "scam", "op")
    with pytest.raises(errors.ListFull):
        await world.ledger.bans.ban("cat", "scam", "op")
    assert not world.ledger.bans.covers("cat")
    assert (await world.ledger.accounts.read("cat")).account.frozen == 0
    await world.ledger.bans.unban("ann", "a mistake", "op")
    await world.ledger.bans.ban("cat", "scam", "op")


def about(by: str = "ann", **more: Any) -> Report:
    given: dict[str, Any] = {"kind": "spam", "room": "r1", "user": "bob", "seq": 0, "said": "", "text": ""}
    return Report(by=by, **given | more)


async def test_reports_are_kept_until_they_are_closed(world: World) -> None:
    first = await world.ledger.reports.add(about(text="look"))
    world.clock[0] += 5
    second = await world.ledger.reports.add(about("cat"))
    assert await world.ledger.reports.add(about(text="look again")) == first
    found, more = await world.ledger.reports.page(0, 10)
    assert [(one.id, one.by, one.text, one.ts) for one in found] == [
        (first, "ann", "look", world.clock[0] - 5),
        (second, "cat", "", world.clock[0]),
    ]
    assert more == 0
    assert [one.id for one in (await world.ledger.reports.page(0, 1))[0]] == [first]
    assert (await world.ledger.reports.page(0, 1))[1] == 1
    await world.ledger.reports.close(first)
    with pytest.raises(errors.NotFound):
        await world.ledger.reports.close(first)
    await world.ledger.reports.close(second)
    assert await world.redis.exists(f"{session_keys(16).bases[0]}:reporters") == 0


@pytest.mark.attack
async def test_reports_of_one_and_of_all_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "REPORTS_OF_USER", 3)
    monkeypatch.setattr(reports, "REPORTS_MAX", 4)
    told = await asyncio.gather(
        *(world.ledger.reports.add(about(user=f"u{number}")) for number in range(10)), return_exceptions=True
    )
    assert [type(one) for one in told].count(errors.ListFull) == 7
    await world.ledger.reports.add(about("bob"))
    with pytest.raises(errors.ListFull, match="operators close them"):
        await world.ledger.reports.add(about("cat"))
    await world.ledger.reports.close(next(one for one in told if isinstance(one, str)))
    await world.ledger.reports.add(about("cat"))
