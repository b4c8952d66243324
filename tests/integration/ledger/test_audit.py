"""The audit: it finds what is wrong, names it, and finds nothing while all is well."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import astuple, replace

from gifting.errors import BadSetting, InsufficientCoins
from gifting.ledger import audit as audit_module
from gifting.ledger import stream as ledger_stream
from gifting.ledger.audit import audit
from gifting.ledger.audit import rooms as audit_rooms
from gifting.ledger.audit.causes import EXAMPLES_MAX
from gifting.ledger.audit.report import KEPT_MAX, Findings
from gifting.ledger.cluster.slots import tags
from gifting.ledger.entry_parser import parse_entries
from gifting.ledger.keys import Keys
from gifting.ledger.status import Status
from gifting.model.packing import pack, unpack
from gifting.wire.batch import read_batches
from tests.support.accounts import add_to_account
from tests.support.tampering import PLAIN, START, STREAKABLE, USERS, World, a_full_world, a_world


@pytest.fixture
async def world(redis_url: str, redis_client: Any) -> AsyncIterator[World]:
    async with a_full_world(redis_url) as world:
        yield world


async def test_sound_books_are_clean_and_counted(world: World) -> None:
    report = await audit(world.redis, world.ledger.keys)
    assert (report.total, report.problems) == (0, [])
    assert report.clean
    assert (report.grants, report.gifts, report.rooms, report.users) == (4, 15, 3, 5)
    seqs = [int(await world.redis.hget(world.room(room), "seq")) for room in world.rooms]
    assert report.events == sum(seqs)
    assert report.lines()[-1] == "clean"


async def test_books_without_an_entry_are_clean(redis_url: str, redis_client: Any) -> None:
    async with a_world(redis_url) as world:
        assert (await audit(world.redis, world.ledger.keys)).clean


async def test_nothing_at_all_is_not_called_clean(world: World) -> None:
    named = tags if world.ledger.keys.apart else lambda _: None
    for keys in (Keys("gifting", 8, named(8)), Keys("other", 16, named(16))):
        with pytest.raises(BadSetting, match="no such books"):
            await audit(world.redis, keys)


async def test_an_ended_room_may_lose_its_log_and_ranking(world: World) -> None:
    await world.redis.delete(f"{world.room('r3')}/log", f"{world.room('r3')}/top")
    assert await world.problems() == set()


async def test_a_key_below_the_floor_may_be_forgotten(world: World) -> None:
    for base in world.ledger.keys.bases:
        await world.redis.hset(f"{base}:floors", mapping={"keys": world.now + 1, "grants": world.now + 1})
        for name in await world.redis.keys(f"{base}:[kg]*s:*"):
            await world.redis.delete(name)
    assert await world.problems() == set()


async def test_a_refused_key_needs_no_entry(world: World) -> None:
    with pytest.raises(InsufficientCoins):
        await world.send("ann", "r2", PLAIN, 999)
    report = await audit(world.redis, world.ledger.keys)
    assert (report.problems, report.keys) == ([], 4 + 15 + 1)


async def test_keys_that_came_after_the_cut_have_their_entries_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: Callable[..., Any] = audit_module.take_cut  # type: ignore[attr-defined]

    async def before_more(*args: Any) -> Any:
        cut = await taken(*args)
        await world.grant("eve", 5)
        await world.send("ann", "r2", PLAIN)
        return cut

    monkeypatch.setattr(audit_module, "take_cut", before_more)
    assert await world.problems() == set()


async def test_a_trimmed_log_is_read_from_where_it_starts(world: World) -> None:
    for trimmed in (1, 2, 5, 6):
        (first,) = (await world.redis.xrange(f"{world.room('r1')}/log"))[:1]
        await world.redis.xdel(f"{world.room('r1')}/log", first[0])
        assert await world.problems() == set(), trimmed


class Trimming:
    """A client with which a log loses its first items as soon as some of it has been read."""

    def __init__(self, redis: Any, log: str, lost: int) -> None:
        self._redis = redis
        self._log = log
        self._lost = lost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._redis, name)

    async def xrange(self, key: str, **options: Any) -> Any:
        page = await self._redis.xrange(key, **options)
        if key == self._log and self._lost:
            items = await self._redis.xrange(key, count=self._lost)
            await self._redis.xdel(key, *(item_id for item_id, _ in items))
            self._lost = 0
        return page


@pytest.mark.parametrize("lost", [2, 3, 6, 1000])
async def test_a_log_may_be_trimmed_while_it_is_read(world: World, lost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_rooms, "PAGE", 2)
    redis = Trimming(world.redis, f"{world.room('r1')}/log", lost)
    if lost == 1000:
        # Trimmed beyond the cut: only what came after it is left.
        await world.send("ann", "r1", PLAIN)
        taken = audit_rooms.audit_rooms

        async def after_the_cut(*args: Any) -> None:
            await world.send("ann", "r1", PLAIN)
            redis._lost = await world.redis.xlen(f"{world.room('r1')}/log") - 1
            await taken(*args)

        monkeypatch.setattr(audit_module, "audit_rooms", after_the_cut)
    report = await audit(redis, world.ledger.keys)
    assert report.problems == []


async def test_a_key_is_its_senders_partitions(world: World) -> None:
    elsewhere = next(user for user in USERS if world.base(user) != world.base("ann"))
    key = world.key()
    for user in ("ann", elsewhere):
        await world.ledger.gifts.send(world.sender(user), world.rooms["r2"], PLAIN, key)
    assert await world.problems() == set()


def first_of(kind: bytes) -> Callable[[list[Any]], bool]:
    """Whether an entry is the first of its kind."""
    seen = []

    def is_first(entry: list[Any]) -> bool:
        if entry[0] == kind:
            seen.append(entry)
        return entry[0] == kind and len(seen) == 1

    return is_first


def changed(kind: bytes, place: int, delta: Any) -> Callable[[list[Any]], Iterator[list[Any]]]:
    """The first entry of a kind, with one field changed."""
    wanted = first_of(kind)

    def change(entry: list[Any]) -> Iterator[list[Any]]:
        if wanted(entry):
            entry[place] += delta
        yield entry

    return change


def doubled(kind: bytes) -> Callable[[list[Any]], Iterator[list[Any]]]:
    wanted = first_of(kind)

    def change(entry: list[Any]) -> Iterator[list[Any]]:
        yield entry
        if wanted(entry):
            yield entry

    return change


async def coins(world: World) -> None:
    await add_to_account(world.redis, world.base("ann"), "ann", coins=1)


async def negative(world: World) -> None:
    await world.redis.hset(f"{world.base('ann')}:coins", "ann", -1)


async def bonus(world: World) -> None:
    await add_to_account(world.redis, world.base("ann"), "ann", bonus=1)


async def owed(world: World) -> None:
    await add_to_account(world.redis, world.base("ann"), "ann", debt=1)


async def sent(world: World) -> None:
    await add_to_account(world.redis, world.base("ann"), "ann", sent=1)


async def broken_account(world: World) -> None:
    await world.redis.hset(f"{world.base('ann')}:coins", "ann", b"\0" * 17)


async def too_large(world: World) -> None:
    await world.redis.hset(f"{world.base('hal')}:diamonds", "hal", 2**53)


async def no_number(world: World) -> None:
    await world.redis.hset(f"{world.base('hal')}:carry", "hal/7", "1e3")


async def diamonds(world: World) -> None:
    await world.redis.hincrby(f"{world.base('hal')}:diamonds", "hal", 1)


async def carry(world: World) -> None:
    await world.redis.hincrby(f"{world.base('hal')}:carry", "hal/7", 1)


async def totals(world: World) -> None:
    await world.redis.hincrby(f"{world.base('ann')}:totals", "issued", 1)
    await world.redis.hincrby(f"{world.base('ann')}:totals", "spent", 1)


async def conservation(world: World) -> None:
    await world.redis.hincrby(f"{world.base('ann')}:totals", "spent", 1)


async def misplaced(world: World) -> None:
    elsewhere = next(base for base in world.ledger.keys.bases if base != world.base("ann"))
    await world.redis.hset(f"{elsewhere}:coins", "ann", 0)


async def grant_twice(world: World) -> None:
    await world.change_entries(world.base("ann"), doubled(b"grant"))


async def debit_twice(world: World) -> None:
    await world.change_entries(world.base("ann"), doubled(b"debit"))


async def credit_twice(world: World) -> None:
    await world.change_entries(world.base("hal"), doubled(b"credit"))


async def wrong_diamonds(world: World) -> None:
    await world.change_entries(world.base("hal"), changed(b"credit", 8, 1))


async def other_room_debited(world: World) -> None:
    await world.change_entries(world.base("ann"), changed(b"debit", 4, b"x"))


async def other_gift_debited(world: World) -> None:
    await world.change_entries(world.base("ann"), changed(b"debit", 6, b"x"))


async def other_gift_count_debited(world: World) -> None:
    await world.change_entries(world.base("ann"), changed(b"debit", 7, 1))


def fresh_key() -> bytes:
    """Of a time that has not been forgotten: one of random bytes alone may be."""
    return START.to_bytes(6, "big") + os.urandom(10)


async def float_amount(world: World) -> None:
    extra = pack(("grant", START, fresh_key(), "ann", 1.5, "bought", "operator"))
    await world.redis.xadd(f"{world.base('ann')}:ledger", {"e": extra})


async def unknown_entry(world: World) -> None:
    await world.redis.xadd(f"{world.base('ann')}:ledger", {"e": pack(("refund", 1))})


async def lone_debit(world: World) -> None:
    """Paid, and nothing came of it."""
    base = world.base("ann")
    extra = pack(("debit", START, fresh_key(), "ann", "r1", "hal", STREAKABLE, 1, 1))
    await world.redis.xadd(f"{base}:ledger", {"e": extra})
    await add_to_account(world.redis, base, "ann", coins=-1, bonus=-1, sent=1)
    await world.redis.hincrby(f"{base}:totals", "spent", 1)


async def lone_credit(world: World) -> None:
    """Earned, and nobody paid; no event tells of it."""
    base, room = world.base("ida"), world.room("r2")
    await world.append_event("r2", {"type": "comment", "text": ""}, (0, 0, 0))
    extra = pack(("credit", START, fresh_key(), "ann", "r2", "ida", 1, 7, 1000, 1000, 7))
    await world.redis.xadd(f"{base}:ledger", {"e": extra})
    await world.redis.hincrby(f"{base}:diamonds", "ida", 1000)
    await world.redis.hset(room, mapping={"coins": 7, "diamonds": 1000})
    await world.redis.zadd(f"{room}/top", {"ann": 7})


async def earlier_credit(world: World) -> None:
    def moved(entry: list[Any]) -> Iterator[list[Any]]:
        if entry[0] == b"credit" and entry[4] == b"r1" and entry[6] > 10:
            entry[6] = 1
        yield entry

    await world.change_entries(world.base("hal"), moved)


async def lost_ledger_entry(world: World) -> None:
    (first, *_) = await world.redis.xrange(f"{world.base('dee')}:ledger")
    (entry,) = parse_entries(first[1][b"e"])
    assert type(entry).__name__ == "Grant"
    await world.redis.xdel(f"{world.base('dee')}:ledger", first[0])


async def a_bucket(world: World, kind: str = "keys") -> tuple[str, bytes, bytes]:
    """A bucket that has something, and a key and what is kept of it."""
    for base in world.ledger.keys.bases:
        for name in await world.redis.keys(f"{base}:{kind}:*"):
            key, value = next(iter((await world.redis.hgetall(name)).items()))
            return name.decode(), key, value
    raise AssertionError


async def forgotten_gift(world: World) -> None:
    bucket, key, _ = await a_bucket(world)
    await world.redis.hdel(bucket, key)


async def forgotten_grants(world: World) -> None:
    bucket, _, _ = await a_bucket(world, "grants")
    await world.redis.delete(bucket)


async def misplaced_key(world: World) -> None:
    bucket, key, value = await a_bucket(world)
    stem, _, number = bucket.rpartition(":")
    await world.redis.hdel(bucket, key)
    await world.redis.hset(f"{stem}:{int(number) + 1}", key, value)


async def key_before_its_effects(world: World) -> None:
    bucket, key, value = await a_bucket(world)
    await world.redis.hset(bucket, key[:-1] + bytes((key[-1] ^ 1,)), value)


async def key_kept_as_refused(world: World) -> None:
    bucket, key, value = await a_bucket(world)
    await world.redis.hset(bucket, key, value[:8] + bytes((Status.WALLET_FULL,)) + value[9:])


async def garbage_kept(world: World) -> None:
    bucket, key, _ = await a_bucket(world)
    await world.redis.hset(bucket, key, b"short")


async def room_lost(world: World) -> None:
    await world.redis.delete(world.room("r1"))


async def room_unlisted(world: World) -> None:
    await world.redis.hdel(f"{world.base('r1')}:directory", "r1")


async def room_of_another(world: World) -> None:
    await world.redis.hset(world.room("r1"), "host", "ida")


async def room_coins(world: World) -> None:
    await world.redis.hincrby(world.room("r1"), "coins", 1)


async def room_diamonds(world: World) -> None:
    await world.redis.hincrby(world.room("r3"), "diamonds", -1)


async def room_likes(world: World) -> None:
    await world.redis.hincrby(world.room("r1"), "likes", 1)


async def ranking(world: World) -> None:
    await world.redis.zincrby(f"{world.room('r1')}/top", 1, "ann")


async def ended_ranking(world: World) -> None:
    await world.redis.zrem(f"{world.room('r3')}/top", "ann")


async def log_gap(world: World) -> None:
    items = await world.redis.xrange(f"{world.room('r1')}/log")
    # The plain gift: its loss does not break a streak.
    ((item_id, _),) = [one for one in items if PLAIN.encode() in one[1][b"b"]]
    assert item_id.endswith(b"-1")
    await world.redis.xdel(f"{world.room('r1')}/log", item_id)


async def log_end_lost(world: World) -> None:
    ((last, _),) = await world.redis.xrevrange(f"{world.room('r1')}/log", count=1)
    await world.redis.xdel(f"{world.room('r1')}/log", last)


async def log_lost(world: World) -> None:
    await world.redis.delete(f"{world.room('r1')}/log")


async def room_seq(world: World) -> None:
    await world.redis.hincrby(world.room("r1"), "seq", 1)


async def garbage(world: World) -> None:
    await world.redis.hset(world.room("r2"), "seq", 1)
    await world.redis.xadd(f"{world.room('r2')}/log", {"b": b"\xc1"}, id="1-1")


async def index_too_short(world: World) -> None:
    def item(place: int, value: bytes) -> bytes:
        (batch,) = read_batches(value)
        index = [batch.index[0] - (place == 1), *batch.index[1:]]
        return pack((batch.room, batch.last, batch.count, index, *astuple(batch.totals), batch.events, None))

    # A room in which no streak runs across the broken batch.
    for _ in range(3):
        await world.send("ann", "r2", PLAIN)
    await world.rewrite(f"{world.room('r2')}/log", item)


async def wrong_weight(world: World) -> None:
    def item(place: int, value: bytes) -> bytes:
        (batch,) = read_batches(value)
        index = [*batch.index[:2], batch.index[2] + (place == 1), *batch.index[3:]]
        return pack((batch.room, batch.last, batch.count, index, *astuple(batch.totals), batch.events, None))

    for _ in range(3):
        await world.send("ann", "r2", PLAIN)
    await world.rewrite(f"{world.room('r2')}/log", item)


async def wrong_batch_totals(world: World) -> None:
    def item(place: int, value: bytes) -> bytes:
        (batch,) = read_batches(value)
        kept = replace(batch.totals, coins=batch.totals.coins + (place == 1))
        return pack((batch.room, batch.last, batch.count, batch.index, *astuple(kept), batch.events, None))

    await world.rewrite(f"{world.room('r1')}/log", item)


def a_gift(event: Any) -> bool:
    return bool(event["type"] == "gift" and event["count"])


def a_plain_gift(event: Any) -> bool:
    return bool(event["type"] == "gift" and event["gift"]["id"] == PLAIN)


def an_end(event: Any) -> bool:
    return bool(event["type"] == "gift" and not event["count"])


def an_event(wanted: Callable[[Any], bool], **change: Any) -> Callable[[World], Awaitable[None]]:
    async def tamper(world: World) -> None:
        await world.change_event("r1", wanted, change)

    return tamper


async def gift_never_credited(world: World) -> None:
    gift = {"type": "gift", "user": {"id": "ann"}, "gift": {"id": PLAIN, "coins": 0}, "count": 1, "repeat_count": 1}
    await world.append_event(
        "r2", {**gift, "repeat_end": True, "streak_id": "r2.1", "coins": 0, "diamonds": 0}, (1, 0, 1)
    )


async def second_end(world: World) -> None:
    end = await an_ended_streak(world)
    await world.append_event("r1", end, (int(end["streak_id"].split(".")[1]), 2, 1))


async def end_again_with_gift(world: World) -> None:
    end = await an_ended_streak(world)
    await world.append_event("r1", end | {"count": 1}, (int(end["streak_id"].split(".")[1]), 2, 0))


async def an_ended_streak(world: World) -> dict[str, Any]:
    async for batch in world.ledger.rooms.batches(world.rooms["r1"], 0):
        for entry in batch.entries():
            event: dict[str, Any] = unpack(batch.events[entry.start : entry.end])
            if an_end(event):
                return event
    raise AssertionError


async def streak_forgotten(world: World) -> None:
    await world.redis.delete(f"{world.room('r1')}/streaks")


async def ended_without_streak_end(world: World) -> None:
    await world.redis.hset(world.room("r1"), "state", "ended")


async def end_not_logged(world: World) -> None:
    await world.redis.hset(world.room("r2"), "state", "ended")
    await world.append_event("r2", {"type": "comment"}, (0, 0, 0))


async def event_after_end(world: World) -> None:
    await world.append_event("r3", {"type": "comment"}, (0, 0, 0))


TAMPERED: dict[Callable[[World], Awaitable[None]], str] = {
    coins: "balance_differs conservation_broken",
    negative: "balance_differs account_differs conservation_broken negative_balance",
    bonus: "account_differs",
    owed: "account_differs conservation_broken",
    sent: "account_differs",
    broken_account: "not_a_number balance_differs account_differs conservation_broken",
    too_large: "diamonds_differ amount_too_large",
    no_number: "carry_differs not_a_number",
    diamonds: "diamonds_differ",
    carry: "carry_differs",
    totals: "totals_differ",
    conservation: "totals_differ conservation_broken",
    misplaced: "wrong_partition",
    grant_twice: "key_twice",
    debit_twice: "key_twice",
    credit_twice: "key_twice",
    wrong_diamonds: "diamonds_wrong",
    other_room_debited: "credit_differs",
    other_gift_debited: "event_differs",
    other_gift_count_debited: "event_differs price_wrong",
    float_amount: "ledger_entry_broken",
    unknown_entry: "ledger_entry_broken",
    lone_debit: "debit_without_credit entry_without_key",
    lone_credit: "credit_without_debit credit_without_event diamonds_differ",
    earlier_credit: "credit_out_of_order event_without_credit",
    lost_ledger_entry: (
        "ledger_items_deleted key_without_entry ledger_incomplete balance_differs account_differs totals_differ "
        "negative_balance"
    ),
    forgotten_gift: "entry_without_key",
    forgotten_grants: "entry_without_key",
    misplaced_key: "entry_without_key",
    key_before_its_effects: "key_without_entry",
    key_kept_as_refused: "key_differs",
    garbage_kept: "kept_key_broken entry_without_key",
    room_lost: "room_missing",
    room_unlisted: "room_missing",
    room_of_another: "wrong_host",
    room_coins: "room_totals_differ",
    room_diamonds: "room_totals_differ",
    room_likes: "room_totals_differ",
    ranking: "ranking_differs",
    ended_ranking: "ranking_differs",
    log_gap: "room_seq_gap",
    log_end_lost: "room_seq_differs",
    log_lost: "room_seq_differs",
    room_seq: "room_seq_differs",
    garbage: "log_entry_broken",
    index_too_short: "log_entry_broken",
    wrong_weight: "batch_index_wrong",
    wrong_batch_totals: "batch_totals_wrong",
    an_event(a_gift, seq=77): "event_misnumbered",
    an_event(a_gift, id="r1.77"): "event_misnumbered",
    an_event(a_gift, user={"id": "zoe"}): "event_differs streak_mixed",
    an_event(a_plain_gift, user={"id": "zoe"}): "event_differs",
    an_event(a_plain_gift, coins=1): "event_differs price_wrong batch_totals_wrong batch_index_wrong",
    an_event(a_plain_gift, count=1, repeat_count=1): "event_differs price_wrong",
    an_event(a_plain_gift, repeat_count=9): "repeat_count_wrong",
    an_event(a_plain_gift, repeat_end=False): "batch_index_wrong open_streaks_differ",
    an_event(a_plain_gift, streak_id="r9.1"): "streak_id_wrong",
    an_event(a_plain_gift, count=0, repeat_count=0, coins=0, diamonds=0): (
        "batch_index_wrong batch_totals_wrong credit_without_event"
    ),
    an_event(an_end, diamonds=1): "event_without_credit batch_totals_wrong",
    gift_never_credited: "event_without_credit",
    second_end: "streak_ended_twice",
    end_again_with_gift: "gift_after_streak_end event_without_credit price_wrong",
    streak_forgotten: "open_streaks_differ",
    ended_without_streak_end: "streak_never_ended stream_end_wrong",
    end_not_logged: "stream_end_wrong",
    event_after_end: "event_after_end stream_end_wrong",
}


@pytest.mark.parametrize("tamper", TAMPERED, ids=lambda tamper: tamper.__name__)
async def test_what_is_wrong_is_named(world: World, tamper: Callable[[World], Awaitable[None]]) -> None:
    await tamper(world)
    assert await world.problems() == set(TAMPERED[tamper].split())


def test_only_so_many_problems_are_told_but_all_are_counted() -> None:
    findings = Findings()
    for number in range(KEPT_MAX + 5):
        findings.found("balance_differs", str(number), f"wallet {number}")
    findings.found("ranking_differs", "too", "rank")
    report = findings.report()
    assert (len(report.problems), report.total, report.clean) == (KEPT_MAX + 1, KEPT_MAX + 6, False)
    assert report.lines()[1:] == [
        *(f"balance_differs: {number}" for number in range(EXAMPLES_MAX)),
        f"balance_differs: ... and {KEPT_MAX} more",
        "ranking_differs: too",
        f"{KEPT_MAX + 6} discrepancies",
    ]


@pytest.mark.slow
async def test_a_live_ledger_is_always_clean(
    redis_url: str, redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_stream, "PAGE", 2048)
    stop = asyncio.Event()
    settings = {"streak_window": 0.05, "log_keep": 100, "like_interval": 0.0, "batch_max": 8, "creator_rooms": 1000}
    async with a_world(redis_url, **settings) as world:
        busy = [asyncio.create_task(_be_busy(world, number, stop)) for number in range(12)]
        seen = 0
        for _ in range(8):
            await asyncio.sleep(0.05)
            report = await audit(world.redis, world.ledger.keys)
            assert report.problems == []
            assert report.gifts >= seen
            seen = report.gifts
        stop.set()
        await asyncio.gather(*busy)
        report = await audit(world.redis, world.ledger.keys)
        assert (report.problems, report.gifts > 200, report.rooms > 12) == ([], True, True)


ROUNDS_MAX = 6


async def _be_busy(world: World, number: int, stop: asyncio.Event) -> None:
    """Open rooms, fill them and end them, again and again; not for ever: what an audit reads must not outgrow it."""
    user, at = f"user{number}", 0
    while not stop.is_set() and at < ROUNDS_MAX:
        room = f"room{number}-{at}"
        await world.open(room, f"host{number % 5}")
        await world.grant(user, 1000)
        for step in range(40):
            await world.send(user, room, STREAKABLE, 1 + step % 3)
            await world.send(user, f"room{number}-{max(at - at % 3, 0)}" if at % 3 != 2 else room, "petal")
            world.now += 3
            await asyncio.sleep(0.01)
        await world.send(user, room, PLAIN)
        await world.like(room)
        await world.ledger.sweeper.sweep()
        if at % 3 == 2:
            await world.ledger.rooms.end(world.rooms[room])
        at += 1
