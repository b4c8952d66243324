"""``gift_status``: what became of a gift, within its window and long after, and whom it is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import to_builtins
from redis.asyncio import Redis

from gifting import config, errors
from gifting.ledger import lookup, stream
from gifting.ledger.floors import HOLD_MAX
from gifting.ledger.keys import BUCKET_MS
from gifting.ledger.ledger import Ledger
from gifting.ledger.lookup import read_record
from gifting.model.catalog import load_catalog
from gifting.model.money import DIGEST_SIZE, key_time, parse_key
from gifting.model.packing import pack
from gifting.model.values import RoomRef
from tests.support.keys import new_key
from tests.support.waiting import until

HOUR = 3_600_000


class Shop:
    """A ledger by Redis' own clock, as in life; ``ann`` has coins, ``host`` the room ``r1``."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.redis: Any = ledger.redis
        self.room: RoomRef

    async def send(self, key: str, user: str = "ann", count: int = 2) -> Any:
        sender = self.ledger.gifts.sender(user, {"id": user, "name": user, "picture": "", "level": 0})
        return await self.ledger.gifts.send(sender, self.room, "spark", key, count)

    async def status(self, key: str, user: str = "ann") -> dict[str, Any]:
        found: dict[str, Any] = to_builtins(await self.ledger.gifts.status(user, key))
        return found

    async def forget(self, ahead: int = HOUR) -> None:
        """As if so many ms had passed."""
        await self.ledger.upkeep.floors.raise_to(self.ledger.now_ms() + ahead, HOLD_MAX)

    def stream(self, user: str) -> str:
        return f"{self.ledger.keys.base(user)}:ledger"


@pytest.fixture
async def shop(redis_client: Redis, redis_url: str) -> AsyncIterator[Shop]:
    ledger = Ledger(redis_url, config.load({}, environ={}), load_catalog())
    try:
        await ledger.start()
        made = Shop(ledger)
        made.room = await ledger.rooms.open("r1", "host", "Host", "")
        await ledger.wallets.grant("ann", 100, new_key(), "bought", "operator")
        yield made
    finally:
        await ledger.stop()


@pytest.mark.one_redis("on a cluster repeat and streak are noted with the next debit")
async def test_accepted_with_its_result(shop: Shop) -> None:
    key = new_key()
    result = await shop.send(key)
    found = await shop.status(key)
    assert abs(found.pop("ts") - time.time() * 1000) < 60_000
    expected = {
        "state": "accepted",
        "room": "r1",
        "gift": "spark",
        "count": 2,
        "spent": 2,
        "seq": 1,
        "event_id": "r1.1",
    }
    remembered = {"coins": 98, "repeat_count": 2, "streak_id": "r1.1"}
    assert found == expected | remembered
    assert result.coins == 98
    await shop.forget()
    found = await shop.status(key)
    found.pop("ts")
    assert found == expected


async def test_pending_until_its_credit_is_there(shop: Shop) -> None:
    """As a cluster keeps it: a result of which the credit's half is not known yet."""
    key = new_key()
    await shop.send(key)
    bucket, raw = f"{shop.ledger.keys.base('ann')}:keys:{key_time(parse_key(key)) // BUCKET_MS}", parse_key(key)
    record = await shop.redis.hget(bucket, raw)
    stored = read_record(record)
    await shop.redis.hset(bucket, raw, record[:DIGEST_SIZE] + b"".join(map(pack, stored._replace(seq=0, streak=0))))
    found = await shop.status(key)
    assert (found["seq"], found["event_id"], found["coins"]) == (1, "r1.1", 98)
    assert "pending" not in found
    await shop.redis.delete(shop.stream("host"))
    found = await shop.status(key)
    assert (found["state"], found["coins"], found["pending"]) == ("accepted", 98, True)
    assert "seq" not in found


async def test_refused_with_its_code(shop: Shop) -> None:
    key = new_key()
    with pytest.raises(errors.InsufficientCoins):
        await shop.send(key, "bob")
    assert (await shop.status(key, "bob"))["error"]["code"] == "insufficient_coins"
    old = new_key(round(time.time() * 1000) - 700_000)
    assert await shop.status(old) == {"state": "open"}
    with pytest.raises(errors.KeyExpired):
        await shop.send(old)
    assert (await shop.status(old))["error"]["code"] == "key_expired"


async def test_open_until_it_can_not_be_accepted_any_more(shop: Shop) -> None:
    key = new_key()
    assert await shop.status(key) == {"state": "open"}
    await shop.forget()
    assert await shop.status(key) == {"state": "unknown"}
    with pytest.raises(errors.KeyExpired):
        await shop.send(key)
    assert (await shop.ledger.wallets.read("ann"))[0] == 100


