"""The audit from the newest closings says what the audit from the first item says, whatever is wrong and wherever."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import astuple, replace
from redis.asyncio import Redis
from sqlalchemy import select, update

from gifting.archive.schema import closings, items, seals
from gifting.archive.store import Store
from gifting.ledger.entries import Grant
from gifting.ledger.entry_parser import parse_entries
from gifting.model.effects import Kind
from gifting.model.money import parse_key
from gifting.model.packing import pack
from gifting.model.periods import ends, month_of
from gifting.model.reversals import Given
from tests.support.months import Months, date
from tests.support.orders import anyone, draft, paid, said
from tests.support.world import World, a_world

pytestmark = pytest.mark.slow

MONTH = 31 * 86_400_000


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, partitions=3, like_interval=0, diamonds_per_coin="1/7") as made:
        yield made


async def live(world: World) -> Given:
    """A month; returns a gift of it."""
    for user in ("ann", "bob", "cat"):
        await world.grant(user, 500)
        await world.send(user, count=3)
    order = await world.ledger.orders.open(draft("bob", world.key()), anyone)
    await world.ledger.orders.apply(paid(order))
    key = world.key()
    sent = await world.send("ann", count=14, key=key)
    world.clock[0] += 10_000
    await world.ledger.orders.apply(said(order, Kind.REFUNDED, "refund", amount=500))
    room = await world.ledger.rooms.open(world.key(), "dan", "Dan", "")
    await world.send("cat", count=2, room=room)
    await world.ledger.rooms.end(room)
    return Given(parse_key(key), "ann", "r1", "host", sent.seq, "spark", 14, 14, 2000, world.clock[0])


async def months_of(world: World, store: Store, url: str, folder: Path) -> Months:
    """Three months are played; two of them are sealed. The room ``r1`` is live in all, and its whole log is there."""
    gifts = []
    for _ in range(3):
        gifts.append(await live(world))
        world.clock[0] += MONTH
    reversals = world.ledger.reversals
    for gift in gifts[::2]:
        await reversals.take_from_host(await reversals.give_back(gift, "op", "a test", "", gift.at), gift.at)
    months = Months(world.redis, world.ledger.keys, store, url, folder)
    await date(world.redis, world.ledger.keys)
    await months.archive()
    await months.seal(ends(month_of(world.clock[0] - 2 * MONTH)) + 10**8)
    return months


@pytest.fixture
async def months(world: World, store: Store, archive_url: str, tmp_path: Path) -> Months:
    return await months_of(world, store, archive_url, tmp_path)


async def test_clean_books_are_audited_from_their_closings(world: World, months: Months) -> None:
    found, whole = await months.both()
    assert whole.clean, whole.lines()
    assert found.report.as_json() == whole.as_json()
    assert found.since == month_of(world.clock[0] - 2 * MONTH)
    assert "from the closings of 2023-12 on" in found.lines()
    assert found.as_json()["closings"] == {"since": "2023-12", "broken": []}


async def test_what_comes_before_the_closing_is_not_read(months: Months) -> None:
    """But for what is asked for by name."""
    await months.redis.xtrim(f"{months.keys.bases[0]}:ledger", maxlen=1, approximate=False)
    async with months.store.writing() as connection:
        for row in (await connection.execute(select(items).where(items.c.period == 202311))).all():
            if all(isinstance(entry, Grant) for entry in parse_entries(row.data)):
                mine = (items.c.partition == row.partition, items.c.seq == row.seq)
                await connection.execute(update(items).where(*mine).values(data=pack("no entry")))
    found, _ = await months.both()
    assert found.report.clean
    assert found.since


async def test_what_is_forgotten_of_keys_and_rooms_is_not_missed(world: World, months: Months) -> None:
    world.clock[0] += 10**9
    await world.forget()
    for name in [name async for name in months.redis.scan_iter("*/log")]:
        await months.redis.delete(name, name.replace(b"/log", b"/top"))
    found, whole = await months.both()
    assert found.report.as_json() == whole.as_json()


async def entries_in(months: Months, kind: str, at: int) -> tuple[str, str, dict[bytes, bytes], Any]:
    """The base, id and fields of the item with the first (0) or last (-1) entry of a kind, and that entry."""
    found = []
    for base in months.keys.bases:
        for name, fields in await months.redis.xrange(f"{base}:ledger"):
            for entry in parse_entries(fields[b"e"]):
                if entry.__struct_config__.tag == kind:
                    found.append((name.decode(), base, fields, entry))
    name, base, fields, entry = sorted(found, key=lambda one: int(one[0].partition("-")[0]))[at]
    return base, name, fields, entry


async def again(months: Months, kind: str, at: int) -> None:
    base, _, fields, _ = await entries_in(months, kind, at)
    await months.redis.xadd(f"{base}:ledger", fields)


async def a_coin_more(months: Months) -> None:
    await months.redis.hset(f"{months.keys.base('zed')}:coins", "zed", "1")


async def a_diamond_less(months: Months) -> None:
    await months.redis.hincrby(f"{months.keys.base('host')}:diamonds", "host", -1)


async def a_log_with_a_hole(months: Months) -> None:
    log = f"{months.keys.room('host', 'r1')}/log"
    await months.redis.xdel(log, (await months.redis.xrange(log))[3][0])


async def another_rank(months: Months) -> None:
    await months.redis.zincrby(f"{months.keys.room('host', 'r1')}/top", 5, "ann")


async def other_totals_of_an_old_room(months: Months) -> None:
    names = [name async for name in months.redis.scan_iter("*:room:*", _type="hash")]
    old = [name for name in names if b"/" not in name and await months.redis.hget(name, "host") == b"dan"]
    await months.redis.hincrby(sorted(old)[0], "coins", 1)


async def a_kept_key_without_entry(months: Months) -> None:
    name = sorted([name async for name in months.redis.scan_iter("*:keys:*")])[-1]
    key, value = next(iter((await months.redis.hgetall(name)).items()))
    await months.redis.hset(name, key[:-1] + bytes((key[-1] ^ 1,)), value)


async def an_entry_without_key(months: Months) -> None:
    for name in [name async for name in months.redis.scan_iter("*:keys:*")]:
        await months.redis.delete(name)
    for base in months.keys.bases:
        await months.redis.hset(f"{base}:floors", mapping={"keys": 0, "grants": 0})


async def a_lost_order(months: Months) -> None:
    name = f"{months.keys.base('bob')}:orders:bob"
    await months.redis.hdel(name, min(field for field in await months.redis.hkeys(name) if len(field) > 9))


async def a_lost_clawback(months: Months) -> None:
    await months.redis.delete(*[name async for name in months.redis.scan_iter("*:clawbacks:*")])


async def a_lost_item(months: Months) -> None:
    base, *_ = await entries_in(months, "debit", -1)
    await months.archive()
    await months.redis.xadd(f"{base}:ledger", {"e": b"x"})
    await months.redis.xdel(f"{base}:ledger", (await months.redis.xrevrange(f"{base}:ledger", count=1))[0][0])


TAMPERED: list[Callable[[Months], Awaitable[None]]] = [
    a_coin_more,
    a_diamond_less,
    a_log_with_a_hole,
    another_rank,
    other_totals_of_an_old_room,
    a_kept_key_without_entry,
    an_entry_without_key,
    a_lost_order,
    a_lost_clawback,
    a_lost_item,
]


@pytest.mark.parametrize("tamper", TAMPERED, ids=lambda one: one.__name__)
async def test_what_is_wrong_in_redis_is_told_as_from_the_first_item(
    months: Months, tamper: Callable[[Months], Awaitable[None]]
) -> None:
    await tamper(months)
    found, whole = await months.both()
    assert not whole.clean
    assert found.since == 0
    assert found.report.as_json() == whole.as_json()


@pytest.mark.parametrize("kind", ["grant", "debit", "credit", "purchase", "reversal", "gift_reversal", "clawback"])
@pytest.mark.parametrize("archived", [False, True])
async def test_what_is_entered_again_is_told(months: Months, kind: str, archived: bool) -> None:
    """The first time is sealed."""
    await again(months, kind, 0)
    if archived:
        await months.archive()
    found, whole = await months.both()
    assert "key_twice" in {one.name for one in whole.problems}
    assert found.since == 0
    assert found.report.as_json() == whole.as_json()


FAULTS: dict[str, tuple[str, int, Callable[[Any], dict[str, Any]]]] = {
    "a debit alone": ("debit", 0, lambda one: {}),
    "a debit of another price": ("debit", 0, lambda one: {"coins": one.coins + 1}),
    "a debit of another gift": ("debit", 0, lambda one: {"gift": "skateboard"}),
    "a credit of too much": ("credit", 0, lambda one: {"diamonds": one.diamonds + 1}),
    "a credit alone": ("credit", 0, lambda one: {}),
}
"""Entries that are changed or, with nothing to change, taken away before they are archived and sealed."""


@pytest.mark.parametrize("fault", FAULTS)
async def test_faults_of_the_ledger_in_a_sealed_month_are_told(
    fault: str, world: World, store: Store, archive_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, at, changes = FAULTS[fault]
    real = Months.archive

    async def first_fault(self: Months) -> None:
        monkeypatch.setattr(Months, "archive", real)
        base, name, fields, entry = await entries_in(self, kind, at)
        said = list(parse_entries(fields[b"e"]))
        changed = changes(entry)
        kept = [replace(one, **changed) if one == entry else one for one in said if changed or one != entry]
        data = b"".join(pack((one.__struct_config__.tag, *astuple(one))) for one in kept)
        whole = await self.redis.xrange(f"{base}:ledger")
        await self.redis.delete(f"{base}:ledger")
        for item_id, others in whole:
            told = {b"e": data} if item_id.decode() == name else others
            if told[b"e"]:
                await self.redis.xadd(f"{base}:ledger", told, id=item_id)
        await real(self)

    monkeypatch.setattr(Months, "archive", first_fault)
    months = await months_of(world, store, archive_url, tmp_path)
    found, whole = await months.both()
    assert not whole.clean
    assert found.since == 0
    assert found.report.as_json() == whole.as_json()


async def test_a_gift_over_the_edge_of_a_month_has_both_its_sides(
    world: World, store: Store, archive_url: str, tmp_path: Path
) -> None:
    """Its debit is sealed, and its credit is in the month that is open; of another one it is the other way round."""
    await world.grant("ann", 100)
    await world.grant("host", 100)
    room = await world.ledger.rooms.open("r2", "ann", "Ann", "")
    assert world.base("ann") != world.base("host")
    await world.send("ann", count=3)
    await world.send("host", count=2, room=room)
    months = Months(world.redis, world.ledger.keys, store, archive_url, tmp_path)
    await date(world.redis, world.ledger.keys)
    base = world.base("host")
    whole = await world.redis.xrange(f"{base}:ledger")
    await world.redis.delete(f"{base}:ledger")
    for number, (_, fields) in enumerate(whole):
        late = world.clock[0] + (2 * MONTH if number else 0)
        await world.redis.xadd(f"{base}:ledger", fields, id=f"{late}-{number}")
    await months.archive()
    await months.seal(ends(month_of(world.clock[0])) + 10**8)
    found, full = await months.both()
    assert full.clean, full.lines()
    assert found.since == month_of(world.clock[0])
    assert found.report.as_json() == full.as_json()


BROKEN: dict[str, Any] = {
    "the closing is not the one that was sealed": update(closings).where(closings.c.book == "coins").values(amount=7),
    "its signature is not of it": update(seals).values(made=seals.c.made + 1),
    "the item is not the one that was sealed": update(items).values(hash=bytes(32)),
}


@pytest.mark.parametrize("why", BROKEN)
async def test_a_closing_that_is_not_to_be_believed_is_named_and_all_is_read(months: Months, why: str) -> None:
    async with months.store.writing() as connection:
        await connection.execute(BROKEN[why])
    found, whole = await months.both()
    assert found.since == 0
    assert found.broken
    assert all(why in one.what for one in found.broken)
    assert found.report.as_json() == whole.as_json()
    assert not found.clean
    assert any(f"archive broken, so all is read from the first item: {found.broken[0]}" == one for one in found.lines())


async def test_seals_that_are_not_outside_are_named(months: Months) -> None:
    path = months.files[1]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[1:-1]))
    found, whole = await months.both()
    assert [one.what for one in found.broken] == ["seal of 202312: the file outside does not have it"]
    assert found.report.as_json() == whole.as_json()


async def test_a_seal_that_was_made_just_now_may_not_be_outside_yet(
    months: Months, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes to make them all."""
    path = months.files[1]
    lines = path.read_bytes().splitlines(keepends=True)
    now = int(time.time() * 1000)
    await months.seal(now)
    monkeypatch.setattr("gifting.archive.audited.time", lambda: now / 1000)
    path.write_bytes(b"".join(lines))
    found, _ = await months.both()
    assert (found.since, found.broken) == (202312, ())


async def test_without_the_keys_of_seals_no_closing_is_believed(months: Months) -> None:
    months.files[0].with_suffix(".pub").unlink()
    months.files[0].unlink()
    found, whole = await months.both()
    assert (found.since, found.broken) == (0, ())
    assert found.report.as_json() == whole.as_json()
