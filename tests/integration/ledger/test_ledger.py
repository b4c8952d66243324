"""The ledger script by script, status by status, and at its edges."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Callable, Iterator
from math import gcd
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gifting import errors
from gifting.ledger.audit import audit
from gifting.ledger.commit import LIKE, PendingCommit, Reply
from gifting.ledger.connect import MAX_CONNECTIONS
from gifting.ledger.embedded import EmbeddedRedis
from gifting.ledger.keys import DAY_MS, Keys, account_keys
from gifting.ledger.ledger import Ledger
from gifting.ledger.spot import room_spot
from gifting.ledger.status import Status
from gifting.ledger.stream import Span, read_ledger
from gifting.ledger.sweep import SWEEP_MAX
from gifting.model.catalog import load_catalog
from gifting.model.events import encode_event, encode_host
from gifting.model.money import MAX_AMOUNT, diamonds_for, key_time, make_key, parse_key
from gifting.model.values import Result, RoomRef
from gifting.wire.codec import pack, unpack
from tests.support.world import LEAD, START, STREAK, WINDOW, World, a_world


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, like_interval=0) as made:
        await made.grant("ann", 1000)
        yield made


def status_of(reply: bytes) -> Status:
    return Status(unpack(reply)[0])


# commit, status by status.


async def test_ok(world: World) -> None:
    result = await world.send(count=3, message="for you")
    assert result == Result(False, 1, 997, 3, 1)
    (event,) = await world.log()
    assert event == {
        "type": "gift",
        "id": "r1.1",
        "seq": 1,
        "ts": START,
        "user": {"id": "ann", "name": "ann", "picture": "", "level": 1},
        "to_user": {"id": "host", "name": "Host"},
        "gift": world.ledger.catalog["spark"].public(),
        "count": 3,
        "repeat_count": 3,
        "repeat_end": False,
        "streak_id": "r1.1",
        "coins": 3,
        "diamonds": 1500,
        "message": "for you",
    }


async def test_insufficient_coins(world: World) -> None:
    with pytest.raises(errors.InsufficientCoins, match="1000"):
        await world.send(count=1001)
    assert (await world.send(count=1000)).coins == 0


async def test_room_not_found(world: World) -> None:
    nowhere = RoomRef("nowhere", "host", world.base("host"), encode_host({"id": "host", "name": "Host"}))
    of_another = RoomRef("r1", "zoe", world.base("host"), encode_host({"id": "zoe", "name": "Zoe"}))
    for room in (nowhere, of_another):
        with pytest.raises(errors.RoomNotFound):
            await world.send(room=room)
    with pytest.raises(errors.RoomNotFound):
        await world.ledger.rooms.find("nowhere")
    with pytest.raises(errors.RoomNotFound):
        await world.ledger.rooms.snapshot(nowhere)
    with pytest.raises(errors.RoomNotFound):
        await world.ledger.rooms.end(nowhere)
    posted = await world.told(lambda done: world.ledger.free.post(nowhere, "share", {}, done))
    assert isinstance(posted, errors.RoomNotFound)


async def test_room_ended(world: World) -> None:
    await world.ledger.rooms.end(world.room)
    with pytest.raises(errors.RoomEnded):
        await world.send()
    with pytest.raises(errors.RoomEnded):
        await world.ledger.rooms.open("r1", "host", "Host", "")
    liked = await world.told(lambda done: world.ledger.free.like(world.room, 1, done))
    assert isinstance(liked, errors.RoomEnded)
    assert await world.ledger.wallets.read("ann") == (1000, 0)


async def test_own_room(world: World) -> None:
    await world.grant("host", 10)
    with pytest.raises(errors.OwnRoom):
        await world.send("host")
    assert await world.ledger.wallets.read("host") == (10, 0)


async def test_key_reused(world: World) -> None:
    key = world.key()
    await world.send(key=key)
    room = await world.ledger.rooms.open("r2", "host", "", "")
    for other in ({"count": 2}, {"gift": "petal"}, {"message": "else"}, {"room": room}):
        with pytest.raises(errors.KeyReused):
            await world.send(key=key, **other)
    again = await world.send(key=key)
    assert again == Result(True, 1, 999, 1, 1)


async def test_key_expired_and_in_future(world: World) -> None:
    assert (await world.send(key=world.key(WINDOW))).seq == 1
    with pytest.raises(errors.KeyExpired):
        await world.send(key=world.key(WINDOW + 1))
    assert (await world.send(key=world.key(-LEAD))).seq == 2
    with pytest.raises(errors.KeyInFuture):
        await world.send(key=world.key(-LEAD - 1))


@pytest.mark.parametrize("coins", [0, -1, 1.5, 2**53, "5", "0x10", "1e3", float("nan"), float("inf"), None, True])
async def test_bad_amount(world: World, coins: Any) -> None:
    result = await world.raw_gift(coins)
    assert (result.status, result.coins) == (Status.BAD_AMOUNT, 1000)
    key = parse_key(world.key())
    window = 30 * 86_400_000
    day = key_time(key) // DAY_MS
    options = (window, LEAD, day, "ann", key, key_time(key), b"8 bytes!", coins, "reason", "op")
    base = world.base("ann")
    keys = [*account_keys(base, "grants"), f"{base}:grants:{day}"]
    assert status_of(await world.raw("grant", keys, options)) == Status.BAD_AMOUNT
    assert await world.ledger.wallets.read("ann") == (1000, 0)
    assert await world.log() == []


async def test_an_amount_whose_diamonds_would_not_be_exact(world: World) -> None:
    """At 500 milli-diamonds a coin: the amount is looked at before the balance."""
    most = (MAX_AMOUNT - 1) // 500
    assert (await world.raw_gift(most)).status == Status.INSUFFICIENT_COINS
    assert (await world.raw_gift(most + 1)).status == Status.BAD_AMOUNT


@pytest.mark.parametrize("count", [0, -1, 10_000])
async def test_bad_counts_are_refused_at_once(world: World, count: int) -> None:
    with pytest.raises(errors.BadAmount):
        world.ledger.gifts.submit(world.sender("ann"), world.room, "spark", world.key(), count, None, print)
    assert await world.log() == []


@pytest.mark.parametrize("coins", [0, -1, MAX_AMOUNT + 1])
async def test_bad_grants_are_refused_at_once(world: World, coins: int) -> None:
    with pytest.raises(errors.BadAmount):
        await world.grant("ann", coins)


async def test_wallet_full(redis_client: Redis, redis_url: str) -> None:
    async with a_world(redis_url, diamonds_per_coin="900", partitions=1) as world:
        assert await world.grant("ann", MAX_AMOUNT) == (MAX_AMOUNT, False)
        for user in ("ann", "bob"):  # bob: the coins issued by one partition have the same limit
            with pytest.raises(errors.WalletFull):
                await world.grant(user, 1)
        dearest = max(world.ledger.catalog, key=lambda gift: gift.coins)
        coins = dearest.coins * 9_999
        for _ in range(MAX_AMOUNT // (coins * 900_000)):
            await world.send(gift=dearest.id, count=9_999)
        before = await world.ledger.wallets.read("ann")
        with pytest.raises(errors.WalletFull):
            await world.send(gift=dearest.id, count=9_999)
        assert await world.ledger.wallets.read("ann") == before


async def test_a_room_that_can_not_count_more(world: World) -> None:
    """It takes longer than a host's wallet where coins earn little."""
    await world.redis.hset(world.ledger.keys.room("host", "r1"), "coins", MAX_AMOUNT - 1)
    assert (await world.send()).seq == 1
    with pytest.raises(errors.WalletFull):
        await world.send()
    assert await world.ledger.wallets.read("ann") == (999, 0)


