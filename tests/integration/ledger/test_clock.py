"""Clocks that step, and what is forgotten by them: no key is ever good twice, and no step costs more than it must."""

from __future__ import annotations

import itertools
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from gifting import config, errors
from gifting.bench.soak.shim import FaultShim
from gifting.health import Health
from gifting.ledger import clock as clock_module
from gifting.ledger import scripts
from gifting.ledger.clock import Clock
from gifting.ledger.embedded import EmbeddedRedis
from gifting.ledger.floors import HOLD, HOLD_MAX, PIECE, kinds
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.model.money import key_time, make_key, parse_key
from gifting.model.packing import pack
from gifting.tasks import Vital
from tests.support.keys import new_key
from tests.support.world import LEAD, START, WINDOW, World, a_world

MINUTE = 60_000
STEP_AHEAD = 13 * MINUTE
"""More than the window and a bucket."""


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, like_interval=0, partitions=2) as made:
        await made.grant("ann", 1000)
        yield made


class Hands:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def test_before_it_is_measured_it_is_one_time_though_time_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(0, 1_000_000)
    monkeypatch.setattr(clock_module, "time", SimpleNamespace(time_ns=lambda: next(ticks)))
    assert Clock(Hands()).span_ms() == (0, 0)


def test_a_clock_that_stepped_may_be_what_it_was_until_it_has_held() -> None:
    hands = Hands()
    clock = Clock(hands)
    clock.measure(1_000_000, hands())
    assert clock.span_ms() == (1_000_000, 1_000_000)
    for ahead, span in ((86_400, (1_000_000, 87_400_000)), (-7_200, (-6_200_000, 87_400_000))):
        clock.measure(1_000_000 + ahead * 1000, hands())
        assert clock.span_ms() == span
    hands.at += HOLD_MAX - 1
    early = round((HOLD_MAX - 1) * 1000)
    assert clock.span_ms() == (span[0] + early, span[1] + early)
    hands.at += 1
    assert clock.span_ms() == (clock.now_ms(), clock.now_ms())
    clock.measure(clock.now_ms() + 60_000, hands())
    assert clock.span_ms() == (clock.now_ms() - 60_000, clock.now_ms())


# A clock that goes there and back.


@pytest.mark.attack
@pytest.mark.parametrize("believed", [False, True])
async def test_a_step_ahead_and_back_charges_no_key_twice(world: World, believed: bool) -> None:
    key = world.key()
    first = await world.send(key=key)
    world.clock[0] += STEP_AHEAD
    if believed:
        await world.forget()
    await world.send(key=world.key())
    world.clock[0] -= STEP_AHEAD
    if believed:
        with pytest.raises(errors.KeyExpired):
            await world.send(key=key)
    else:
        assert await world.send(key=key) == replace(first, duplicate=True)
    assert await world.ledger.wallets.read("ann") == (998, 0)


@pytest.mark.attack
@pytest.mark.skipif(not FaultShim.available(), reason="needs Linux and cc")
async def test_a_step_of_the_machines_own_clock(tmp_path: Path) -> None:
    """By Redis' own clock, preloaded: what Redis expires by itself is expired then."""
    with FaultShim() as shim:
        server = EmbeddedRedis(tmp_path / "data", env=shim.env)
        ledger = Ledger(await server.start(), config.load({}, environ={}), load_catalog())
        try:
            await ledger.start()
            room = await ledger.rooms.open("r1", "host", "Host", "")
            await ledger.wallets.grant("ann", 100, new_key(), "bought", "operator")
            sender, key = ledger.gifts.sender("ann", {"id": "ann", "name": "Ann", "picture": "", "level": 0}), new_key()
            first = await ledger.gifts.send(sender, room, "spark", key)
            names = [name async for name in ledger.redis.scan_iter()]
            shim.step_clock(STEP_AHEAD / 1000)
            await ledger.maintain()
            assert await ledger.redis.exists(*names) == len(names)
            with pytest.raises(errors.KeyExpired):
                await ledger.gifts.send(sender, room, "spark", new_key())
            shim.step_clock(0)
            await ledger.maintain()
            assert ledger.upkeep.clock.steps == 2
            assert await ledger.gifts.send(sender, room, "spark", key) == replace(first, duplicate=True)
            assert (await ledger.wallets.read("ann"))[0] == 99
        finally:
            await ledger.stop()
            shim.clear()
            await server.stop()


@pytest.mark.attack
async def test_what_was_told_to_have_expired_stays_so(world: World) -> None:
    """Its sender may have made a new key since, and an old try may still be on its way."""
    key = world.key()
    world.clock[0] += STEP_AHEAD
    with pytest.raises(errors.KeyExpired):
        await world.send(key=key)
    world.clock[0] -= STEP_AHEAD
    with pytest.raises(errors.KeyExpired):
        await world.send(key=key)
    grant = world.key()
    world.clock[0] += 31 * 86_400_000
    with pytest.raises(errors.KeyExpired):
        await world.grant("ann", 5, grant)
    world.clock[0] -= 31 * 86_400_000
    with pytest.raises(errors.KeyExpired):
        await world.grant("ann", 5, grant)
    assert await world.ledger.wallets.read("ann") == (1000, 0)


