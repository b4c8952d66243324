"""The archiver is killed at every step of the ledger, of seals and of trimming. The next one finds what it left, and
each thing is there once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from gifting.archive.archiver import Archiver
from gifting.archive.schema import items, oddities, seals
from gifting.archive.sealing import MARGIN
from gifting.archive.store import Store
from gifting.archive.trimming import Trimmer
from gifting.ledger.clock import in_ms
from gifting.ledger.keys import Keys
from gifting.model.periods import month_of, preceding
from tests.support.archive import rows_of, stream_of
from tests.support.archiver import Follower, dying
from tests.support.sealed import Sealed

pytestmark = [pytest.mark.attack, pytest.mark.slow]

KEYS = Keys("gifting", 16)

PLACES = {
    "ARCHIVER": "gifting.archive.archiver:Archiver",
    "WRITER": "gifting.archive.writing:Writer",
    "STORE": "gifting.archive.store:Store",
    "SEALER": "gifting.archive.sealing:Sealer",
    "TRIMMER": "gifting.archive.trimming:Trimmer",
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


def steps(table: str) -> list[Any]:
    """Where to die, as ``CRASH_AT`` says it."""
    found = []
    for line in table.strip().splitlines():
        name, step, whens = re.split(r"\s{2,}", line.strip())
        place, _, method = step.partition(".")
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
