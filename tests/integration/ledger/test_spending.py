"""What protects who spends: each rule refuses with its own status, says what ends it, and changes nothing."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import astuple, replace
from redis.asyncio import Redis

from gifting import errors
from gifting.ledger.account import RESTRICTIONS, Frozen, read_account, write_account
from gifting.ledger.status import Status
from gifting.model.money import MAX_AMOUNT
from gifting.model.protection import read_protection, write_protection
from gifting.model.terms import Terms
from gifting.model.windows import moved
from tests.support.accounts import account_of, add_to_account
from tests.support.world import START, STREAK, WINDOW, World, a_world

HOUR, DAY = 3_600_000, 86_400_000
WHY = {"what": "test", "value": "", "by": "operator"}


@pytest.fixture(params=[{}, {"caps": [0, 0, 1_000_000]}], ids=["unrestricted", "restricted"])
async def world(redis_client: Redis, redis_url: str, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """What nothing restricts goes another way than what is within its restrictions."""
    async with a_world(redis_url) as made:
        await made.grant("ann", 10_000)
        await made.protect("ann", **request.param)
        await made.send()
        made.clock[0] += STREAK + 1
        yield made


async def refused(world: World, count: int = 1, **more: Any) -> errors.GiftingError:
    """What a gift is refused for; all there is stays as it is, but for what is kept under its key."""
    key = more.setdefault("key", world.key())
    before = await world.state()
    with pytest.raises(errors.GiftingError) as told:
        await world.send(count=count, **more)
    after = await world.state()
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert {name.split(b"}:")[1].split(b":")[0] for name in changed} <= {b"keys"}
    if not isinstance(told.value, errors.ConfirmRequired):
        with pytest.raises(type(told.value)):
            await world.send(count=count, key=key)  # the terms do not matter any more
    return told.value


async def spend(world: World, *counts: int, **more: Any) -> None:
    for count in counts:
        await world.send(count=count, **more)


async def test_banned(world: World) -> None:
    await world.ledger.accounts.freeze("ann", Frozen.BANNED, **WHY)
    assert isinstance(await refused(world), errors.Banned)
    await world.ledger.accounts.thaw("ann", Frozen.BANNED, **WHY)
    await spend(world, 1)


@pytest.mark.parametrize("why", [Frozen.WARNING, Frozen.DISPUTE, Frozen.WARNING | Frozen.DISPUTE])
async def test_account_frozen(world: World, why: Frozen) -> None:
    await world.ledger.accounts.freeze("ann", why, **WHY)
    assert isinstance(await refused(world), errors.AccountFrozen)
    await world.ledger.accounts.thaw("ann", why, **WHY)
    await spend(world, 1)


async def test_account_frozen_by_debt_until_it_is_settled(world: World) -> None:
    await add_to_account(world.redis, world.base("ann"), "ann", debt=70, frozen=Frozen.DEBT)
    await world.redis.hset(f"{world.base('ann')}:totals", "debt", 70)
    assert "70 coins are owed" in (await refused(world)).message
    assert (await world.grant("ann", 69))[0] == 9_999
    assert "1 coins are owed" in (await refused(world)).message
    assert (await world.grant("ann", 11))[0] == 10_009
    await spend(world, 1)


async def test_on_break(world: World) -> None:
    until = world.clock[0] + HOUR
    await world.protect("ann", until=until)
    told = await refused(world)
    assert isinstance(told, errors.OnBreak)
    assert told.until == until
    world.clock[0] = until
    await spend(world, 1)
    await world.protect("ann", until=MAX_AMOUNT)
    assert "no end" in (await refused(world)).message


async def test_age_required_but_of_who_has_a_guardian(world: World) -> None:
    terms = Terms(age=16, barred=Status.AGE_REQUIRED, guarded=True)
    assert isinstance(await refused(world, terms=terms), errors.AgeRequired)
    await world.protect("ann", invited="mum")
    assert isinstance(await refused(world, terms=terms), errors.AgeRequired)
    await world.protect("ann", guardian="mum")
    await spend(world, 1, terms=terms)
    world.clock[0] += HOUR
    await spend(world, 1, terms=terms)
    await world.protect("ann")
    assert isinstance(await refused(world, terms=terms), errors.AgeRequired)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (Status.AGE_REQUIRED, errors.AgeRequired("Here that is 19 years.")),
        (Status.REGION_NOT_ALLOWED, errors.RegionNotAllowed()),
        (Status.ACCOUNT_NOT_ALLOWED, errors.AccountNotAllowed()),
    ],
)
@pytest.mark.one_redis("on a cluster a kept result is completed with the next debit")
async def test_who_may_give_no_more_is_told_what_became_of_a_gift(
    world: World, status: Status, told: errors.GiftingError
) -> None:
    terms, key = Terms(barred=status, min_age=19), world.key()
    taken = await world.send(key=key, count=2)
    before = await world.state()
    assert await world.send(key=key, count=2, terms=terms) == replace(taken, duplicate=True)
    with pytest.raises(errors.KeyReused):
        await world.send(key=key, count=3, terms=terms)
    assert await world.state() == before
    found = await refused(world, terms=terms)
    assert (type(found), found.message) == (type(told), told.message)


@pytest.mark.parametrize("status", [Status.AGE_REQUIRED, Status.REGION_NOT_ALLOWED, Status.ACCOUNT_NOT_ALLOWED])
async def test_region_not_allowed_and_account_not_allowed_go_after_the_account_and_before_the_balance(
    world: World, status: Status
) -> None:
    terms = Terms(barred=status, gift_cap=1)
    await spend(world, 9_000)
    assert isinstance(await refused(world, 2_000, terms=terms), status.error)
    with pytest.raises(errors.KeyExpired):
        await world.send(key=world.key(age=WINDOW + 1), terms=terms)
    await world.protect("ann", until=world.clock[0] + HOUR)
    assert isinstance(await refused(world, terms=terms), errors.OnBreak)
    await world.ledger.rooms.end(world.room)
    assert isinstance(await refused(world, terms=terms), errors.RoomEnded)


async def test_gift_cap(world: World) -> None:
    told = await refused(world, 11, terms=Terms(gift_cap=10))
    assert isinstance(told, errors.GiftCap)
    assert told.cap == 10
    await spend(world, 10, 10, terms=Terms(gift_cap=10))
    await world.protect("ann", caps=(9, 0, 0), guard_caps=(12, 0, 0))
    assert (await refused(world, 10, terms=Terms(gift_cap=10))).message.startswith("One gift may cost 9 coins.")
    await spend(world, 9)
    await world.protect("ann", guard_caps=(8, 0, 0))
    await refused(world, 9)


async def test_gift_cap_is_what_may_be_spent_at_once(world: World) -> None:
    told = await refused(world, 21, terms=Terms(gift_cap=50, velocity_rate=1, velocity_burst=20))
    assert isinstance(told, errors.GiftCap)
    assert told.cap == 20


async def test_streak_cap(world: World) -> None:
    terms = Terms(streak_cap=20)
    await spend(world, 10, terms=terms)
    world.clock[0] += STREAK
    await spend(world, 5, terms=terms)
    told = await refused(world, 6, terms=terms)
    assert isinstance(told, errors.StreakCap)
    assert told.cap == 20
    await spend(world, 5, terms=terms)
    world.clock[0] += STREAK + 1
    await world.protect("ann", caps=(0, 7, 0))
    await refused(world, 8, terms=terms)
    await spend(world, 7, terms=terms)


async def test_spending_too_fast(world: World) -> None:
    terms = Terms(velocity_rate=2, velocity_burst=7)
    await spend(world, 5, 2, terms=terms)
    told = await refused(world, 4, terms=terms)
    assert isinstance(told, errors.SpendingTooFast)
    assert told.until == world.clock[0] + 2_000
    world.clock[0] = told.until - 1
    await refused(world, 4, terms=terms)
    world.clock[0] += 1
    await spend(world, 4, terms=terms)
    world.clock[0] += 3_500
    await spend(world, 7, terms=terms)


async def test_spending_limit(world: World) -> None:
    await world.protect("ann", limits={"h24": 10, "d7": 100})
    await spend(world, 9)
    told = await refused(world)
    assert isinstance(told, errors.SpendingLimit)
    assert told.until == (world.clock[0] // HOUR + 25) * HOUR
    assert "less than this gift" in (await refused(world, 11)).message
    world.clock[0] = told.until - 1
    await refused(world)
    world.clock[0] += 1
    await spend(world, 10)
    await refused(world)


async def test_hours_leave_a_window_one_after_another(world: World) -> None:
    await world.protect("ann", limits={"h24": 30})
    world.clock[0] = first = (START // HOUR + 2) * HOUR
    await spend(world, 10)
    world.clock[0] += HOUR
    await spend(world, 19)
    told = await refused(world, 12)
    assert isinstance(told, errors.SpendingLimit)
    assert told.until == first + 26 * HOUR  # what was spent first of all, and these 10, are not enough
    assert isinstance(await refused(world, 2), errors.SpendingLimit)
    world.clock[0] = first + 25 * HOUR
    await refused(world, 12)
    await spend(world, 11)
    assert (await account_of(world.redis, world.base("ann"), "ann")).day == 30


async def test_what_has_left_a_window_is_not_waited_for(world: World) -> None:
    await spend(world, 8)
    world.clock[0] += 3 * DAY
    await world.protect("ann", limits={"h24": 10})
    await spend(world, 9)
    told = await refused(world, 2)
    assert isinstance(told, errors.SpendingLimit)
    assert told.until == (world.clock[0] // HOUR + 25) * HOUR


@pytest.mark.parametrize(("window", "days"), [("d7", 7), ("d30", 30)])
async def test_what_was_spent_leaves_longer_windows(world: World, window: str, days: int) -> None:
    await world.protect("ann", limits={window: 10})
    await spend(world, 9)
    ends = (world.clock[0] // HOUR + 1) * HOUR + days * DAY
    told = await refused(world)
    assert isinstance(told, errors.SpendingLimit)
    assert told.until == ends
    world.clock[0] = ends
    await spend(world, 10)


@pytest.mark.parametrize(
    ("window", "ends"), [("day", 1_700_006_400_000), ("week", 1_700_438_400_000), ("month", 1_701_388_800_000)]
)
async def test_a_calendar_window_ends_at_midnight(world: World, window: str, ends: int) -> None:
    await world.protect("ann", limits={window: 10})
    await spend(world, 9)
    told = await refused(world)
    assert isinstance(told, errors.SpendingLimit)
    assert told.until == ends
    world.clock[0] = ends - 1
    await refused(world)
    world.clock[0] = ends
    await spend(world, 10)
    await refused(world)


async def test_guardian_limit(world: World) -> None:
    await world.protect("ann", limits={"h24": 20}, guard={"week": 10})
    await spend(world, 9)
    told = await refused(world, 2)
    assert isinstance(told, errors.GuardianLimit)
    assert told.until == 1_700_438_400_000
    assert isinstance(await refused(world, 21), errors.SpendingLimit)


async def test_platform_limit(world: World) -> None:
    terms = Terms(day_cap=10)
    await spend(world, 9, terms=terms)
    told = await refused(world, terms=terms)
    assert isinstance(told, errors.PlatformLimit)
    assert told.until == (world.clock[0] // HOUR + 25) * HOUR
    told = await refused(world, terms=Terms(month_cap=10))
    assert isinstance(told, errors.PlatformLimit)
    assert told.until == (world.clock[0] // HOUR + 1) * HOUR + 30 * DAY


async def test_a_share_of_a_limit_is_told_once_with_the_gift_that_passes_it(world: World) -> None:
    await world.protect("ann", limits={"h24": 11, "month": 41})
    shares = [(await world.send(count=count)).notice for count in (4, 1, 2, 1, 2)]  # beside the one of before
    assert shares == [0, 50, 0, 80, 100]
    await world.protect("ann", limits={"h24": 101, "month": 22})
    assert [(await world.send(count=count)).notice for count in (6, 1, 4)] == [0, 80, 100]
    await world.protect("ann", limits={"h24": 10**6})
    again = await world.send(count=5, key=(key := world.key()))
    assert (again.notice, (await world.send(count=5, key=key)).notice) == (0, 0)


async def test_shares_are_told_anew_once_what_was_spent_has_left_the_window(world: World) -> None:
    await world.protect("ann", limits={"h24": 10})
    assert (await world.send(count=9)).notice == 100
    world.clock[0] += 26 * HOUR
    assert [(await world.send(count=count)).notice for count in (4, 1)] == [0, 50]


@pytest.mark.one_redis("what one call of commit makes of several gifts")
async def test_gifts_of_one_call_pass_shares_and_limits_one_after_another(world: World) -> None:
    await world.protect("ann", limits={"h24": 11})
    said = await world.together(*({"count": 2} for _ in range(7)))
    assert [reply.how for reply in said] == [0, 0, 50, 80, 100, 0, 0]
    assert [Status(reply.status) for reply in said] == [Status.OK] * 5 + [Status.SPENDING_LIMIT] * 2


async def test_a_balance_of_an_older_version_is_spent_as_granted_coins(world: World) -> None:
    await world.redis.hset(f"{world.base('old')}:coins", "old", "500")
    assert (await world.send("old", count=20)).coins == 480
    account = await account_of(world.redis, world.base("old"), "old")
    assert (account.coins, account.bonus, account.sent, account.day) == (480, 480, 20, 20)
    await world.protect("older", limits={"day": 5})
    assert (await world.ledger.wallets.read("older")).coins == 0


async def test_a_record_of_all_fields_is_one_without_what_restricts_nobody(world: World) -> None:
    """The version that wrote the first records wrote all fields of everyone: it is the same account, and stays it."""
    await world.protect("ann")
    coins, gone = f"{world.base('ann')}:coins", world.clock[0] - DAY
    account = replace(await account_of(world.redis, world.base("ann"), "ann"), purchased=70, velocity=gone)
    ends = []
    for record in (write_account(account), struct.pack("<19d", *astuple(replace(account, notice_at=-1)))):
        await world.redis.hset(coins, "ann", record)
        await spend(world, 3)
        ends.append(await world.redis.hget(coins, "ann"))
        world.clock[0] += 1
    assert [len(end) for end in ends] == [88, 88]
    first, second = map(read_account, ends)
    assert (first.coins, first.purchased, first.sent) == (account.coins - 3, 70, account.sent + 3)
    assert second == replace(first, run_last=first.run_last + 1)


@pytest.mark.parametrize("restricted", [{"limits": {"day": 5_000}}, {"caps": [0, 0, 9_000]}, {"until": 1}])
async def test_what_restricts_is_kept_until_nothing_does(world: World, restricted: dict[str, Any]) -> None:
    coins = f"{world.base('ann')}:coins"
    for protected, size in ((restricted, 152), ({}, 88)):
        await world.protect("ann", **protected)
        before = read_account(await world.redis.hget(coins, "ann"))
        await spend(world, 1)
        record = await world.redis.hget(coins, "ann")
        after = read_account(record)
        assert len(record) == size
        assert all(getattr(after, name) == getattr(before, name) for name in RESTRICTIONS - {"left"})
        assert after.left == before.left - ("limits" in protected)


async def test_a_zone_that_is_changed_ends_no_window_sooner(world: World) -> None:
    """Afreeca's cap began anew at midnight, wherever that was."""
    await world.protect("ann", limits={"day": 10})
    await spend(world, 9)
    record = read_protection((await world.ledger.accounts.read("ann")).record)
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        record = moved(record, zone, world.clock[0])
        await world.ledger.accounts.put("ann", write_protection(record), **WHY)
        told = await refused(world)
        assert isinstance(told, errors.SpendingLimit)
        record = read_protection((await world.ledger.accounts.read("ann")).record)
    assert told.until == 1_700_046_000_000  # when that day is over in the last of them
    world.clock[0] = told.until - 1
    await refused(world)
    world.clock[0] += 1
    await spend(world, 10)


