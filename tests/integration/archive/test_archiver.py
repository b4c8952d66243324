"""The archiver: what the ledger has is in the archive, each item once, in order, whatever dies in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from gifting.archive.archiver import Archiver
from gifting.archive.rows import WHOLE
from gifting.archive.schema import books, cursors, entries, items, oddities
from gifting.archive.store import Store, open_store
from gifting.archive.trimming import Trimmer
from gifting.archive.writing import Overtaken
from gifting.errors import BadArchive
from gifting.ledger.meta import ARCHIVE, REFUSED
from gifting.model.packing import pack
from tests.support.archive import assert_whole, count_of, rows_of, stream_of
from tests.support.world import World, a_world

SPEND = 20


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, like_interval=0) as made:
        await made.grant("ann", 1000)
        yield made


def archiver_of(world: World, store: Store) -> Archiver:
    return Archiver(world.redis, world.ledger.keys, "gifting", store)


async def catch_up(archiver: Archiver) -> None:
    while await archiver.round():
        pass


async def whole(store: Store, world: World) -> int:
    return await assert_whole(store, world.redis, world.ledger.keys)


async def test_what_the_ledger_has_is_in_the_archive(world: World, store: Store) -> None:
    archiver = archiver_of(world, store)
    await catch_up(archiver)
    assert await whole(store, world) == 1
    for _ in range(SPEND):
        await world.send()
        await catch_up(archiver)
    assert await whole(store, world) == 1 + 2 * SPEND
    assert await rows_of(store, oddities) == []


async def test_months_follow_each_other(world: World, store: Store) -> None:
    """Those of items by Redis' clock, those of entries by their keys; what is late is in the month that is open."""
    archiver = archiver_of(world, store)
    for month in range(1, 14):
        world.clock[0] += 31 * 86_400_000
        await world.send()
        grant = pack(("grant", world.clock[0], bytes([month]) * 16, b"ann", 1, b"", b""))
        item_id = f"{4_000_000_000_000 + month * 31 * 86_400_000}-0"
        await world.redis.xadd(f"{world.ledger.keys.bases[month]}:ledger", {"e": grant}, id=item_id)
        await catch_up(archiver)
    assert await whole(store, world) == 1 + 3 * 13
    assert {row[0] // 100 for row in await rows_of(store, items)} >= {2096, 2097}
    assert {row[0] // 100 for row in await rows_of(store, entries)} == {2023, 2024}


async def test_an_archiver_that_begins_late_reads_all_in_pages(world: World, store: Store) -> None:
    for _ in range(100):
        await world.send()
    archiver = archiver_of(world, store)
    rounds = 1
    while await archiver.round():
        rounds += 1
    assert rounds > 3
    assert await whole(store, world) == 201


async def test_one_that_is_started_again_goes_on_where_the_rows_end(world: World, store: Store) -> None:
    for _ in range(SPEND):
        await world.send()
        await catch_up(archiver_of(world, store))
    assert await whole(store, world) == 1 + 2 * SPEND


async def test_several_at_once_do_no_harm(world: World, store: Store, archive_url: str) -> None:
    stores = [store, open_store(archive_url), open_store(archive_url)]
    stop = asyncio.Event()
    running = [asyncio.create_task(archiver_of(world, one).run(stop)) for one in stores]
    for _ in range(60):
        await world.send()
        await asyncio.sleep(0)
    stop.set()
    await asyncio.gather(*running)
    assert await whole(store, world) == 121
    assert await count_of(store, books) == 1
    for one in stores[1:]:
        await one.close()


async def test_what_another_has_archived_is_not_archived_again(world: World, store: Store) -> None:
    slow, quick = archiver_of(world, store), archiver_of(world, store)
    await catch_up(slow)
    await world.send()
    await catch_up(quick)
    assert await slow.round() is True
    await world.send()
    await catch_up(slow)
    assert await whole(store, world) == 5


async def test_a_key_that_comes_twice_is_kept_as_an_item_and_noted(world: World, store: Store) -> None:
    await world.send()
    base = world.base("ann")
    (_, data), *_ = reversed(await stream_of(world.redis, base))
    await world.redis.xadd(f"{base}:ledger", {"e": data or b""})
    await world.send()
    await catch_up(archiver_of(world, store))
    number = world.ledger.keys.bases.index(base)
    noted = await rows_of(store, oddities)
    assert {(row[0], row[3]) for row in noted} == {(number, "its key came before")}
    assert await count_of(store, items) == sum(
        [len(await stream_of(world.redis, one)) for one in world.ledger.keys.bases]
    )
    assert await count_of(store, entries) == 5


async def test_two_users_of_different_partitions_may_have_the_same_key(world: World, store: Store) -> None:
    """A key is unique where it is kept, in the partition of its sender, and both may give to one host."""
    await world.grant("bob", 100)
    assert world.base("ann") != world.base("bob")
    key = world.key()
    await world.send("ann", key=key)
    await world.send("bob", key=key)
    await catch_up(archiver_of(world, store))
    assert await whole(store, world) == 6
    assert await rows_of(store, oddities) == []


BROKEN: list[Any] = [
    b"\xc1",
    b"\x93\xa5debit\x01",
    pack(("nonsense", 1, bytes(16), "u")),
    pack(("grant", 1, b"short key", b"ann", 5, b"", b"")),
    pack(("grant", "late", bytes(16), b"ann", 5, b"", b"")),
    pack(("grant", -1, bytes(16), b"ann", 5, b"", b"")),
    pack(("grant", 1, bytes(16), b"\xff", 5, b"", b"")),
    pack(("grant", 1, bytes(16), b"ann", 2**60, b"", b"")),
    b"",
]


@pytest.mark.parametrize("data", BROKEN)
async def test_what_can_not_be_read_is_kept_and_noted(data: bytes, world: World, store: Store) -> None:
    base = world.base("ann")
    await world.redis.xadd(f"{base}:ledger", {"e": data})
    await world.send()
    await catch_up(archiver_of(world, store))
    (oddity,) = await rows_of(store, oddities)
    assert oddity[:3] == (world.ledger.keys.bases.index(base), 2, WHOLE)
    assert await whole(store, world) == 3


async def test_an_item_without_entries_is_kept_and_noted(world: World, store: Store) -> None:
    await world.redis.xadd(f"{world.base('ann')}:ledger", {"x": "y"})
    await catch_up(archiver_of(world, store))
    ((*_, why),) = await rows_of(store, oddities)
    assert "it has no entries" in why
    assert await whole(store, world) == 1


async def test_a_zero_in_a_text_stops_nothing(world: World, store: Store) -> None:
    """PostgreSQL has no such text; SQLite has."""
    grant = pack(("grant", world.clock[0], bytes(16), b"ann", 5, b"a\0b", b"operator"))
    await world.redis.xadd(f"{world.base('ann')}:ledger", {"e": grant + grant.replace(bytes(16), bytes([1]) * 16)})
    await catch_up(archiver_of(world, store))
    found = len(await rows_of(store, oddities))
    assert found + await count_of(store, entries) == 3
    assert found in (0, 2)
    assert await count_of(store, items) == 2


async def test_a_mark_only_rises_while_an_archiver_goes_on(world: World, store: Store) -> None:
    base = world.base("ann")
    archiver = archiver_of(world, store)
    await catch_up(archiver)
    await world.redis.set(f"{base}:archived", "9999999999999-7")
    await world.grant("ann", 1)
    await catch_up(archiver)
    assert await world.redis.get(f"{base}:archived") == b"9999999999999-7"
    await world.redis.set(f"{base}:archived", "99-7")
    await catch_up(archiver_of(world, store))
    assert await world.redis.get(f"{base}:archived") == (await stream_of(world.redis, base))[-1][0].encode()


async def test_the_archive_of_other_books_is_refused(world: World, store: Store) -> None:
    await catch_up(archiver_of(world, store))
    before = await rows_of(store, cursors)
    await world.redis.hset(world.ledger.keys.meta, "archive", "00000000-0000-4000-8000-000000000000")
    with pytest.raises(BadArchive, match="has 00000000-0000-4000-8000-000000000000"):
        await archiver_of(world, store).round()
    await world.redis.hdel(world.ledger.keys.meta, "archive")
    with pytest.raises(BadArchive, match="the prefix gifting and 16 partitions"):
        await Archiver(world.redis, world.ledger.keys, "other", store).round()
    assert await rows_of(store, cursors) == before
    assert await world.redis.hget(world.ledger.keys.meta, "archive") is None


async def test_a_database_that_lacks_what_redis_no_longer_has_is_refused(world: World, store: Store) -> None:
    await world.grant("ann", 1)
    base = world.base("ann")
    await catch_up(archiver_of(world, store))
    for _ in range(3):
        await world.grant("ann", 1)
    await world.redis.xtrim(f"{base}:ledger", maxlen=3, approximate=False)
    await archiver_of(world, store).round()  # what is gone is archived
    await world.grant("ann", 1)
    await world.redis.xtrim(f"{base}:ledger", maxlen=0, approximate=False)
    stale = archiver_of(world, store)
    with pytest.raises(BadArchive, match=r"behind: Redis no longer has items 6 to 6 of .*:ledger, the first after"):
        await stale.round()
    assert await count_of(store, items) == 5


async def test_a_redis_that_lacks_what_is_archived_is_refused(world: World, store: Store) -> None:
    base = world.base("ann")
    for _ in range(3):
        await world.grant("ann", 1)
    await catch_up(archiver_of(world, store))
    kept = await stream_of(world.redis, base)
    await world.redis.delete(f"{base}:ledger")
    with pytest.raises(
        BadArchive, match=rf"ahead: it has item 4 of .*:ledger, {kept[-1][0]}, and Redis ends with item 0"
    ):
        await archiver_of(world, store).round()
    for _ in range(5):
        await world.grant("ann", 1)
    with pytest.raises(BadArchive, match="is another in Redis, or none"):
        await archiver_of(world, store).round()
    await world.redis.delete(f"{base}:ledger")
    for name, data in kept[:-1]:
        await world.redis.xadd(f"{base}:ledger", {"e": data or b""}, id=name)
    await world.redis.xadd(f"{base}:ledger", {"e": b"other bytes"}, id=kept[-1][0])
    with pytest.raises(BadArchive, match="is another in Redis, or none"):
        await archiver_of(world, store).round()


@pytest.mark.parametrize("wiped", [False, True])
async def test_nothing_is_trimmed_that_a_restored_database_has_not(world: World, store: Store, wiped: bool) -> None:
    """The mark in Redis is that of the database as it was; at its first round the archiver has not caught up yet."""
    await catch_up(archiver_of(world, store))
    before = {table: await rows_of(store, table) for table in (books, cursors, items, entries)}
    for _ in range(100):
        await world.send()
    await catch_up(archiver_of(world, store))
    async with store.writing() as connection:
        for table, rows in before.items():
            await connection.execute(table.delete())
            if not wiped:
                await store.insert(connection, table, rows)
    trimmer = Trimmer(world.redis, world.ledger.keys, keep_min=-1e6)
    trimmer._keep = lambda: asyncio.sleep(0, -1e6)  # type: ignore[method-assign]
    archiver = Archiver(world.redis, world.ledger.keys, "gifting", store, [trimmer.trim])
    assert await archiver.round(), "it takes more than one"
    await catch_up(archiver)
    assert await count_of(store, entries) == 201
    assert await count_of(store, items) == sum(cursor[1] for cursor in await rows_of(store, cursors))


async def test_steps_come_after_each_page_in_their_order(world: World, store: Store) -> None:
    done: list[str] = []

    async def step(name: str) -> int:
        done.append(f"{name} at {await count_of(store, items)}")
        return 0

    archiver = Archiver(world.redis, world.ledger.keys, "gifting", store, [lambda: step("logs"), lambda: step("seals")])
    await archiver.round()
    await world.send()
    await archiver.round()
    assert done[0] == "logs at 1"
    assert done[1] == "seals at 1"
    assert done[2] == "logs at 3"


async def test_overtaken_is_told(world: World, store: Store) -> None:
    archiver = archiver_of(world, store)
    await archiver.round()
    await world.send()
    read = await archiver._tail.read({base: cursor.item_id for base, cursor in archiver._at.items()})
    from gifting.archive.rows import turn

    pages = [turn(archiver._at[base], found, 16) for base, found in read.items.items()]
    await archiver._writer.write(pages, 1)
    with pytest.raises(Overtaken):
        await archiver._writer.write(pages, 2)


async def test_servers_are_told_that_an_archive_is_refused_until_one_follows(world: World, store: Store) -> None:
    meta = world.ledger.keys.meta
    await catch_up(archiver_of(world, store))
    own = await world.redis.hget(meta, ARCHIVE)
    await world.redis.hset(meta, ARCHIVE, "another")
    with pytest.raises(BadArchive) as refused:
        await archiver_of(world, store).run(asyncio.Event())
    assert (await world.redis.hget(meta, REFUSED)).decode() == refused.value.detail
    await world.redis.hset(meta, ARCHIVE, own)
    await catch_up(archiver_of(world, store))
    assert await world.redis.hget(meta, REFUSED) is None


async def test_how_many_items_are_archived_is_told(world: World, store: Store) -> None:
    await world.send()
    await catch_up(archiver_of(world, store))
    assert await world.redis.get(f"{world.base('ann')}:archived/items") == b"2"
