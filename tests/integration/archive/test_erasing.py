"""Personal data that is erased: gone from the archive and from rooms, for ever, and the books stay proved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import delete, update
from sqlalchemy.exc import SQLAlchemyError

from gifting import errors
from gifting.archive.archiver import Archiver
from gifting.archive.erasing import Eraser
from gifting.archive.history import History
from gifting.archive.reading import Archive
from gifting.archive.room_logs import RoomLogs
from gifting.archive.schema import closings, entries, erasures, events, items, rooms, seals
from gifting.archive.seal_file import SealFile
from gifting.archive.signer import find_signer, read_public
from gifting.archive.store import Store
from gifting.archive.verify import verify
from tests.support.archive import rows_of
from tests.support.months import Months, date
from tests.support.world import World, a_world


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, like_interval=0) as made:
        for user in ("ann", "bob"):
            await made.grant(user, 1000)
        yield made


async def archive(world: World, store: Store) -> None:
    steps = [
        RoomLogs(world.redis, world.ledger.keys, store).follow,
        Eraser(world.redis, world.ledger.keys, store).erase_due,
    ]
    archiver = Archiver(world.redis, world.ledger.keys, "gifting", store, steps)
    while await archiver.round():
        pass


async def said(store: Store) -> set[tuple[Any, ...]]:
    """Who is known by what name, and has said what."""
    return {(row[4], row[5], row[6]) for row in await rows_of(store, events) if row[4]}


async def test_what_was_said_is_erased_and_what_is_said_later_is_new(world: World, store: Store) -> None:
    await world.send("ann", message="hello")
    await world.send("bob", message="hi")
    await archive(world, store)
    world.clock[0] += 1
    at = await world.ledger.erasures.ask("ann", "op", "asked")
    await archive(world, store)
    assert await said(store) == {("ann", None, None), ("bob", "bob", "hi")}
    assert await rows_of(store, erasures) == [("ann", at, "op", "asked")]
    assert [one.user.name for one in await world.ledger.rooms.top(world.room, 3)] == ["bob", "ann"]
    world.clock[0] = at + 1
    await world.send("ann", message="again")
    await archive(world, store)
    assert ("ann", "ann", "again") in await said(store)


async def test_the_name_in_a_ranking_is_the_id(world: World, store: Store) -> None:
    sender = world.ledger.gifts.sender("ann", {"id": "ann", "name": "Ann Other", "picture": "p", "level": 3})
    await world.ledger.gifts.send(sender, world.room, "spark", world.key(), 1)
    await archive(world, store)
    await world.ledger.erasures.ask("ann", "ann", "")
    await archive(world, store)
    (first,) = await world.ledger.rooms.top(world.room, 3)
    assert (first.user.id, first.user.name, first.user.picture) == ("ann", "ann", "")


async def test_what_is_archived_late_is_erased_too(world: World, store: Store) -> None:
    await archive(world, store)
    at = await world.ledger.erasures.ask("ann", "op", "asked")
    await archive(world, store)
    world.clock[0] = at
    await world.send("ann", message="hello")
    world.clock[0] = at + 1
    await world.send("ann", message="again")
    await archive(world, store)
    assert {text for _, _, text in await said(store)} == {None, "again"}


async def test_a_streak_that_ends_after_it_brings_no_name_back(world: World, store: Store) -> None:
    await world.send("ann")
    await archive(world, store)
    at = await world.ledger.erasures.ask("ann", "op", "asked")
    await archive(world, store)
    world.clock[0] = at + 60_001
    assert (await world.ledger.sweeper.sweep())[0] == 1
    await archive(world, store)
    ends = [row for row in await rows_of(store, events) if row[2] > at]
    assert [(row[3], row[4], row[5]) for row in ends] == [("gift", "ann", None)]


@pytest.mark.parametrize("late", [False, True])
async def test_what_was_given_anonymously_is_erased_too(world: World, store: Store, late: bool) -> None:
    await archive(world, store)
    if late:
        at = await world.ledger.erasures.ask("ann", "op", "asked")
        await archive(world, store)
        world.clock[0] = at
    sender = world.ledger.gifts.masked(world.sender("ann"), world.room)
    await world.ledger.gifts.send(sender, world.room, "spark", world.key(), 1, "hello")
    if not late:
        await archive(world, store)
        await world.ledger.erasures.ask("ann", "op", "asked")
    await archive(world, store)
    ((shown, name, text),) = await said(store)
    assert shown.startswith("~")
    assert name is text is None


async def test_a_host_is_erased_with_its_titles(world: World, store: Store) -> None:
    await world.send()
    await archive(world, store)
    await world.ledger.erasures.ask("host", "host", "")
    await archive(world, store)
    ((_, host, _, _, title, _),) = await rows_of(store, rooms)
    assert (host, title) == ("host", "")
    key = world.ledger.keys.room("host", "r1")
    assert await world.redis.hmget(key, "host_name", "title") == [b"host", b""]


async def test_a_database_from_before_is_erased_again(world: World, store: Store) -> None:
    await world.send("ann", message="hello")
    await archive(world, store)
    await world.ledger.erasures.ask("ann", "op", "asked")
    await archive(world, store)
    done = await rows_of(store, erasures)
    world.clock[0] = done[0][1] + 1
    await world.send("ann", message="again")
    await archive(world, store)
    async with store.writing() as connection:
        await connection.execute(delete(erasures))
        await connection.execute(update(events).where(events.c.name.is_(None)).values(name="ann", text="hello"))
    await archive(world, store)
    assert {("ann", None, None), ("ann", "ann", "again")} <= await said(store)
    assert "hello" not in {text for _, _, text in await said(store)}
    assert await rows_of(store, erasures) == done


async def test_what_dies_amid_it_is_done_again(world: World, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.send("ann", message="hello")
    await archive(world, store)
    await world.ledger.erasures.ask("ann", "op", "asked")

    async def dies(*_: Any) -> None:
        raise SQLAlchemyError

    eraser = Eraser(world.redis, world.ledger.keys, store)
    with monkeypatch.context() as patch:
        patch.setattr("gifting.archive.erasing._forget", dies)
        with pytest.raises(SQLAlchemyError):
            await eraser.erase_due()
    assert await said(store) == {("ann", "ann", "hello")}
    assert await eraser.erase_due() == 1
    assert await eraser.erase_due() == 0
    assert await Eraser(world.redis, world.ledger.keys, store).erase_due() == 0
    assert await said(store) == {("ann", None, None)}


async def test_the_chain_is_proved_after_it(world: World, store: Store, tmp_path: Path) -> None:
    find_signer(tmp_path / "seal.key")
    await world.send("ann", message="hello")
    await archive(world, store)
    await world.ledger.erasures.ask("ann", "op", "asked")
    await archive(world, store)
    public, file = read_public(tmp_path / "seal.key"), SealFile(tmp_path / "seals.jsonl")
    found = await verify(store, public, file.read(), None, 0)
    assert (found.items, found.broken) == (4, [])


async def test_without_an_archive_nobody_would_do_it(world: World) -> None:
    with pytest.raises(errors.NoArchive):
        await world.ledger.erasures.ask("ann", "op", "asked")


async def test_later_ones_are_later_whatever_the_clock_does(world: World, store: Store) -> None:
    await archive(world, store)
    first = await world.ledger.erasures.ask("ann", "op", "asked")
    world.clock[0] -= 5000
    assert await world.ledger.erasures.ask("bob", "op", "asked") == first + 1


async def test_an_erasure_in_a_sealed_month_breaks_no_seal_and_no_history(
    world: World, store: Store, archive_url: str, tmp_path: Path
) -> None:
    """Also one that was asked for while the archiver was down: it is done when it is back."""
    await world.send("ann", message="hello")
    await world.send("bob", message="hi")
    world.clock[0] += 62 * 86_400_000
    await world.send("ann", message="again")
    months = Months(world.redis, world.ledger.keys, store, archive_url, tmp_path)
    await date(world.redis, world.ledger.keys)
    await archive(world, store)
    assert await months.seal(world.clock[0])
    await world.ledger.erasures.ask("ann", "op", "asked")
    assert ("ann", "ann", "hello") in await said(store), "nobody does it yet"
    before = [await rows_of(store, table) for table in (items, entries, seals, closings)]
    await archive(world, store)
    assert await said(store) == {("ann", None, None), ("bob", "bob", "hi")}
    assert [await rows_of(store, table) for table in (items, entries, seals, closings)] == before
    public, file = read_public(months.files[0]), SealFile(months.files[1])
    assert (await verify(store, public, file.read(), None, world.clock[0])).broken == []
    found, whole = await months.both()
    assert found.since
    assert whole.clean
    reader = Archive(archive_url)
    history = History(reader, world.redis, world.ledger.keys)
    lines, _ = await history.page("ann", ["debit"], 0, "", 10)
    assert [line.coins for line in lines] == [1, 1]
    await reader.close()
