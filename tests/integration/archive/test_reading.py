"""The archive as server processes read it: loaded late, read-only, bounded, and refused by names."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import SQLAlchemyError

from gifting import errors
from gifting.archive.reading import Archive
from gifting.archive.schema import rooms
from gifting.archive.store import Store
from gifting.config import load
from tests.support.waiting import WITHIN, until

ROOM = {"room": "r1", "host": "host", "partition": 0, "seq": 1, "title": "", "ended": 0}

FOREVER = {
    "sqlite": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c",
    "postgresql": "SELECT pg_sleep(3600)",
}


@pytest.fixture
async def archive(store: Store, archive_url: str) -> AsyncIterator[Archive]:
    made = Archive(archive_url)
    yield made
    await made.close()


@pytest.fixture
async def hasty(store: Store, archive_url: str) -> AsyncIterator[Archive]:
    """One that has little patience, until ``be_patient``."""
    made = Archive(archive_url, patience=0.5)
    yield made
    await made.close()


async def be_patient(archive: Archive) -> None:
    """But for who waits for a free connection: a busy machine takes its time to make one."""
    await archive._opened()
    archive._patience = WITHIN


async def count(archive: Archive) -> int:
    async with archive.reading() as connection:
        return len((await connection.execute(select(rooms))).all())


async def test_what_is_written_is_read(store: Store, archive: Archive) -> None:
    assert await count(archive) == 0
    async with store.writing() as connection:
        await connection.execute(insert(rooms), [ROOM])
    assert await count(archive) == 1


async def test_a_reader_writes_nothing(store: Store, archive: Archive) -> None:
    with pytest.raises(errors.ArchiveUnavailable):
        async with archive.reading() as connection:
            await connection.execute(insert(rooms), [ROOM])
    assert await count(archive) == 0


async def test_what_takes_too_long_is_ended_and_the_next_is_answered(hasty: Archive, archive_url: str) -> None:
    for _ in range(3):
        with pytest.raises(errors.ArchiveUnavailable):
            async with hasty.reading() as connection:
                await connection.execute(text(FOREVER[archive_url.partition(":")[0]]))
    await be_patient(hasty)
    assert await count(hasty) == 0


async def test_who_finds_no_free_connection_is_refused(hasty: Archive) -> None:
    held, free = 0, asyncio.Event()

    async def hold() -> None:
        nonlocal held
        async with hasty.reading():
            held += 1
            await free.wait()

    await be_patient(hasty)
    tasks = [asyncio.create_task(hold()) for _ in range(2)]
    await until(lambda: held == 2)
    with pytest.raises(errors.ArchiveUnavailable):
        await count(hasty)
    free.set()
    await asyncio.gather(*tasks)
    assert await count(hasty) == 0


async def test_an_archive_that_is_not_there_is_unavailable_and_not_made(tmp_path: Path) -> None:
    archive = Archive(f"sqlite:///{tmp_path / 'none.db'}")
    with pytest.raises(errors.ArchiveUnavailable):
        await count(archive)
    await archive.close()
    assert not (tmp_path / "none.db").exists()


async def test_no_archive_says_so() -> None:
    with pytest.raises(errors.NoArchive):
        await count(Archive(""))


async def test_refusals_pass_through(archive: Archive) -> None:
    with pytest.raises(errors.BadCursor):
        async with archive.reading():
            raise errors.BadCursor
    with pytest.raises(errors.ArchiveUnavailable):
        async with archive.reading():
            raise SQLAlchemyError


@pytest.mark.parametrize(
    ("redis", "archive", "url"),
    [
        ("", "", "sqlite:////data/archive.db"),
        ("", "off", ""),
        ("redis://a", "", ""),
        ("redis://a", "off", ""),
        ("redis://a", "postgresql://b/c", "postgresql://b/c"),
        ("", "sqlite:///x.db", "sqlite:///x.db"),
    ],
)
def test_where_the_archive_is(redis: str, archive: str, url: str) -> None:
    settings = load({"redis": redis, "archive": archive, "data_dir": "/data"}, environ={})
    assert settings.archive_url() == url


def test_a_server_loads_nothing_of_sql_before_it_is_asked() -> None:
    code = "import sys, gifting.node, gifting.cli.serve; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "gifting.archive.reading" in loaded
    assert not {"sqlalchemy", "alembic", "psycopg", "aiosqlite"} & {name.partition(".")[0] for name in loaded}
