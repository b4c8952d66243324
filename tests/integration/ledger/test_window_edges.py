"""Windows at their edges: hours in their order, each once, for as long as a window reaches; of two ends the later."""

from __future__ import annotations

import pytest

from gifting.errors import SpendingLimit
from gifting.model.calendar import DAY_MS, HOUR_MS
from gifting.model.protection import read_protection
from tests.support.world import START, World

HOUR = START // HOUR_MS


async def spend(world: World, hour: int, coins: int, **limits: int) -> None:
    """Spent within an hour (counted from START's), and counted as such."""
    world.clock[0] = (HOUR + hour) * HOUR_MS + 1
    limits = limits or {"d30": 1000}
    await world.protect("ann", limits=limits)
    await world.send(count=coins)
    await world.protect("ann", limits=limits)


async def hours(world: World) -> list[tuple[int, int]]:
    record = read_protection(await world.redis.hget(f"{world.base('ann')}:accounts", "ann"))
    return [(hour - HOUR, coins) for hour, coins in record.hours]


async def test_what_is_spent_twice_in_an_hour_is_one_sum(world: World) -> None:
    await spend(world, 1, 4)
    await spend(world, 1, 5)
    assert await hours(world) == [(1, 9)]


async def test_of_a_clock_that_went_back_the_earlier_hour_is_free_first(world: World) -> None:
    await spend(world, 3, 4, h24=10)
    await spend(world, 1, 5, h24=10)
    await spend(world, 2, 1, h24=10)
    assert await hours(world) == [(1, 5), (2, 1), (3, 4)]
    with pytest.raises(SpendingLimit) as refused:
        await world.send(count=5)
    assert refused.value.until == (HOUR + 2) * HOUR_MS + DAY_MS


async def test_what_was_spent_29_days_ago_counts_in_30_days(world: World) -> None:
    await spend(world, 0, 8, d30=10)
    await spend(world, 29 * 24, 1, d30=10)
    with pytest.raises(SpendingLimit) as refused:
        await world.send(count=2)
    assert refused.value.until == (HOUR + 1) * HOUR_MS + 30 * DAY_MS


async def test_of_two_limits_the_later_end_is_told(world: World) -> None:
    await spend(world, 0, 8, d7=10, day=10)
    with pytest.raises(SpendingLimit) as refused:
        await world.send(count=3)
    assert refused.value.until == (HOUR + 1) * HOUR_MS + 7 * DAY_MS


async def test_a_limit_that_is_reached_to_the_coin_delays_nothing(world: World) -> None:
    await spend(world, 0, 8, d7=13, day=10)
    with pytest.raises(SpendingLimit) as refused:
        await world.send(count=5)
    assert refused.value.until == (HOUR + 2) * HOUR_MS, "midnight"


async def test_a_day_that_ends_within_an_hour_is_over_then(world: World) -> None:
    """In Kolkata, 5:30 ahead; the day that ran when its user moved there ended with that of UTC."""
    await world.protect("ann", limits={"day": 10}, offsets=[[0, 5 * HOUR_MS + HOUR_MS // 2]])
    midnight = (HOUR + 20) * HOUR_MS + HOUR_MS // 2
    world.clock[0] = midnight - 10
    await world.send(count=10)
    world.clock[0] = midnight - 1
    with pytest.raises(SpendingLimit) as refused:
        await world.send()
    assert refused.value.until == midnight
    world.clock[0] = midnight
    await world.send(count=10)


async def test_of_two_limits_the_one_that_never_has_room_is_told(world: World) -> None:
    await spend(world, 0, 5, h24=12, day=7)
    with pytest.raises(SpendingLimit) as refused:
        await world.send(count=8)
    assert refused.value.until == 0


async def test_of_two_shares_that_are_passed_the_higher_is_told(world: World) -> None:
    await world.protect("ann", limits={"d7": 10, "day": 20})
    assert (await world.send(count=10)).notice == 100


async def test_a_share_that_was_told_is_not_told_with_that_of_another_limit(world: World) -> None:
    await world.protect("ann", limits={"h24": 10, "d30": 18})
    assert [(await world.send(count=count)).notice for count in (8, 1)] == [80, 50]


async def test_who_moves_ends_no_window_sooner(world: World) -> None:
    """Whatever the new record says of the windows' ends."""
    await world.protect("ann", limits={"day": 10})
    await world.send(count=10)
    soon = world.clock[0] + 1
    await world.protect("ann", limits={"day": 10}, calendar=[soon, soon, soon, 0, 0, 0])
    world.clock[0] = soon
    with pytest.raises(SpendingLimit) as refused:
        await world.send()
    assert refused.value.until == (HOUR + 2) * HOUR_MS