@pytest.mark.attack
async def test_a_step_back_does_not_hide_a_result(world: World) -> None:
    world.clock[0] += STEP_AHEAD
    key, grant = world.key(), world.key()
    first = await world.send(key=key)
    assert await world.grant("ann", 5, grant) == (1004, False)
    world.clock[0] -= STEP_AHEAD
    assert await world.send(key=key) == replace(first, duplicate=True)
    assert await world.grant("ann", 5, grant) == (1004, True)


async def test_a_key_of_the_future_is_good_when_its_time_comes(world: World) -> None:
    key = world.key(-LEAD - 1)
    with pytest.raises(errors.KeyInFuture):
        await world.send(key=key)
    assert await world.buckets() == []
    world.clock[0] += 1
    assert not (await world.send(key=key)).duplicate


# What is forgotten.


async def test_buckets_are_deleted_when_all_their_keys_are_below_the_floor(world: World) -> None:
    keys = [world.key(age) for age in (-LEAD, 0, WINDOW)]
    for key in keys:
        await world.send(key=key)
    assert len(await world.buckets()) == 3
    times = sorted(key_time(parse_key(key)) for key in keys)
    for made, left in zip(times, (2, 1, 0), strict=True):
        over = (made // MINUTE + 1) * MINUTE + WINDOW
        world.clock[0] = over - 1
        await world.forget()
        assert len(await world.buckets()) == left + 1
        world.clock[0] = over
        await world.forget()
        assert len(await world.buckets()) == left
    assert [await world.redis.zcard(f"{base}:keys") for base in world.ledger.keys.bases] == [0, 0]
    assert len(await world.buckets("grants")) == 1


async def test_what_is_right_at_the_floor_is_above_it(world: World) -> None:
    """It is in the first bucket that is kept; a grant below is refused, whatever the clock says later."""
    world.clock[0] -= world.clock[0] % 86_400_000
    key, grant, early = world.key(), world.key(), world.key(1)
    first = await world.send(key=key)
    assert await world.grant("ann", 5, grant) == (1004, False)
    for base in world.ledger.keys.bases:
        await world.redis.hset(f"{base}:floors", mapping={"keys": world.clock[0], "grants": world.clock[0]})
    assert await world.send(key=key) == replace(first, duplicate=True)
    assert await world.grant("ann", 5, grant) == (1004, True)
    with pytest.raises(errors.KeyExpired):
        await world.send(key=early)
    with pytest.raises(errors.KeyExpired):
        await world.grant("ann", 5, early)
    assert await world.ledger.wallets.read("ann") == (1004, 0)


async def test_no_bucket_above_the_floor_is_deleted_whoever_asks(world: World) -> None:
    await world.send()
    ((bucket, ends),) = [
        pair
        for base in world.ledger.keys.bases
        for pair in await world.redis.zrange(f"{base}:keys", 0, -1, withscores=True)
    ]
    base = bucket.decode().rpartition(":keys:")[0]
    keys = [f"{base}:floors", f"{base}:keys", bucket.decode()]
    assert await scripts.call(world.redis, "forget", keys, pack(("keys", int(ends) - 1))) == int(ends) - 1
    assert await world.redis.exists(bucket)
    assert await scripts.call(world.redis, "forget", keys, pack(("keys", int(ends)))) == int(ends)
    assert not await world.redis.exists(bucket)


async def test_no_money_key_has_a_time_to_live(world: World) -> None:
    await world.send()
    names = [name async for name in world.redis.scan_iter()]
    assert [name for name in names if await world.redis.ttl(name) != -1] == []
    (bucket,) = await world.buckets()
    await world.redis.zrem(bucket.rpartition(":")[0], bucket)
    await world.redis.expire(bucket, 1000)  # as an older version left it
    await world.send()
    assert await world.redis.ttl(bucket) == -1


async def test_a_floor_never_falls(world: World) -> None:
    await world.forget()
    base = world.base("ann")
    before = await world.redis.hgetall(f"{base}:floors")
    await world.ledger.upkeep.floors._raise(base, "keys", START - 4 * WINDOW)
    assert await world.redis.hgetall(f"{base}:floors") == before


@pytest.mark.one_redis("what one call of commit makes of several gifts")
async def test_many_buckets_are_deleted_piece_by_piece(world: World) -> None:
    """As they pile up where somebody sends keys of every minute."""
    keys = [make_key(START - number * MINUTE, bytes(10)) for number in range(-1, 3 * PIECE)]
    await world.together(*({"key": key} for key in keys))
    assert len(await world.buckets()) == len(keys)
    await world.forget()
    assert len(await world.buckets()) == 12  # a lead, now, and ten of the window


@pytest.mark.one_redis("it counts the commands of one server")
async def test_a_step_of_years_loops_over_nothing(world: World) -> None:
    await world.send()
    await world.forget()  # so that the script is there, whoever has run before
    await world.redis.config_resetstat()
    world.clock[0] += 40 * 365 * 86_400_000
    await world.forget()
    calls = await world.redis.info("commandstats")
    assert sum(calls[f"cmdstat_{name}"]["calls"] for name in ("zrange", "evalsha", "eval")
               if f"cmdstat_{name}" in calls) <= 8  # fmt: skip
    assert await world.buckets() == await world.buckets("grants") == []


async def test_it_forgets_where_memory_is_full(world: World) -> None:
    await world.send()
    world.clock[0] += STEP_AHEAD
    await world.redis.config_set("maxmemory", 1)
    try:
        await world.forget()
    finally:
        await world.redis.config_set("maxmemory", 0)
    assert await world.buckets() == []


# Which clock is believed.


def measured(hands: Hands, start: int = START) -> Clock:
    clock = Clock(hands)
    clock.measure(start, hands.at)
    return clock


@pytest.mark.parametrize("step", [STEP_AHEAD, -STEP_AHEAD, 1100, -1100])
def test_a_step_is_noticed_logged_and_counted_once(step: int, caplog: pytest.LogCaptureFixture) -> None:
    hands = Hands()
    clock = measured(hands)
    with caplog.at_level(logging.WARNING):
        for passed in (5, 10, 15):
            hands.at = 100.0 + passed
            clock.measure(START + passed * 1000 + step, hands.at)
    assert clock.steps == 1
    assert caplog.text.count("stepped by") == 1
    assert clock.held == 10.0
    assert clock.now_ms() == START + 15_000 + step


def test_what_is_no_step() -> None:
    """A clock that is slewed, and answers that come late."""
    hands = Hands()
    clock = measured(hands)
    drift = 0
    for passed in range(5, 5000, 5):
        hands.at = 100.0 + passed
        drift += 3  # 500 ppm
        clock.measure(START + passed * 1000 + drift, hands.at)
    assert clock.now_ms() == START + 4_995_000 + drift
    asked, hands.at = hands.at, hands.at + 60
    clock.measure(START + 4_997_000 + drift, asked)
    assert clock.steps == 0
    assert clock.now_ms() == START + 5_055_000 + drift


def test_this_machines_clock_where_nothing_was_measured() -> None:
    assert Clock().held == 0
    assert Clock().now_ms() > 1_700_000_000_000


async def test_a_new_time_must_hold_before_floors_follow_it(redis_client: Redis, redis_url: str) -> None:
    hands, health = Hands(), Health()
    async with a_world(redis_url, hands=hands, vital=Vital(health), partitions=1) as world:
        floors = world.ledger.upkeep.floors

        async def floor() -> int:
            return int(await world.redis.hget(f"{world.base('ann')}:floors", "keys") or 0)

        async def passes(seconds: float) -> None:
            hands.at += seconds
            world.clock[0] += round(seconds * 1000)
            await world.ledger.maintain()

        assert await floor() == 0
        await passes(WINDOW / 1000 - 1)  # nothing is known of the time before: the window's length
        assert await floor() == 0
        await passes(1)
        assert await floor() == kinds(world.ledger.settings)[0].floor(world.clock[0])
        before = await floor()
        world.clock[0] += STEP_AHEAD
        await passes(5)
        await passes(HOLD - 1)
        world.clock[0] -= STEP_AHEAD
        await passes(5)
        assert await floor() == before
        await passes(HOLD)
        assert await floor() == floors._kinds[0].floor(world.clock[0])
        assert world.ledger.upkeep.clock.steps == 2
        assert not health.problems


async def test_a_long_step_that_is_taken_back_is_told(redis_client: Redis, redis_url: str) -> None:
    hands, health = Hands(), Health()
    async with a_world(redis_url, hands=hands, vital=Vital(health), partitions=1) as world:
        await world.grant("ann", 10)
        world.clock[0] += 100 * WINDOW
        await world.ledger.maintain()
        hands.at += HOLD_MAX
        world.clock[0] += round(HOLD_MAX * 1000)
        await world.ledger.maintain()
        world.clock[0] -= 100 * WINDOW
        await world.ledger.maintain()
        assert "refused as key_expired" in health.problems["clock"]
        with pytest.raises(errors.KeyExpired):
            await world.send()
        world.clock[0] += 100 * WINDOW
        await world.ledger.maintain()
        assert not health.problems
