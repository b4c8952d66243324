"""The archive's database for who only reads: few connections, which can't write and don't take long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gifting.archive.address import database_at
from gifting.errors import MissingExtra

CONNECTIONS: Final = 2
"""Of one server process: history is asked for seldom, and nobody's may slow what is written into the archive."""

CONNECT_WAIT: Final = 5
"""Seconds to wait for a connection to a PostgreSQL."""

FAILURES: Final = (SQLAlchemyError, OSError)
"""What reading raises where the database can't be asked."""


def open_reader(url: str, patience: float) -> AsyncEngine:
    """An engine on ``url``; a statement of it ends after ``patience`` seconds.

    Raises:
        BadSetting: a URL that means no database.
        MissingExtra
    """
    parsed = database_at(url)
    bounds: dict[str, Any] = {"pool_size": CONNECTIONS, "max_overflow": 0, "pool_timeout": patience}
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, bounds)
    options = f"-c default_transaction_read_only=on -c statement_timeout={patience * 1000:.0f}"
    told = {"connect_timeout": CONNECT_WAIT, "application_name": "gifting", "options": options}
    try:
        return create_async_engine(parsed, connect_args=told, pool_pre_ping=True, hide_parameters=True, **bounds)
    except ImportError:
        raise MissingExtra("A PostgreSQL needs psycopg: pip install 'gifting[postgresql]'.") from None


def _sqlite(url: URL, bounds: dict[str, Any]) -> AsyncEngine:
    """Of a file that is there: a reader makes none."""
    there = url.set(database=f"file:{url.database}", query={"mode": "ro", "uri": "true"})
    engine = create_async_engine(there, connect_args={"isolation_level": None}, hide_parameters=True, **bounds)

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


async def interrupter(connection: AsyncConnection) -> Callable[[], None]:
    """What ends a statement of this connection that takes too long; a PostgreSQL ends it itself."""
    raw: Any = (await connection.get_raw_connection()).driver_connection
    if connection.dialect.name == "sqlite":
        return raw._conn.interrupt  # type: ignore[no-any-return]  # its own is a coroutine, and waits its turn
    return lambda: None