async def test_room_taken(world: World) -> None:
    with pytest.raises(errors.RoomTaken):
        await world.ledger.rooms.open("r1", "zoe", "Zoe", "")
    keys = [world.ledger.keys.room("host", "r1"), *world.ledger.keys.live(world.base("host"))]
    assert status_of(await world.raw("room_open", keys, ("r1", "zoe", "Zoe", "", 9))) == Status.ROOM_TAKEN
    assert status_of(await world.raw("room_open", keys, ("r1", "host", "Host", "", 9))) == Status.OK


async def test_too_many_live_rooms(redis_client: Redis, redis_url: str) -> None:
    async with a_world(redis_url, creator_rooms=1) as world:
        with pytest.raises(errors.TooManyLiveRooms):
            await world.ledger.rooms.open("r2", "host", "Host", "")
        options = ("r2", "host", "Host", "", 1)
        keys = [world.ledger.keys.room("host", "r2"), *world.ledger.keys.live(world.base("host"))]
        assert status_of(await world.raw("room_open", keys, options)) == Status.TOO_MANY_LIVE_ROOMS
        await world.ledger.rooms.end(world.room)
        await world.ledger.rooms.open("r2", "host", "Host", "")


def test_every_status_is_asked_for_above() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    asked = "".join(re.findall(r"def (test_\w+)", text)) + "outcome_unknown"  # test_attack_cuts.py
    assert [status.name for status in Status if status.name.lower().removeprefix("key_") not in asked] == []


