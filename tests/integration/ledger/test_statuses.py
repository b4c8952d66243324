"""The commit script and its like, status by status, and which of two goes first."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from gifting import errors
from gifting.ledger.keys import DAY_MS, account_keys
from gifting.ledger.payouts import Hold
from gifting.ledger.status import Status
from gifting.model.events import encode_event, encode_host
from gifting.model.money import MAX_AMOUNT, key_time, parse_key
from gifting.model.packing import unpack
from gifting.model.payout_table import PAYOUT
from gifting.model.values import Result, RoomRef
from tests.support.orders import draft
from tests.support.world import LEAD, START, WINDOW, World, a_world


def status_of(reply: bytes) -> Status:
    return Status(unpack(reply)[0])


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
    posted = await world.told(lambda done: world.ledger.free.post(nowhere, encode_event("share", {}), done))
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
@pytest.mark.one_redis("commit is called past the checks in Python")
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


@pytest.mark.one_redis("commit is called past the checks in Python")
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
    assert status_of(await world.raw("room_open", keys, ("r1", "zoe", "Zoe", "", 9, False))) == Status.ROOM_TAKEN
    assert status_of(await world.raw("room_open", keys, ("r1", "host", "Host", "", 9, False))) == Status.OK


async def test_too_many_live_rooms(redis_client: Redis, redis_url: str) -> None:
    async with a_world(redis_url, creator_rooms=1) as world:
        with pytest.raises(errors.TooManyLiveRooms):
            await world.ledger.rooms.open("r2", "host", "Host", "")
        options = ("r2", "host", "Host", "", 1, False)
        keys = [world.ledger.keys.room("host", "r2"), *world.ledger.keys.live(world.base("host"))]
        assert status_of(await world.raw("room_open", keys, options)) == Status.TOO_MANY_LIVE_ROOMS
        await world.ledger.rooms.end(world.room)
        await world.ledger.rooms.open("r2", "host", "Host", "")


async def test_conflict(world: World) -> None:
    """An order that is computed from what is no longer so is not written."""
    order = draft("ann", world.key())
    keys = [*account_keys(world.base("ann")), *world.ledger.keys.orders("ann")]
    for version, least, cold, status in (
        (1, 0, False, Status.CONFLICT),
        (0, 1, False, Status.CONFLICT),
        (0, 0, b"else", Status.CONFLICT),
        (0, 0, b"", Status.OK),
    ):
        options = (
            "ann",
            version,
            order.id,
            b"order",
            0,
            b"",
            0,
            0,
            0,
            0,
            0,
            least,
            0,
            cold,
            1000,
            "EUR",
            "sandbox",
            0,
            "",
        )
        assert status_of(await world.raw("order_put", keys, options)) == status


async def test_promotion_over(world: World) -> None:
    costs = [draft("ann", world.key(), promotion="spring", promotion_cost=cost) for cost in (60, 41, 40)]
    await world.ledger.promotions.hold(costs[0], 100)
    with pytest.raises(errors.PromotionOver):
        await world.ledger.promotions.hold(costs[1], 100)
    await world.ledger.promotions.hold(costs[2], 100)
    assert await world.ledger.promotions.used(["spring", "summer"]) == {"spring": 100, "summer": 0}


@pytest.mark.parametrize(("more", "status"), [(0, Status.OK), (1, Status.NOT_ENOUGH_DIAMONDS)])
async def test_not_enough_diamonds(world: World, more: int, status: Status) -> None:
    """To the last thousandth of a diamond."""
    await world.send()
    has = int(await world.redis.hget(f"{world.base('host')}:diamonds", "host") or 0)
    draft = replace(PAYOUT, host="host", diamonds=has + more)
    before = await world.state()
    if status is Status.OK:
        assert await world.ledger.payouts.request(draft, Hold(0), lambda _: None) == draft
        return
    with pytest.raises(errors.NotEnoughDiamonds):
        await world.ledger.payouts.request(draft, Hold(0), lambda _: None)
    assert await world.state() == before


def test_every_status_is_asked_for_above() -> None:
    here = Path(__file__)
    text = "".join(path.read_text(encoding="utf-8") for path in (here, here.with_name("test_spending.py")))
    asked = "".join(re.findall(r"def (test_\w+)", text)) + "outcome_unknown"  # test_attack_cuts.py
    asked += "ledger_unavailable"  # test_cluster_failures.py
    elsewhere = set(
        re.findall(r"errors\.(\w+)", Path(__file__).with_name("test_people.py").read_text(encoding="utf-8"))
    )
    unasked = [status for status in Status if status.name.lower().removeprefix("key_") not in asked]
    assert [status.name for status in unasked if status.error.__name__ not in elsewhere] == []


@pytest.mark.one_redis("commit is called past the checks in Python")
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
