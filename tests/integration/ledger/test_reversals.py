"""Gifts are reversed once for ever, coins come back and diamonds go, and whatever breaks off is completed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from redis.asyncio import Redis

from gifting import errors
from gifting.economy.economy import Economy
from gifting.ledger.account import Frozen
from gifting.ledger.audit import audit
from gifting.ledger.halt import open_books
from gifting.ledger.keys import DAY_MS
from gifting.model.effects import Kind
from gifting.model.money import parse_key
from gifting.model.reversals import Given, Returned, Reversal, Taken
from gifting.rulebook import Rulebook
from tests.support.accounts import account_of
from tests.support.lua import break_off
from tests.support.orders import anyone, draft, paid, said
from tests.support.tampering import World as Tampering
from tests.support.world import START, World, a_world

pytestmark = pytest.mark.usefixtures("unwatched")


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, partitions=4, like_interval=0) as made:
        yield made
        report = await audit(made.redis, made.ledger.keys)
        assert report.clean, report.lines()


@pytest.fixture
async def tampered(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    """One of which the audit may find something at the end."""
    async with a_world(redis_url, partitions=4, like_interval=0) as made:
        yield made


async def bought(world: World, user: str = "ann", **more: Any) -> Any:
    order = await world.ledger.orders.open(draft(user, world.key(), **more), anyone)
    await world.ledger.orders.apply(paid(order))
    return order


async def given(world: World, coins: int, user: str = "ann") -> Given:
    key = world.key()
    sent = await world.send(user, count=coins, key=key)
    return Given(parse_key(key), user, "r1", "host", sent.seq, "spark", coins, coins, 500 * coins, world.clock[0])


async def give_back(world: World, gift: Given) -> Reversal:
    return await world.ledger.reversals.give_back(gift, "op", "a test", "", START)


async def reverse(world: World, gift: Given) -> Reversal:
    return await world.ledger.reversals.take_from_host(await give_back(world, gift), START)


async def diamonds(world: World, field: str = "host") -> int:
    return int(await world.redis.hget(f"{world.base('host')}:diamonds", field) or 0)


async def test_what_was_bought_comes_back_as_bought_and_the_rest_as_bonus(world: World) -> None:
    await bought(world)
    gift = await given(world, 110)
    done = await reverse(world, gift)
    assert done.returned == Returned(90, 20, 0)
    account = await account_of(world.redis, world.base("ann"), "ann")
    assert (account.coins, account.bonus, account.sent, account.purchased) == (120, 20, 110, 100)
    assert (done.taken, await diamonds(world)) == (Taken(55_000), 0)


async def test_again_is_the_same_and_moves_nothing(world: World) -> None:
    await bought(world)
    gift = await given(world, 50)
    first = await reverse(world, gift)
    before = await world.state()
    assert await reverse(world, gift) == first
    assert await world.state() == before
    many = await asyncio.gather(*(reverse(world, gift) for _ in range(5)))
    assert set(map(str, many)) == {str(first)}
    assert await world.state() == before
    assert not await world.ledger.reversals.due(2**53, 10)


async def test_debt_is_settled_first(world: World) -> None:
    order = await bought(world)
    gift = await given(world, 120)
    await world.ledger.orders.apply(said(order, Kind.REFUNDED, "refund"))
    assert (await account_of(world.redis, world.base("ann"), "ann")).frozen & Frozen.DEBT
    assert (await reverse(world, gift)).returned == Returned(0, 120, 120)
    account = await account_of(world.redis, world.base("ann"), "ann")
    assert (account.coins, account.debt, account.frozen) == (0, 0, 0)


async def test_a_bonus_never_becomes_what_money_is_given_back_for(world: World) -> None:
    await world.grant("ann", 50)
    await bought(world, bonus=0)
    gift = await given(world, 50)
    assert (await reverse(world, gift)).returned == Returned(0, 50, 0)


async def test_of_the_host_its_day_goes_first_then_the_newest_and_the_rest_is_debt(tampered: World) -> None:
    world = tampered
    await bought(world)
    gift = await given(world, 100)
    today, key = START // DAY_MS, f"{world.base('host')}:diamonds"
    days = {f"host/{today}": 30_000, f"host/{today - 1}": 15_000, f"host/{today - 9}": 9_000}
    await world.redis.hset(key, mapping={**days, "host": 50_000})
    taken = (await reverse(world, gift)).taken
    assert taken == Taken(50_000)
    assert [await diamonds(world, f"host/{today - back}") for back in (0, 1, 9)] == [0, 0, 4_000]


async def test_what_the_host_has_no_longer_is_its_debt_and_settles_itself(tampered: World) -> None:
    world = tampered
    await bought(world)
    gifts = [await given(world, 60), await given(world, 60)]
    key = f"{world.base('host')}:diamonds"
    await world.redis.hset(key, "host", 0)
    assert (await reverse(world, gifts[0])).taken == Taken(0, 30_000)
    await world.redis.hset(key, "host", 60_000)  # the books are as they were again
    assert await world.ledger.reversals.settle("host", START) == 30_000
    assert (await diamonds(world), await diamonds(world, "host/debt")) == (30_000, 0)
    assert await world.ledger.reversals.settle("host", START) == 0


async def test_the_platform_may_bear_it(redis_client: Redis, redis_url: str) -> None:
    async with a_world(redis_url, partitions=4, reversal_loss="platform") as world:
        await bought(world)
        gift = await given(world, 100)
        assert (await reverse(world, gift)).taken == Taken(0, 0, 50_000)
        assert await diamonds(world) == 50_000
        assert (await audit(world.redis, world.ledger.keys)).clean


async def test_the_room_is_told_while_it_is_live_and_its_totals_stay(world: World) -> None:
    await bought(world)
    gifts = [await given(world, 40), await given(world, 40)]
    await reverse(world, gifts[0])
    event = (await world.log())[-1]
    assert (event["type"], event["gift_id"], event["coins"]) == ("gift_reversed", f"r1.{gifts[0].seq}", 40)
    await world.ledger.rooms.end(world.room)
    count = len(await world.log())
    await reverse(world, gifts[1])
    assert len(await world.log()) == count
    snapshot = await world.ledger.rooms.snapshot(world.room)
    assert "80" in str(snapshot)


async def broken_off(world: World, url: str, gift: Given, at: int, host_side: bool) -> bool:
    async with a_world(url, partitions=4) as node:
        one = await give_back(node, gift) if host_side else None
        try:
            with pytest.MonkeyPatch.context() as patch:
                break_off(patch, at, for_good=True)
                if one is None:
                    await give_back(node, gift)
                else:
                    await node.ledger.reversals.take_from_host(one, START)
        except errors.Unavailable:
            with pytest.raises(errors.LedgerHalted):
                await give_back(node, gift)
        else:
            return False
    assert await open_books(world.ledger.redis, world.ledger.keys.meta)
    return True


@pytest.mark.attack
@pytest.mark.parametrize("host_side", [False, True], ids=["the user's side", "the host's side"])
async def test_a_script_that_breaks_off_anywhere_is_completed(tampered: World, redis_url: str, host_side: bool) -> None:
    world = tampered  # what breaks off between a room's seq and its log leaves a gap there, as with every script
    earned = 0
    for at in range(1, 60):
        user = f"u{at}"
        await bought(world, user)
        gift = await given(world, 120, user)
        broke = await broken_off(world, redis_url, gift, at, host_side)
        if await world.ledger.reversals.find(user, gift.key) is None:
            assert not host_side
        for _ in range(2):
            done = await reverse(world, gift)
        assert (await account_of(world.redis, world.base(user), user)).coins == 120
        assert (done.taken, await diamonds(world)) == (Taken(60_000), earned)
        report = await audit(world.redis, world.ledger.keys)
        assert {one.name for one in report.problems} <= {"room_seq_gap"}, (at, report.lines())
        if not broke:
            break
    assert 8 < at < 59


async def test_what_is_half_done_is_found_and_finished_by_the_reconciliation(world: World) -> None:
    world.clock[0] = time.time_ns() // 1_000_000  # by which the ledger is searched
    await bought(world)
    half = await give_back(world, await given(world, 100))
    economy = Economy(world.ledger, world.ledger.settings, Rulebook(world.ledger.settings, lambda: None), lambda: [""])
    for _ in range(2):
        await economy.reconciliation.resume()
    done = await world.ledger.reversals.find("ann", half.given.key)
    assert done is not None and done.taken == Taken(50_000)
    assert await diamonds(world) == 0
    await economy.close()


Change = Callable[[list[Any]], Iterator[list[Any]]]


def changed(kind: bytes, place: int, by: Any) -> Change:
    def change(entry: list[Any]) -> Iterator[list[Any]]:
        if entry[0] == kind:
            entry[place] += by
        return iter([entry])

    return change


def without(kind: bytes) -> Change:
    return lambda entry: iter([] if entry[0] == kind else [entry])


async def change_entries(url: str, name: str, change: Change) -> None:
    hand = Tampering(url, partitions=4)
    await hand.change_entries(hand.base(name), change)
    await hand.redis.aclose()


TAMPERED = {
    "it was given to another host": ("ann", changed(b"gift_reversal", 6, b"x"), "reversal_elsewhere"),
    "it was given in another room": ("ann", changed(b"gift_reversal", 5, b"x"), "reversal_elsewhere"),
    "more coins came back": ("ann", changed(b"gift_reversal", 8, 5), "reversal_wrong"),
    "fewer coins came back": ("ann", changed(b"gift_reversal", 7, -5), "reversal_wrong"),
    "less was taken of the host": ("host", changed(b"clawback", 6, -5), "clawback_wrong"),
    "more is owed": ("host", changed(b"clawback", 7, 5), "clawback_wrong"),
    "the platform bears some": ("host", changed(b"clawback", 8, 5), "clawback_wrong"),
    "nobody gave the gift": ("ann", without(b"debit"), "reversal_without_gift"),
    "nobody reversed the gift": ("ann", without(b"gift_reversal"), "clawback_without_reversal"),
}


@pytest.mark.parametrize("tamper", TAMPERED)
async def test_the_audit_holds_a_reversal_against_its_gift(tampered: World, redis_url: str, tamper: str) -> None:
    world = tampered
    await bought(world)
    await reverse(world, await given(world, 100))
    user, change, name = TAMPERED[tamper]
    await change_entries(redis_url, user, change)
    report = await audit(world.redis, world.ledger.keys)
    assert name in {one.name for one in report.problems}, report.lines()


async def test_with_a_side_that_is_not_there_nothing_is_compared(tampered: World, redis_url: str) -> None:
    world = tampered
    await bought(world)
    await reverse(world, await given(world, 100))
    await change_entries(redis_url, "host", without(b"credit"))
    report = await audit(world.redis, world.ledger.keys)
    assert "clawback_wrong" not in {one.name for one in report.problems}, report.lines()