async def test_of_two_refusals_the_one_that_goes_before(world: World) -> None:
    """The amount, the room, the balance, the room's numbers."""
    room = world.ledger.keys.room("host", "r1")
    await world.redis.hset(room, "coins", MAX_AMOUNT)
    with pytest.raises(errors.InsufficientCoins):
        await world.send("bob")
    await world.ledger.rooms.end(world.room)
    with pytest.raises(errors.RoomEnded):
        await world.send("bob")
    assert (await world.raw_gift(0)).status == Status.BAD_AMOUNT


# Keys.


async def test_a_refusal_is_remembered(world: World) -> None:
    key = world.key()
    with pytest.raises(errors.InsufficientCoins):
        await world.send("bob", count=5, key=key)
    await world.grant("bob", 100)
    with pytest.raises(errors.InsufficientCoins, match="There are 0 coins"):
        await world.send("bob", count=5, key=key)
    (again,) = await world.together({"user": "bob", "count": 5, "key": key})
    assert again == Reply(1, Status.INSUFFICIENT_COINS, 0, 0, 0, 0)
    assert (await world.send("bob", count=5)).coins == 95


async def test_a_key_is_known_beyond_its_window(world: World) -> None:
    key = world.key()
    first = await world.send(key=key)
    world.clock[0] += WINDOW
    assert await world.send(key=key) == first._replace(duplicate=True)
    world.clock[0] += 1
    assert await world.send(key=key) == first._replace(duplicate=True)
    world.clock[0] += 60_000
    await world.forget()
    with pytest.raises(errors.KeyExpired):
        await world.send(key=key)
    assert await world.ledger.wallets.read("ann") == (999, 0)


async def test_keys_of_both_sides_of_a_bucket_edge(world: World) -> None:
    edge = START - START % 60_000
    keys = [make_key(edge + offset, bytes(10)) for offset in (-1, 0, 59_999, 60_000)]
    world.clock[0] = edge + 60_000
    fresh = await world.together(*({"key": key} for key in keys))
    again = await world.together(*({"key": key} for key in keys))
    assert [result.duplicate for result in fresh] == [0] * 4
    assert again == [result._replace(duplicate=1) for result in fresh]


async def test_duplicates_within_one_call(world: World) -> None:
    key = world.key()
    results = await world.together({"key": key}, {"key": key}, {"key": key, "count": 2}, {})
    assert [(result.duplicate, result.status) for result in results] == [
        (0, Status.OK),
        (1, Status.OK),
        (0, Status.KEY_REUSED),
        (0, Status.OK),
    ]
    assert results[0].seq == results[1].seq == 1
    assert (await world.ledger.wallets.read("ann"))[0] == 998


async def test_grants_are_issued_once(world: World) -> None:
    key = world.key()
    assert await world.grant("bob", 5, key) == (5, False)
    await world.send("bob", count=2)
    assert await world.grant("bob", 5, key) == (5, True)
    with pytest.raises(errors.KeyReused):
        await world.grant("bob", 6, key)
    assert await world.grant("bob", 5, key) == (5, True)
    window = 30 * 86_400_000
    with pytest.raises(errors.KeyExpired):
        await world.grant("bob", 5, world.key(window + 1))
    with pytest.raises(errors.KeyInFuture):
        await world.grant("bob", 5, world.key(-LEAD - 1))
    assert await world.ledger.wallets.read("bob") == (3, 0)


