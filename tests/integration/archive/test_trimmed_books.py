"""Books whose older part is in their archive only: audited whole, and nobody is told of them what is not so."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import delete, select, update

from gifting import errors
from gifting.archive.archiver import Archiver
from gifting.archive.gifts import find_gift
from gifting.archive.ledger_items import ledger_items
from gifting.archive.reading import Archive
from gifting.archive.schema import books, items, make_partitions
from gifting.archive.store import Store
from gifting.archive.trimming import Trimmer
from gifting.ledger import trimming
from gifting.ledger.audit import AuditReport, audit
from gifting.ledger.meta import ARCHIVE
from gifting.model.effects import Kind
from gifting.model.periods import preceding
from tests.support.orders import anyone, draft, paid, said
from tests.support.world import World, a_world


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, partitions=4, like_interval=0, diamonds_per_coin="1/7") as made:
        yield made


async def live(world: World, rounds: int = 3) -> None:
    for _ in range(rounds):
        for user in ("ann", "bob", "cat"):
            await world.grant(user, 100)
            await world.send(user, count=3)
            order = await world.ledger.orders.open(draft(user, world.key()), anyone)
            await world.ledger.orders.apply(paid(order))
            await world.ledger.orders.apply(said(order, Kind.REFUNDED, "refund", amount=500))
        world.clock[0] += 1000


async def archive(world: World, store: Store) -> None:
    archiver = Archiver(world.redis, world.ledger.keys, "gifting", store)
    while await archiver.round():
        pass


async def trimmed(world: World) -> int:
    done = await trimming.trim(world.redis, world.ledger.keys, 0, str(2**45))
    return done.items


async def audited(world: World, url: str) -> AuditReport:
    name = await world.redis.hget(world.ledger.keys.meta, ARCHIVE)
    async with ledger_items(url, world.ledger.keys, name.decode()) as older:
        return await audit(world.redis, world.ledger.keys, older.of)


async def test_trimmed_books_are_clean_with_their_archive(world: World, store: Store, archive_url: str) -> None:
    await live(world)
    whole = await audit(world.redis, world.ledger.keys)
    await archive(world, store)
    assert await trimmed(world)
    report = await audited(world, archive_url)
    assert report.clean, report.lines()
    assert report.counts() == whole.counts()
    await live(world, 1)  # not archived yet
    report = await audited(world, archive_url)
    assert report.clean, report.lines()
    assert report.gifts == whole.gifts + 3


async def test_without_the_archive_they_are_not_called_anything(world: World, store: Store) -> None:
    await live(world)
    await archive(world, store)
    assert (await audit(world.redis, world.ledger.keys)).clean, "nothing is trimmed yet"
    await trimmed(world)
    with pytest.raises(errors.ArchiveNeeded):
        await audit(world.redis, world.ledger.keys)


async def test_what_is_in_neither_is_told(world: World, store: Store, archive_url: str) -> None:
    await live(world)
    await archive(world, store)
    await live(world, 1)
    await trimmed(world)
    last = await world.redis.xrevrange(f"{world.base('ann')}:ledger", count=1)
    await world.redis.xdel(f"{world.base('ann')}:ledger", last[0][0])
    report = await audited(world, archive_url)
    assert "ledger_items_deleted" in {one.name for one in report.problems}


async def test_a_hole_in_the_archive_and_another_archive_are_refused(
    world: World, store: Store, archive_url: str
) -> None:
    await live(world)
    await archive(world, store)
    await trimmed(world)
    async with store.writing() as connection:
        await connection.execute(delete(items).where(items.c.seq == 2))
    with pytest.raises(errors.BadArchive, match="lacks item 2"):
        await audited(world, archive_url)
    async with store.writing() as connection:
        await connection.execute(update(books).values(id="another"))
    with pytest.raises(errors.BadArchive, match="another"):
        await audited(world, archive_url)


async def test_an_archive_that_can_not_be_read_is_told_as_such(world: World, tmp_path: Path) -> None:
    with pytest.raises(errors.ArchiveUnavailable, match=r"The archive can't be read: .*books"):
        async with ledger_items(f"sqlite:///{tmp_path}/empty.db", world.ledger.keys, "any"):
            pass


async def read_back(world: World, url: str, before: str) -> list[str]:
    name = await world.redis.hget(world.ledger.keys.meta, ARCHIVE)
    async with ledger_items(url, world.ledger.keys, name.decode()) as older:
        return [item.id async for item in older.back(world.base("ann"), before)]


async def test_items_are_read_back_page_by_page_and_month_by_month(
    world: World, store: Store, archive_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gifting.archive.ledger_items.PAGE", 2)
    await live(world)
    await archive(world, store)
    every = [item.decode() for item, _ in await world.redis.xrevrange(f"{world.base('ann')}:ledger")]
    assert len(every) > 8
    async with store.writing() as connection:
        (period,) = (await connection.execute(select(items.c.period).distinct())).scalars()
        await make_partitions(connection, items, [preceding(period)])
        await connection.execute(update(items).where(items.c.seq <= 3).values(period=preceding(period)))
    assert await read_back(world, archive_url, f"{2**45}-0") == every
    assert await read_back(world, archive_url, every[2]) == every[3:]
    for gone in (1, 2, 4):
        async with store.writing() as connection:
            await connection.execute(delete(items).where(items.c.seq == gone))
        with pytest.raises(errors.BadArchive, match=f"lacks item {gone}"):
            await read_back(world, archive_url, every[2])


async def test_what_became_of_a_gift_that_is_trimmed_is_not_made_up(world: World, store: Store) -> None:
    await world.grant("ann", 100)
    key = world.key()
    await world.send(key=key)
    await live(world, 1)
    await world.forget()
    world.clock[0] += 10**9
    await world.forget()
    await archive(world, store)
    await world.redis.set(f"{world.base('ann')}:trimmed", f"{world.clock[0]}-0")
    await world.redis.xtrim(f"{world.base('ann')}:ledger", maxlen=1, approximate=False)
    with pytest.raises(errors.OutcomeUnknown, match="archive"):
        await world.ledger.gifts.status("ann", key)


async def test_what_became_of_a_gift_that_is_trimmed_is_told_from_the_archive(
    world: World, store: Store, archive_url: str
) -> None:
    world.clock[0] = int(time.time() * 1000)  # of Redis' ids, by which items have their month
    await world.grant("ann", 100)
    key = world.key()
    sent = await world.send(key=key, count=3)
    world.clock[0] += 10**9
    await world.forget()
    await archive(world, store)
    for base in world.ledger.keys.bases:
        await world.redis.set(f"{base}:trimmed", f"{world.clock[0]}-0")
        await world.redis.xtrim(f"{base}:ledger", maxlen=0, approximate=False)
    reader = Archive(archive_url)
    world.ledger.lookup.older = partial(find_gift, reader, world.ledger.keys)
    told = await world.ledger.gifts.status("ann", key)
    assert (told.state, told.room, told.gift, told.count) == ("accepted", "r1", "spark", 3)
    assert (told.seq, told.event_id) == (sent.seq, f"r1.{sent.seq}")
    neighbour = next(name for name in map("n{}".format, range(100)) if world.base(name) == world.base("ann"))
    for user, asked in ((neighbour, key), ("ann", world.key(10**9))):
        with pytest.raises(errors.OutcomeUnknown):
            await world.ledger.gifts.status(user, asked)
    await reader.close()
    world.ledger.lookup.older = partial(find_gift, Archive("sqlite:////nowhere/archive.db"), world.ledger.keys)
    with pytest.raises(errors.OutcomeUnknown):
        await world.ledger.gifts.status("ann", key)


async def test_what_was_spent_is_told_from_where_it_is_whole(world: World, store: Store) -> None:
    await live(world)
    before = await world.ledger.spending.read("ann", 0)
    assert before.coins == 9
    await archive(world, store)
    assert await trimmed(world)
    after = await world.ledger.spending.read("ann", 0)
    assert after.since > 0
    assert not after.more, "there is no next answer that has it"
    assert after.coins < before.coins


async def test_the_step_looks_now_and_then_and_leaves_what_is_young(world: World, store: Store) -> None:
    hands: list[float] = [100.0]
    await live(world)
    await archive(world, store)
    young = Trimmer(world.redis, world.ledger.keys)
    assert await young.trim() == 0
    await world.redis.hset(world.ledger.keys.meta, mapping={"dedupe_window": "0", "key_lead": "0"})
    step: Any = Trimmer(world.redis, world.ledger.keys, 0, lambda: hands[0])
    assert await step.trim() > 0
    await live(world, 1)
    await archive(world, store)
    assert await step.trim() == 0, "it has just looked"
    hands[0] += 5
    assert await step.trim() > 0


async def test_a_rooms_log_keeps_what_is_not_archived(redis_client: Redis, redis_url: str) -> None:
    """Where an archive follows; else as many events as are kept."""
    async with a_world(redis_url, like_interval=0, log_keep=100) as world:
        await world.grant("ann", 10_000)
        key = world.ledger.keys.room("host", "r1")

        async def first_after(events: int) -> int:
            for _ in range(events):
                await world.send()
            ((found, _),) = await world.redis.xrange(f"{key}/log", count=1)
            return int(found.partition(b"-")[0])

        await world.redis.hset(key, "archived", 0)
        assert await first_after(450) == 1
        await world.redis.hset(key, "archived", 250)
        assert 1 < await first_after(1) <= 251
        await world.redis.hset(key, "archived", 449)
        assert 251 < await first_after(1) <= 353
        await world.redis.hdel(key, "archived")
        assert await first_after(300) > 451