@pytest.mark.attack
async def test_a_gift_is_told_to_its_sender_only(shop: Shop) -> None:
    neighbour = next(f"u{n}" for n in range(1000) if shop.ledger.keys.base(f"u{n}") == shop.ledger.keys.base("ann"))
    key = new_key()
    await shop.send(key)
    for _ in range(2):
        assert (await shop.status(key, neighbour)) == {
            "state": "refused",
            "error": {"code": "key_reused", "message": errors.KeyReused.help},
        }
        await shop.forget()


async def test_a_key_that_is_none(shop: Shop) -> None:
    with pytest.raises(errors.BadKey):
        await shop.status("x")


async def test_ids_that_were_stuck_when_the_clock_had_gone_back(shop: Shop) -> None:
    peak = shop.ledger.now_ms() + 24 * HOUR
    for user in ("ann", "host"):
        await shop.redis.xadd(shop.stream(user), {"e": b""}, id=f"{peak}-7")
    key = new_key()
    await shop.send(key)
    await shop.forget()
    assert await shop.status(key) == {"state": "unknown"}, "this is what the peaks are for"
    await shop.ledger.lookup.note_peaks(shop.ledger.now_ms())
    assert (await shop.status(key))["seq"] == 1


async def test_peaks_are_noted_when_a_node_starts_and_when_the_clock_goes_back(shop: Shop, redis_url: str) -> None:
    upkeep, base = shop.ledger.upkeep, shop.ledger.keys.base("ann")
    peak = shop.ledger.now_ms() + 24 * HOUR
    await shop.redis.xadd(shop.stream("ann"), {"e": b""}, id=f"{peak}-0")
    await shop.ledger.maintain()
    assert await shop.redis.zrange(f"{base}:peaks", 0, -1) == []
    upkeep.clock._offset += HOUR  # type: ignore[operator]
    await shop.ledger.maintain()
    assert await shop.redis.zrange(f"{base}:peaks", 0, -1) == [b"%d" % peak]
    await shop.redis.delete(f"{base}:peaks")
    other = Ledger(redis_url, shop.ledger.settings, load_catalog())
    await other.start()
    await other.stop()
    assert await shop.redis.zrange(f"{base}:peaks", 0, -1) == [b"%d" % peak]


async def test_a_debit_without_its_credit_is_not_called_accepted(shop: Shop) -> None:
    key = new_key()
    await shop.send(key)
    host = shop.stream("host")
    items = await shop.redis.xrange(host)
    await shop.redis.xdel(host, items[-1][0])
    await shop.forget()
    with pytest.raises(errors.OutcomeUnknown, match="operator"):
        await shop.status(key)


# What it may cost.


async def fill(shop: Shop, items: int, size: int) -> None:
    entry = pack(["grant", 0, b"k" * 16, "ann", 1, "x" * size, "op"])
    pipe = shop.redis.pipeline(transaction=False)
    for _ in range(items):
        pipe.xadd(shop.stream("ann"), {"e": entry})
    await pipe.execute()


@pytest.mark.one_redis("it counts the commands of one server")
async def test_a_search_reads_in_pages(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PAGE", 4096)
    monkeypatch.setattr(lookup, "DUTY", 0.0)
    await fill(shop, 300, 1000)
    key = new_key()
    await shop.send(key)
    await shop.redis.config_resetstat()
    assert (await shop.status(key))["state"] == "accepted"
    calls = await shop.redis.info("commandstats")
    assert calls["cmdstat_xrange"]["calls"] >= 300 * 1000 // (2 * 4096)


async def test_a_search_that_would_read_too_much_leaves_it_unknown(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "READ_MAX", 10_000)
    await fill(shop, 30, 1000)
    key = new_key()
    await shop.forget()
    with pytest.raises(errors.OutcomeUnknown, match="too much"):
        await shop.status(key)


@pytest.mark.attack
async def test_one_search_at_a_time_and_one_of_a_user(shop: Shop) -> None:
    key, searching = new_key(), shop.ledger.lookup
    await shop.forget()
    async with searching._searching:  # so that no search has ended before all have asked
        asked = [asyncio.create_task(shop.status(key, "u0"))]
        await until(lambda: searching._users)
        asked += [asyncio.create_task(shop.status(key, f"u{number}")) for number in range(1, 100)]
        asked += [asyncio.create_task(shop.status(key, "u0")) for _ in range(10)]
        await until(lambda: sum(one.done() for one in asked) == 110 - lookup.WAITING_MAX - 1)
    told = await asyncio.gather(*asked, return_exceptions=True)
    answered = [one for one in told if one == {"state": "unknown"}]
    refused = [one for one in told if isinstance(one, errors.Overloaded)]
    limited = [one for one in told if isinstance(one, errors.RateLimited)]
    assert len(answered) + len(refused) + len(limited) == 110
    assert len(answered) == lookup.WAITING_MAX + 1
    assert len(limited) == 10
    assert await shop.status(key) == {"state": "unknown"}
