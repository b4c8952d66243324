"""The database of an archive: an async engine on SQLite or PostgreSQL, and the fast ways to write many rows."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Table, event, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import URL
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from gifting.archive.address import database_at
from gifting.archive.rows import Row
from gifting.archive.upgrade import upgrade
from gifting.errors import MissingExtra

SQLITE_WAIT: Final = 10.0
"""Seconds to wait for another who writes into an SQLite."""

CONNECT_WAIT: Final = 10
"""Seconds to wait for a connection to a PostgreSQL."""

LOCK: Final = 0x67696674
"""The advisory lock on a PostgreSQL of who makes something that is made once."""

_SQLITE_PAUSE: Final = 0.02
"""Seconds before an SQLite that others have locked is asked again for what it never waits with by itself."""

_DIALECT: Final[Dialect] = postgresql.dialect()  # type: ignore[no-untyped-call]

_WRITES: Final = "gifting_writes"
"""The execution option of a transaction that writes: SQLite takes its lock at once, and not in the midst of it."""


class Store:
    """An archive's database. ``engine`` is for readers; a transaction of SQLite sees one state of it.

    What fails raises SQLAlchemyError.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._writer = engine.execution_options(**{_WRITES: True})

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes: committed, durably, where the block ends, and nothing of it where that raises."""
        async with self._writer.begin() as connection:
            yield connection

    async def lock(self, connection: AsyncConnection) -> None:
        """Let others who want this lock wait until the transaction is over. On SQLite all who write do."""
        if self.engine.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})

    async def upgrade(self) -> None:
        """Make the tables, or bring them up to date. Raises BadArchive where they are not ours, or newer."""
        async with self.writing() as connection:
            await self.lock(connection)
            await connection.run_sync(upgrade)

    async def insert(self, connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
        """Insert many whole rows: by a binary COPY on PostgreSQL. Raises IntegrityError where there is one already."""
        if not rows:
            return
        if self.engine.dialect.name == "postgresql":
            await _copy((await connection.get_raw_connection()).driver_connection, table, rows)
        else:
            await connection.exec_driver_sql(_insert(table), list(rows))

    async def close(self) -> None:
        await self.engine.dispose()


def open_store(url: str) -> Store:
    """The database at ``sqlite:///path`` or ``postgresql://…``; it is connected to when it is first used.

    Raises:
        BadSetting: a URL that means neither.
    """
    parsed = database_at(url)
    return Store(_sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _postgresql(parsed))


def _sqlite(url: URL) -> AsyncEngine:
    engine = create_async_engine(url, connect_args={"isolation_level": None}, hide_parameters=True)

    @event.listens_for(engine.sync_engine, "do_connect")
    def connecting(*_: object) -> None:
        if url.database:
            _make_private(url.database)

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {SQLITE_WAIT * 1000:.0f}")
        _write_ahead(cursor)
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _make_private(database: str) -> None:
    """Made for nobody else to read, as ``-wal`` and ``-shm`` are after it.

    One that is there is not opened: to close it would end all locks that this process has on it (POSIX), and another
    that closes it then takes itself for the last, and deletes the WAL that is written here.
    """
    with suppress(FileExistsError):
        os.close(os.open(database, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _write_ahead(cursor: Any) -> None:
    """Give it a WAL. That makes a reader a writer, with which SQLite never waits: ``busy_timeout`` is not for it."""
    for left in reversed(range(round(SQLITE_WAIT / _SQLITE_PAUSE))):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not left or error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            await_only(asyncio.sleep(_SQLITE_PAUSE))
        else:
            return


def _postgresql(url: URL) -> AsyncEngine:
    told = {"connect_timeout": CONNECT_WAIT, "application_name": "gifting"}
    try:
        engine = create_async_engine(url, connect_args=told, pool_pre_ping=True, hide_parameters=True)
    except ImportError:
        raise MissingExtra("A PostgreSQL needs psycopg: pip install 'gifting[postgresql]'.") from None

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        if connection.get_execution_options().get(_WRITES):
            connection.exec_driver_sql("SET LOCAL synchronous_commit = on")

    return engine


def _insert(table: Table) -> str:
    return f"INSERT INTO {table.name} VALUES ({', '.join('?' * len(table.columns))})"  # noqa: S608


async def _copy(connection: Any, table: Table, rows: Sequence[Row]) -> None:
    """By the driver itself, which SQLAlchemy has no COPY of; so its errors are made SQLAlchemy's here."""
    import psycopg  # noqa: PLC0415 (an extra)

    command = f"COPY {table.name} FROM STDIN (FORMAT BINARY)"
    try:
        async with connection.cursor() as cursor, cursor.copy(command) as copy:
            copy.set_types([str(column.type.compile(_DIALECT)).lower() for column in table.columns])
            for row in rows:
                await copy.write_row(row)
    except psycopg.IntegrityError as error:
        raise IntegrityError(command, None, error) from error
    except psycopg.DataError as error:
        raise DataError(command, None, error) from error
    except psycopg.Error as error:
        raise OperationalError(command, None, error) from error