# Money.


async def test_the_largest_balance_is_exact(redis_client: Redis, redis_url: str) -> None:
    async with a_world(redis_url) as world:
        assert await world.grant("ann", MAX_AMOUNT) == (MAX_AMOUNT, False)
        for left in (MAX_AMOUNT - 1, MAX_AMOUNT - 2):
            assert (await world.send()).coins == left
            assert await world.ledger.wallets.read("ann") == (left, 0)
            assert await world.ledger.wallets.read("host") == (0, (MAX_AMOUNT - left) * 500)
        (grant, *_) = [entry async for _, _, entry in read_ledger(world.redis, {world.base("ann"): Span()})]
        assert grant.coins == MAX_AMOUNT


@pytest.mark.parametrize("rate", ["1/3", "2/3", "1/7000", "999/1000000"])
async def test_remainders_are_carried(redis_client: Redis, redis_url: str, rate: str) -> None:
    async with a_world(redis_url, diamonds_per_coin=rate) as world:
        await world.grant("ann", 1000)
        numerator, denominator = world.ledger.settings.diamond_rate()
        carry = total = 0
        for coins in (1, 2, 1, 5, 1, 1, 99):
            diamonds, carry = diamonds_for(coins, (numerator, denominator), carry)
            total += diamonds
            await world.send(count=coins)
            assert (await world.log())[-1]["diamonds"] == diamonds
        assert (await world.ledger.wallets.read("host"))[1] == total == 110 * numerator // denominator


async def test_the_stream_has_an_entry_of_each_side(world: World) -> None:
    key = world.key()
    await world.send(count=3, key=key)
    ends = dict.fromkeys(world.ledger.keys.bases, Span())
    entries = [entry async for _, _, entry in read_ledger(world.redis, ends)]
    assert sorted(type(entry).__name__ for entry in entries) == ["Credit", "Debit", "Grant"]
    assert [entry.key for entry in entries if entry.coins == 3] == [parse_key(key)] * 2


async def test_coins_run_out_in_mid_batch(world: World) -> None:
    await world.grant("bob", 3)
    results = await world.together(
        {"user": "bob", "count": 2}, {"user": "bob", "count": 2}, {"user": "bob"}, {"user": "bob"}, {}
    )
    statuses = [Status(result.status).name for result in results]
    assert statuses == ["OK", "INSUFFICIENT_COINS", "OK", "INSUFFICIENT_COINS", "OK"]
    assert [result.coins for result in results] == [1, 1, 0, 0, 999]
    assert [event["seq"] for event in await world.log()] == [1, 2, 3]


async def test_a_full_batch_over_many_partitions(world: World) -> None:
    rooms = [await world.ledger.rooms.open(f"s{number}", f"h{number}", "", "") for number in range(20)]
    results = await world.together(*({"room": rooms[number % 20]} for number in range(256)))
    assert [result.coins for result in results] == list(range(999, 743, -1))
    for number, room in enumerate(rooms):
        assert [event["seq"] for event in await world.log(room)] == list(range(1, 14 if number < 16 else 13))
    assert world.ledger.batcher.items == 256


# Streaks.


async def test_more_calls_at_once_than_there_are_connections(world: World, redis_url: str) -> None:
    """As when a node that does not know a room yet is sent many gifts for it."""
    room = await world.ledger.rooms.open("r2", "host", "Host", "")
    async with a_world(redis_url) as other:
        assert {room} == set(await asyncio.gather(*(other.ledger.rooms.find("r2") for _ in range(4 * MAX_CONNECTIONS))))


