"""An SQLite's locks: others that have it are waited for, and this process does not end its own."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy.exc import OperationalError

from gifting.archive.store import SQLITE_WAIT, open_store

TAKE_ITS_WAL: Final = """
import sqlite3, sys
print(*sqlite3.connect(sys.argv[1], timeout=0).execute("PRAGMA journal_mode = DELETE").fetchone())
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "archive.db"


async def test_who_makes_it_is_waited_for(database: Path) -> None:
    store = open_store(f"sqlite:///{database}")
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        upgrade = asyncio.create_task(store.upgrade())
        assert await asyncio.wait([upgrade], timeout=0.3) == (set(), {upgrade})
        other.execute("ROLLBACK")
        await upgrade
    await store.close()


async def test_what_is_no_lock_is_told_at_once(database: Path) -> None:
    database.with_name("archive.db-wal").mkdir()
    store = open_store(f"sqlite:///{database}")
    async with asyncio.timeout(SQLITE_WAIT / 2):
        with pytest.raises(OperationalError, match=r"disk I/O error|unable to open"):
            await store.upgrade()
    await store.close()


async def test_another_connection_ends_no_lock_of_the_first(database: Path) -> None:
    first, second = (open_store(f"sqlite:///{database}") for _ in range(2))
    await first.upgrade()
    await second.upgrade()
    async with first.engine.connect():
        taken = subprocess.run(  # noqa: ASYNC221
            [sys.executable, "-c", TAKE_ITS_WAL, str(database)], capture_output=True, text=True, check=False
        )
    assert "database is locked" in taken.stderr, taken.stdout
    await first.close()
    await second.close()


async def test_it_is_made_for_nobody_else_to_read(database: Path) -> None:
    store = open_store(f"sqlite:///{database}")
    await store.upgrade()
    assert stat.S_IMODE(database.stat().st_mode) == 0o600  # noqa: ASYNC240
    await store.close()
