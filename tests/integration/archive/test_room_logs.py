"""Rooms' logs in the archive: each event once, in order, whoever archives it and whatever dies in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy.exc import SQLAlchemyError

from gifting.archive import room_logs
from gifting.archive.room_logs import RoomLogs
from gifting.archive.room_rows import UNREADABLE, event_row
from gifting.archive.schema import events, rooms
from gifting.archive.store import Store, open_store
from gifting.health import Health
from gifting.ledger import scripts
from gifting.ledger.backlog import Backlog
from gifting.ledger.meta import ARCHIVE, LOST
from gifting.ledger.rooms import ARCHIVE_WAIT
from gifting.model.events import encode_post
from gifting.model.packing import pack
from gifting.model.values import RoomRef
from tests.support.archive import rows_of
from tests.support.world import World, a_world


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, like_interval=0) as made:
        await made.grant("ann", 100_000)
        yield made


def logs_of(world: World, store: Store) -> RoomLogs:
    """One that looks each time it is asked."""
    return RoomLogs(world.redis, world.ledger.keys, store, monotonic=iter(range(0, 10**9, 10)).__next__)


async def catch_up(logs: RoomLogs, looks: int = 40) -> int:
    """As many looks as come by all directories."""
    return sum([await logs.follow() for _ in range(looks)])


async def assert_whole(world: World, store: Store, *refs: RoomRef) -> None:
    """The archive has these rooms' logs, as Redis has them, and has told it."""
    kept = await rows_of(store, events)
    cursors = {row[0]: row for row in await rows_of(store, rooms)}
    for ref in refs:
        said = await world.log(ref)
        assert [row[1] for row in kept if row[0] == ref.id] == [event["seq"] for event in said]
        for row, event in zip([row for row in kept if row[0] == ref.id], said, strict=True):
            assert row[2:5] == (event["ts"], event["type"], event.get("user", {}).get("id", ""))
            assert row[5] == (None if event.get("count") == 0 else event.get("user", {}).get("name"))
            assert (row[6] or "") == (event.get("text") or event.get("message") or "")
            assert row[9:11] == (event.get("coins", 0), event.get("diamonds", 0))
        assert cursors[ref.id][3] == len(said)
        key = world.ledger.keys.room(ref.host, ref.id)
        assert int(await world.redis.hget(key, "archived")) == len(said)


async def test_what_rooms_say_is_in_the_archive(world: World, store: Store) -> None:
    logs = logs_of(world, store)
    other = await world.ledger.rooms.open("r2", "second", "Second", "Another")
    for number in range(5):
        await world.send(message=f"hello {number}")
        await world.send(room=other)
        await logs.follow()
    await world.ledger.rooms.end(other)
    await logs.follow()
    await assert_whole(world, store, world.room, other)
    found = {row[0]: (row[1], row[4], row[5] > 0) for row in await rows_of(store, rooms)}
    assert found == {"r1": ("host", "A title", False), "r2": ("second", "Another", True)}


async def test_rooms_that_ended_before_anybody_looked_are_found(world: World, store: Store) -> None:
    await world.send(message="hello")
    await world.ledger.rooms.end(world.room)
    assert await catch_up(logs_of(world, store)) == len(await world.log())
    await assert_whole(world, store, world.room)


async def test_a_log_of_many_pages_is_read_whole(world: World, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_logs, "PAGE_SIZE", 1)
    for number in range(12):
        await world.send(message=f"hello {number}")
    clock = [0.0]  # a look has its time, however long the machine takes
    logs = RoomLogs(world.redis, world.ledger.keys, store, monotonic=lambda: clock[0])
    assert await logs.follow() == len(await world.log())
    clock[0] += 2 * room_logs.LOOK_EVERY
    assert await logs.follow() == 0
    await assert_whole(world, store, world.room)


async def test_several_at_once_do_no_harm(world: World, store: Store, archive_url: str) -> None:
    stores = [store, open_store(archive_url), open_store(archive_url)]
    several = [logs_of(world, one) for one in stores]
    for number in range(15):
        await world.send(message=f"hello {number}")
        await asyncio.gather(*(logs.follow() for logs in several))
    await catch_up(several[1], 2)
    await assert_whole(world, store, world.room)
    for one in stores[1:]:
        await one.close()