async def test_a_batch_that_touches_every_partition_there_can_be(redis_client: Redis, redis_url: str) -> None:
    """A partition's place in the call takes one, two or three bytes."""
    async with a_world(redis_url, partitions=256) as world:
        hosts = [f"host-{number}" for number in range(250)]
        rooms = [await world.ledger.rooms.open(f"of-{host}", host, host, "") for host in hosts]
        assert len({room.base for room in rooms}) > 128
        await world.grant("ann", 1000)
        results = await world.together(*({"room": room} for room in rooms))
        assert [result.status for result in results] == [Status.OK] * len(rooms)
        assert [await world.ledger.wallets.read(host) for host in hosts] == [(0, 500)] * len(hosts)
        assert (await audit(world.redis, world.ledger.keys)).clean


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


# Rooms.


async def test_likes_are_folded(world: World) -> None:
    told: list[Any] = []
    for count in (1, 2, 3):
        world.ledger.free.like(world.room, count, told.append)
    await world.ledger.flush(5)
    assert [result.seq for result in told] == [1, 1, 1]
    assert (await world.told(lambda done: world.ledger.free.like(world.room, 4, done))).seq == 2
    log = await world.log()
    assert [(event["type"], event["count"], event["total"]) for event in log] == [
        ("like", 6, 6),
        ("like", 4, 10),
    ]


async def test_likes_stop_at_the_largest_number(world: World) -> None:
    event = encode_event("like", {"count": MAX_AMOUNT}, decided=1)
    spot = room_spot(world.room.base, world.room.id)
    like = PendingCommit(LIKE, None, spot, None, pack(("r1", "host", event, MAX_AMOUNT))[1:], print, 0.0)
    await world.raw_commit(like, like)
    assert [event["total"] for event in await world.log()] == [MAX_AMOUNT] * 2
    assert (await world.ledger.rooms.snapshot(world.room)).likes == MAX_AMOUNT


async def test_the_end_of_a_room(world: World) -> None:
    await world.send(gift="petal")
    await world.send()
    await world.ledger.rooms.presence(world.room, "node", 3)
    assert await world.ledger.rooms.live("start", "", 10) == (["r1"], "")
    await world.ledger.rooms.end(world.room)
    after = await world.state()
    await world.ledger.rooms.end(world.room)
    assert (await world.state()).keys() == after.keys()
    log = await world.log()
    assert [(event["type"], event.get("streak_id")) for event in log[2:]] == [
        ("gift", "r1.1"),
        ("gift", "r1.2"),
        ("stream_end", None),
    ]
    snapshot = await world.ledger.rooms.snapshot(world.room)
    assert (snapshot.state, snapshot.streaks, snapshot.seq) == ("ended", [], 5)
    assert await world.ledger.rooms.live("viewers", "", 10) == ([], "")
    world.clock[0] += STREAK + 1
    assert (await world.ledger.sweeper.sweep())[0] == 0
    for part in ("log", "top", "users", "presence"):
        assert await world.redis.pttl(f"{world.ledger.keys.room('host', 'r1')}/{part}") > 0
    assert await world.ledger.rooms.presence(world.room, "node", 3) == 0


@pytest.mark.parametrize("part", ["log", "streaks", "top", "users", "presence"])
async def test_no_room_id_reaches_into_another_room(world: World, part: str) -> None:
    """A creator chooses the id, of the characters that ids have."""
    for mark in "_.:@-":
        await world.ledger.rooms.open(f"r1{mark}{part}", "host", "Host", "")
    assert (await world.send()).seq == 1
    assert await world.ledger.rooms.presence(world.room, "node", 3) == 3
    await world.ledger.rooms.end(world.room)
    assert len(await world.log()) == 3


async def test_presence(world: World) -> None:
    presence = world.ledger.rooms.presence
    assert await presence(world.room, "a", 3) == 3
    assert await presence(world.room, "b", 4) == 7
    world.clock[0] += 15_000
    assert await presence(world.room, "a", 2) == 6
    world.clock[0] += 1
    assert (await world.ledger.rooms.snapshot(world.room)).viewers == 2
    assert await presence(world.room, "a", 0) == 0
    assert not await world.redis.exists(f"{world.ledger.keys.room('host', 'r1')}/presence")


