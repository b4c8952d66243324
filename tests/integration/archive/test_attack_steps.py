"""The archiver is killed at every step: of the ledger, seals and trimming, of rooms' logs, acts and erasures. The next
one finds what it left, and each thing is there once."""

from __future__ import annotations

import pkgutil
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import func, select

from gifting.archive.archiver import Archiver
from gifting.archive.schema import acts, erasures, events, items, oddities, rooms, seals
from gifting.archive.sealing import MARGIN
from gifting.archive.store import Store
from gifting.archive.trimming import Trimmer
from gifting.client import Client
from gifting.ledger.clock import in_ms
from gifting.model.periods import month_of, preceding
from tests.support.archive import assert_whole, rows_of, stream_of
from tests.support.archiver import Follower, dying, has_all
from tests.support.keys import session_keys
from tests.support.sealed import Sealed
from tests.support.server import Server
from tests.support.waiting import until

pytestmark = [pytest.mark.attack, pytest.mark.slow]

KEYS = session_keys(16)

PLACES = {
    "ARCHIVER": "gifting.archive.archiver:Archiver",
    "WRITER": "gifting.archive.writing:Writer",
    "STORE": "gifting.archive.store:Store",
    "SEALER": "gifting.archive.sealing:Sealer",
    "TRIMMER": "gifting.archive.trimming:Trimmer",
    "ROOMS": "gifting.archive.room_logs:RoomLogs",
    "LOGS": "gifting.archive.room_writing:RoomWriter",
    "ACTS": "gifting.archive.acts:ActLog",
    "ERASER": "gifting.archive.erasing:Eraser",
}

BOOKS = """
    whose books they are    STORE.insert(books)      after
    a page                  WRITER.write             before after
    its entries             STORE.insert(entries)    after
    marked in Redis         ARCHIVER._mark           after
    a seal                  SEALER._write            before after
    the seal alone          STORE.insert(seals)      after
    its closing             STORE.insert(closings)   after
    sealed                  SEALER._seal             after
    all sealed              SEALER.seal_due          after
    trimmed                 TRIMMER.trim             after
"""
"""In brackets is the table. After a seal's step the seal is in the database, and not in the file."""

BESIDE = """
    a room's log            LOGS.write               before after
    its events              STORE.insert(events)     after
    acts                    ACTS.follow              after
    their rows              STORE.insert(acts)       after
    an erasure              ERASER._erase            after
    noted                   STORE.insert(erasures)   before after
"""


def steps(table: str) -> list[Any]:
    """Where to die, as ``CRASH_AT`` says it."""
    found = []
    for line in table.strip().splitlines():
        name, step, whens = re.split(r"\s{2,}", line.strip())
        place, _, method = step.partition(".")
        assert hasattr(pkgutil.resolve_name(PLACES[place]), method.partition("(")[0]), f"nobody could die at {step}"
        method, _, table_name = method.rstrip(")").partition("(")
        at = f"{PLACES[place]}.{method}:" + (f"Table('{table_name}'" if table_name else "")
        found += [pytest.param(f"{at}:{when}", id=f"{when} {name}") for when in whens.split()]
    return found


async def die(url: str, archive: str, folder: Path, place: str) -> None:
    """An archiver that is killed there, once."""
    follower = Follower(url, archive, folder, dying(place, folder / f"note-{abs(hash(place))}"))
    await follower.start()
    assert await follower.ended() == -9, follower.log()


@pytest.mark.parametrize("place", steps(BOOKS))
async def test_books(
    place: str, redis_client: Redis, redis_url: str, store: Store, archive_url: str, tmp_path: Path
) -> None:
    """Of two partitions and the months before this one, all of them sealed."""
    sealed = Sealed(redis_client, store, tmp_path)
    await redis_client.hset(sealed.keys.meta, mapping={"partitions": 2})
    over = preceding(month_of(in_ms(await redis_client.time()) - MARGIN))
    for period in (preceding(preceding(over)), preceding(over), over):
        for partition in (0, 1):
            for _ in range(3):
                await sealed.add(period, partition=partition)
    streams = [await stream_of(redis_client, base) for base in sealed.keys.bases]

    await die(redis_url, archive_url, tmp_path, place)
    following = [sealed.sealer().seal_due, Trimmer(redis_client, sealed.keys).trim]
    archiver = Archiver(redis_client, sealed.keys, "gifting", store, following)
    await archiver.round()
    while await archiver.round():
        pass
    assert len(sealed.file.read()) == 6
    kept = [[(row[3], row[4]) for row in await rows_of(store, items) if row[1] == number] for number in (0, 1)]
    assert kept == streams
    assert len(await rows_of(store, seals)) == 6
    assert await rows_of(store, oddities) == []
    assert await sealed.broken(redis=True) == []


@pytest.mark.parametrize("archive_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("place", steps(BESIDE))
async def test_what_is_beside_the_books(
    place: str, redis_client: Redis, redis_url: str, archive_url: str, store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    async with Server(folder, redis=redis_url, archive=archive_url) as server:
        await server.operator.grant_each(["ann", "bob"], 1000)
        await server.room("r1")
        async with Follower(redis_url, archive_url, folder).running():
            await until(lambda: has_all(store, redis_client, KEYS))
        for name in ("ann", "bob"):
            async with Client(server.url, server.token(name)) as client:
                for _ in range(3):
                    await client.send_gift("r1", "spark", message="said")
        await server.operator.call("DELETE", "/v1/users/bob/personal-data?reason=asked")
        await die(redis_url, archive_url, folder, place)
        async with Follower(redis_url, archive_url, folder).running():
            await until(partial(is_done, store, redis_client))
        found = (await server.operator.call("GET", "/v1/admin/acts?limit=500"))["acts"]
    await assert_whole(store, redis_client, KEYS)
    assert len(await rows_of(store, acts)) == len(found)
    assert len(await rows_of(store, erasures)) == 1
    await assert_said(store, redis_client)


async def is_done(store: Store, redis: Any) -> bool:
    """Whether the archive has all that Redis has, and has erased who asked for it; and no streak's end is to come."""
    async with store.engine.connect() as connection:
        erased = await connection.scalar(select(erasures.c.at))
        seq = await connection.scalar(select(rooms.c.seq))
        acted = await connection.scalar(select(func.count()).select_from(acts))
    if await redis.zcard(KEYS.deadlines(KEYS.base("host"))):
        return False
    all_acts = acted == await redis.xlen(KEYS.acts)
    return bool(erased) and all_acts and seq == await last_seq(redis) and await has_all(store, redis, KEYS)


async def last_seq(redis: Any) -> int:
    return int(await redis.hget(f"{KEYS.base('host')}:room:r1", "seq"))


async def assert_said(store: Store, redis: Any) -> None:
    """Each event of the room is there once, with its name and words unless it was erased."""
    said = await rows_of(store, events)
    assert [row[1] for row in said] == [*range(1, await last_seq(redis) + 1)]
    gifts = {(row[4], row[5], row[6]) for row in said if row[3] == "gift" and row[8]}
    assert gifts == {("ann", "ann", "said"), ("bob", None, None)}