async def test_confirm_required(world: World) -> None:
    terms, key = Terms(confirm_above=5), world.key()
    for _ in range(2):
        assert isinstance(await refused(world, 6, terms=terms, key=key), errors.ConfirmRequired)
    done = await world.send(count=6, terms=terms, key=key, confirmed=True)
    assert (done.duplicate, done.coins) == (False, 9_993)
    assert (await world.send(count=6, terms=terms, key=key)).duplicate
    await spend(world, 5, terms=terms)
    for caps in ({"caps": (0, 0, 4)}, {"guard_caps": (0, 0, 4)}, {"caps": (0, 0, 5), "guard_caps": (0, 0, 4)}):
        await world.protect("ann", **caps)
        assert isinstance(await refused(world, 5, terms=terms), errors.ConfirmRequired)
        await spend(world, 4, terms=terms)


async def test_confirm_required_for_the_first_gift_ever(world: World) -> None:
    terms = Terms(confirm_first=True)
    await spend(world, 1, terms=terms)
    await world.grant("bob", 10)
    assert isinstance(await refused(world, user="bob", terms=terms), errors.ConfirmRequired)
    await spend(world, 1, user="bob", terms=terms, confirmed=True)
    await spend(world, 1, user="bob", terms=terms)


async def test_conflict(world: World) -> None:
    assert await world.protect("bob", limits={"day": 5}) == 1
    assert await world.protect("bob", limits={"day": 6}) == 2
    before = await world.state()
    with pytest.raises(errors.Conflict):
        await world.ledger.accounts.put("bob", b"\x81\xa1v\x01", **WHY)
    assert await world.state() == before
    assert Status.CONFLICT.error is errors.Conflict