async def test_the_ranking(world: World) -> None:
    await world.grant("bob", 10)
    await world.send(count=2)
    await world.send("bob", count=5)
    await world.send(count=1)
    top = await world.ledger.rooms.top(world.room, 5)
    assert [(row.user.id, row.coins) for row in top] == [("bob", 5), ("ann", 3)]
    assert await world.ledger.rooms.top(world.room, 1) == top[:1]
    assert (await world.ledger.rooms.snapshot(world.room)).top == top


async def test_a_new_ranking_is_told_once(world: World) -> None:
    await world.send()
    await world.send()
    batches = [batch async for batch in world.ledger.rooms.batches(world.room, 0)]
    assert [bool(batch.rank) for batch in batches] == [True, False]


async def test_a_snapshot_has_the_heaviest_streaks_of_many(world: World) -> None:
    for number in range(120):
        await world.grant(f"u{number}", 1000)
    await world.together(*({"user": f"u{number}", "count": number + 1} for number in range(120)))
    streaks = (await world.ledger.rooms.snapshot(world.room)).streaks
    assert [streak.repeat_count for streak in streaks] == list(range(120, 20, -1))
    assert {streak.count for streak in streaks} == {0}


async def test_the_log_is_trimmed_to_what_is_kept(redis_client: Redis, redis_url: str) -> None:
    async with a_world(redis_url, log_keep=100) as world:
        await world.grant("ann", 1000)
        for _ in range(500):
            await world.send()
        log = await world.log()
        assert 100 <= len(log) < 400
        assert [event["seq"] for event in log] == list(range(501 - len(log), 501))


async def test_replay_gives_what_came_after(world: World) -> None:
    for _ in range(3):
        await world.together({}, {}, {})
    for since in range(10):
        seqs = [
            entry.seq
            async for batch in world.ledger.rooms.batches(world.room, since, page=1)
            for entry in batch.entries()
        ]
        assert seqs == list(range(since + 1, 10))


async def test_what_a_call_logs_is_cut_into_batches_of_a_bounded_size(redis_client: Redis, redis_url: str) -> None:
    """One call of 512 gifts with long messages; each batch has the totals after it, and the audit reads them all."""
    async with a_world(redis_url) as world:
        await world.grant("ann", 1_000_000)
        message = "\N{GRINNING FACE}" * 200
        for gift in ("spark", "skateboard") * 256:
            world.ledger.gifts.submit(world.sender("ann"), world.room, gift, world.key(), 1, message, lambda _: None)
        await world.ledger.batcher.drain()
        assert world.ledger.batcher.batches == 1
        log = world.ledger.keys.log("host", "r1")
        sizes = [len(fields[b"b"]) for _, fields in await world.redis.xrange(log)]
        assert len(sizes) > 5
        assert max(sizes) < 65_536 + 20_000
        batches = [batch async for batch in world.ledger.rooms.batches(world.room, 0)]
        assert [bool(batch.rank) for batch in batches] == [False] * (len(batches) - 1) + [True]
        assert [entry.seq for batch in batches for entry in batch.entries()] == list(range(1, 513))
        for batch, following in itertools.pairwise(batches):
            spent = sum(unpack(following.events[entry.start : entry.end])["coins"] for entry in following.entries())
            assert following.totals.coins - batch.totals.coins == spent
        report = await audit(world.redis, world.ledger.keys)
        assert not report.problems


@pytest.mark.parametrize("size", [1, 100_000, 10**9])
async def test_a_page_of_the_log_has_a_size(redis_client: Redis, redis_url: str, size: int) -> None:
    async with a_world(redis_url) as world:
        await world.grant("ann", 1_000_000)
        for _ in range(3):
            for _ in range(200):
                key, text = world.key(), "x" * 200
                world.ledger.gifts.submit(world.sender("ann"), world.room, "spark", key, 1, text, lambda _: None)
            await world.ledger.batcher.drain()
        page = await world.ledger.rooms.replay(world.room, 150, size)
        assert page[0].first <= 151 <= page[0].last
        assert sum(len(batch.events) for batch in page[:-1]) < size
        assert sum(len(batch.events) for batch in page) < size + 66_000
        if size == 10**9:
            assert page[-1].last == 600
        assert await world.ledger.rooms.replay(world.room, 600, size) == []