@pytest.mark.parametrize("broken", ["gifting.archive.store.Store.insert", "gifting.archive.room_writing._remove"])
async def test_one_that_dies_amid_its_writing_has_written_nothing(
    world: World, store: Store, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    await world.send(message="hello")

    async def dies(*_: Any) -> None:
        raise SQLAlchemyError

    with monkeypatch.context() as patch:
        patch.setattr(broken, dies)
        with pytest.raises(SQLAlchemyError):
            await logs_of(world, store).follow()
    assert await rows_of(store, events) == await rows_of(store, rooms) == []
    await logs_of(world, store).follow()
    await assert_whole(world, store, world.room)


async def test_one_that_dies_before_it_tells_redis_goes_on(
    world: World, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: Any) -> None:
        raise OSError

    await world.send()
    with monkeypatch.context() as patch:
        patch.setattr("gifting.archive.room_logs.scripts.call", dies)
        with pytest.raises(OSError):
            await logs_of(world, store).follow()
    await world.send()
    await logs_of(world, store).follow()
    await assert_whole(world, store, world.room)


async def test_what_is_removed_is_not_kept(world: World, store: Store) -> None:
    logs = logs_of(world, store)
    for number in range(3):
        await world.send(message=f"hello {number}")
    first, second, third = [event["seq"] for event in await world.log() if event.get("message")]
    await world.ledger.comments.remove(world.room, first)
    await logs.follow()
    await world.ledger.comments.remove(world.room, second)
    await logs.follow()
    await world.ledger.rooms.end(world.room)
    await logs.follow()
    await world.ledger.comments.remove(world.room, third)
    await catch_up(logs)
    await assert_whole(world, store, world.room)
    assert not any(row[6] for row in await rows_of(store, events))


async def test_a_log_that_is_gone_does_not_hold_up_the_others(
    world: World, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await world.send()
    await world.redis.delete(world.ledger.keys.log("host", "r1"))
    other = await world.ledger.rooms.open("r2", "second", "Second", "Another")
    await world.send(room=other)
    logs = logs_of(world, store)
    await logs.follow()
    await assert_whole(world, store, other)
    assert "were gone before they were archived" in caplog.text
    await world.send()
    assert await logs.follow() == 1


async def test_the_mark_of_a_room_only_rises_and_makes_none(world: World) -> None:
    key = world.ledger.keys.room("host", "r1")
    for asked, told in ((5, 5), (3, 5), (10, 10)):
        assert await scripts.call(world.redis, "room_archived", [key, f"{key}/log", f"{key}/removed"], asked) == told
    assert await scripts.call(world.redis, "room_archived", [f"{key}x", f"{key}x/log", f"{key}x/removed"], 3) == 0
    assert not await world.redis.exists(f"{key}x")


def test_an_event_that_says_nothing_has_a_row_all_the_same() -> None:
    for data in (b"\xc1", pack(5), pack({}), pack({"type": "comment", "ts": "late"}), encode_post("share", pack({}))):
        assert event_row("r", 7, data, False)[:5] == ("r", 7, 0, UNREADABLE, "")
    said = pack({"type": "comment", "ts": 1, "user": {"id": "u", "name": "a\0b"}, "text": "hi"})
    assert event_row("r", 7, said, False)[4:7] == ("u", "a\ufffdb", "hi")
    assert event_row("r", 7, said, True)[6] is None


RETENTION = 1000


async def test_the_log_of_an_ended_room_waits_for_the_archive(
    redis_client: Redis, redis_url: str, store: Store
) -> None:
    """And goes, once it is archived, when it would have gone."""
    async with a_world(redis_url, like_interval=0, room_retention=RETENTION) as world:
        await world.grant("ann", 100)
        await world.redis.hset(world.ledger.keys.meta, ARCHIVE, "one")
        room = await world.ledger.rooms.open("r2", "host", "Host", "")
        for _ in range(3):
            await world.send(room=room)
        await world.ledger.rooms.end(room)
        key = world.ledger.keys.room("host", "r2")
        waits = await world.redis.pttl(f"{key}/log")
        assert RETENTION * 1000 < waits <= RETENTION * 1000 + ARCHIVE_WAIT
        assert await world.redis.pttl(f"{key}/top") <= RETENTION * 1000
        await scripts.call(world.redis, "room_archived", [key, f"{key}/log", f"{key}/removed"], 2)
        assert await world.redis.pttl(f"{key}/log") > waits - 60_000, "there is one more event"
        await catch_up(logs_of(world, store))
        assert 0 < await world.redis.pttl(f"{key}/log") <= RETENTION * 1000
        await assert_whole(world, store, room)


async def test_the_log_of_a_live_room_waits_up_to_a_bound(redis_client: Redis, redis_url: str, store: Store) -> None:
    """Also where the archiver has never looked at it. What is lost is named and counted."""
    async with a_world(redis_url, like_interval=0, log_keep=100) as world:
        await world.grant("ann", 10_000)
        await world.redis.hset(world.ledger.keys.meta, ARCHIVE, "one")
        room = await world.ledger.rooms.open("r2", "host", "Host", "")
        for _ in range(1350):
            await world.send(room=room)
        ((first, _),) = await world.redis.xrange(f"{world.ledger.keys.room('host', 'r2')}/log", count=1)
        gone = int(first.partition(b"-")[0]) - 1
        assert 0 < gone <= 350
        await catch_up(logs_of(world, store), 10)
        assert int(await world.redis.hget(world.ledger.keys.meta, LOST)) == gone
        backlog = Backlog(world.redis, world.ledger.keys, Health(), 60)
        await backlog.read(0)
        assert backlog.lost == gone