async def test_batches_are_published_as_they_are_logged(world: World) -> None:
    async with world.redis.pubsub() as channel:
        await channel.subscribe(f"{world.room.base}:events")
        await world.together({}, {})
        async with asyncio.timeout(10):
            async for message in channel.listen():
                if message["type"] == "message":
                    break
    ((_, fields),) = await world.redis.xrange(world.ledger.keys.log("host", "r1"))
    assert message["data"] == fields[b"b"]


# Redis.


async def test_scripts_that_redis_forgot_are_loaded_again(world: World) -> None:
    calls: list[Callable[[], Any]] = [
        world.send,
        lambda: world.grant("ann", 1),
        lambda: world.ledger.rooms.snapshot(world.room),
        lambda: world.ledger.rooms.top(world.room, 1),
        lambda: world.ledger.rooms.presence(world.room, "a", 1),
        world.ledger.sweeper.sweep,
        lambda: world.ledger.rooms.open("r2", "host", "", ""),
        lambda: world.ledger.rooms.end(world.room),
    ]
    for call in calls:
        await world.redis.script_flush()
        await call()
    assert (await world.ledger.wallets.read("ann"))[0] == 1000


async def test_full_redis_changes_nothing(tmp_path: Path) -> None:
    embedded = EmbeddedRedis(tmp_path / "data")
    await embedded.start()
    try:
        async with a_world(embedded.url) as world:
            await world.grant("ann", 10)
            await world.send()
            before = await world.state()
            await world.redis.config_set("maxmemory", 1)
            key = world.key()
            for call in (
                world.send(key=key),
                world.grant("ann", 1),
                world.ledger.rooms.end(world.room),
                world.ledger.rooms.open("r2", "host", "", ""),
            ):
                with pytest.raises(errors.LedgerFull):
                    await call
            assert (await world.ledger.rooms.snapshot(world.room)).seq == 1
            assert await world.state() == before
            await world.redis.config_set("maxmemory", 0)
            assert (await world.send(key=key)).coins == 8
    finally:
        await embedded.stop()


async def test_a_rate_at_which_the_dearest_gift_is_not_exact(redis_client: Redis, redis_url: str) -> None:
    """Milli-diamonds per coin as a fraction of 1000ths, so that only its numerator counts."""
    most = MAX_AMOUNT // (max(gift.coins for gift in load_catalog()) * 9_999)
    below = next(number for number in range(most - 1, 0, -1) if gcd(number, 1000) == 1)
    above = next(number for number in range(most + 1, 2 * most) if gcd(number, 1000) == 1)
    async with a_world(redis_url, diamonds_per_coin=f"{below}/1000000"):
        pass
    await redis_client.flushall()
    with pytest.raises(errors.BadSetting, match="no longer exact"):
        async with a_world(redis_url, diamonds_per_coin=f"{above}/1000000"):
            pass


async def test_other_partitions_than_the_data_has(redis_client: Redis, redis_url: str) -> None:
    async with a_world(redis_url, partitions=16):
        pass
    with pytest.raises(errors.BadSetting, match=r"partitions 16, the settings 8.*can't be changed"):
        async with a_world(redis_url, partitions=8):
            raise AssertionError


async def test_a_script_that_leaves_its_partition_is_stopped(cluster_redis_url: str) -> None:
    """What the machine on the cluster relies on."""
    async with Redis.from_url(cluster_redis_url) as client:
        text = "#!lua\nreturn redis.call('GET', 'gifting:{p01}:coins')"
        with pytest.raises(ResponseError, match="do not hash to the same slot"):
            await client.eval(text, 1, "gifting:{p00}")


def test_partitions_spread_users() -> None:
    keys = Keys("gifting", 16)
    assert {keys.base(f"u{number}") for number in range(500)} == set(keys.bases)


def test_keys_are_of_their_partition() -> None:
    keys = Keys("gifting", 16)
    names: Iterator[str] = iter(
        [keys.meta, keys.revisions, keys.directory("r"), keys.room("h", "r"), keys.log("h", "r")]
    )
    assert all(any(name.startswith(f"{base}:") for base in keys.bases) for name in names)
