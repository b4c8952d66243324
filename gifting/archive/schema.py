"""The archive's tables, of SQLite and of PostgreSQL. What they hold: docs/archive.md.

Numbers are whole, times ms since 1970 UTC, a month or period is YYYYMM in UTC. ``migrations/`` makes them; a test holds
the two together. ``items`` and ``entries`` are in partitions by month on PostgreSQL (:func:`make_partitions`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

VERSION_TABLE: Final = "gifting_schema"
"""Where Alembic keeps which version the tables are of."""

METADATA: Final = MetaData(naming_convention={"pk": "%(table_name)s_pkey"})


def _number(name: str, **more: Any) -> Column[int]:
    return Column(name, BigInteger, nullable=False, autoincrement=False, **more)


def _month(name: str) -> Column[int]:
    return Column(name, Integer, primary_key=True, autoincrement=False)


def _partition(**more: Any) -> Column[int]:
    return Column("partition", SmallInteger, nullable=False, autoincrement=False, **more)


def _words(name: str, **more: Any) -> Column[str]:
    return Column(name, Text, nullable=False, **more)


def _bytes(name: str, **more: Any) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False, **more)


def _by_month(month: str) -> dict[str, Any]:
    return {"postgresql_partition_by": f"RANGE ({month})"}


# What follows from the ledger.

books: Final = Table(
    "books", METADATA, _words("id", primary_key=True), _words("prefix"), _number("partitions"), _number("made")
)

cursors: Final = Table(
    "cursors",
    METADATA,
    _partition(primary_key=True),
    _number("seq"),
    _words("item_id"),
    _bytes("hash"),
    Column("period", Integer, nullable=False),
    _number("updated"),
)
"""How far a partition's stream is archived: ``seq`` items, the last of which is ``item_id``."""

items: Final = Table(
    "items",
    METADATA,
    _month("period"),
    _partition(primary_key=True),
    _number("seq", primary_key=True),
    _words("item_id"),
    _bytes("data"),
    _bytes("hash"),
    **_by_month("period"),
)
"""The ledger's items as they are in the stream, each partition's numbered from 1."""

entries: Final = Table(
    "entries",
    METADATA,
    _month("month"),
    _words("kind", primary_key=True),
    _bytes("key", primary_key=True),
    _partition(),
    _number("seq"),
    Column("place", Integer, nullable=False),
    _number("ts"),
    _words("owner"),
    _words("peer"),
    _words("room"),
    _words("about"),
    _number("count"),
    _number("coins"),
    _number("paid"),
    _number("bonus"),
    _number("debt"),
    _number("diamonds"),
    _number("money"),
    _words("currency"),
    _words("via"),
    Column("commission", Integer, nullable=False),
    _words("reason"),
    Column("keeper", Integer, primary_key=True, autoincrement=False),
    **_by_month("month"),
)
"""What the items say. ``owner``: whose partition it is in; ``peer``: the other side; ``keeper``: the partition in which
its key is kept, and so unique: of a credit its sender's."""

Index("entries_owner_kind_ts", entries.c.owner, entries.c.kind, entries.c.ts)

oddities: Final = Table(
    "oddities",
    METADATA,
    _partition(primary_key=True),
    _number("seq", primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    _words("why"),
)
"""Items, and entries of them, of which ``entries`` has no row: faults of the ledger."""

fences: Final = Table(
    "fences",
    METADATA,
    _partition(primary_key=True),
    _words("id", primary_key=True),
    Column("source", SmallInteger, nullable=False),
    _number("first"),
    _number("last"),
    _number("had"),
    _number("lost"),
    _number("at"),
)
"""Numbers of the partition ``source`` that this one has credited, and that were lost with their debits."""

# What was said and done.

rooms: Final = Table(
    "rooms",
    METADATA,
    _words("room", primary_key=True),
    _words("host"),
    _partition(),
    _number("seq"),
    _words("title"),
    _number("ended"),
)
"""Rooms whose log is archived, up to ``seq``. ``ended``: 0 while it is live."""

events: Final = Table(
    "events",
    METADATA,
    _words("room", primary_key=True),
    _number("seq", primary_key=True),
    _number("ts"),
    _words("type"),
    _words("user"),
    Column("name", Text),
    Column("text", Text),
    _words("gift"),
    _number("count"),
    _number("coins"),
    _number("diamonds"),
    Column("key", LargeBinary),
)
"""A room's log. Names and words are here only, outside of every hash, and NULL after an erasure."""

Index("events_user", events.c.user)

acts: Final = Table(
    "acts",
    METADATA,
    _words("id", primary_key=True),
    _number("at"),
    _words("who"),
    _words("role"),
    _words("act"),
    _words("about"),
    _words("why"),
)

erasures: Final = Table(
    "erasures",
    METADATA,
    _words("user", primary_key=True),
    _number("at", primary_key=True),
    _words("who"),
    _words("why"),
)

# What proves it.

seals: Final = Table(
    "seals",
    METADATA,
    _partition(primary_key=True),
    _month("period"),
    _number("first_seq"),
    _number("last_seq"),
    _words("item_id"),
    _bytes("hash"),
    _bytes("state_hash"),
    _number("made"),
    _words("key_id"),
    _bytes("signature"),
)

closings: Final = Table(
    "closings",
    METADATA,
    _month("period"),
    _partition(primary_key=True),
    _words("book", primary_key=True),
    _words("name", primary_key=True),
    _number("amount"),
)

# What finance adds.

settlements: Final = Table(
    "settlements",
    METADATA,
    _words("provider", primary_key=True),
    _words("reference", primary_key=True),
    _words("order_id"),
    _words("kind"),
    _number("order_amount"),
    _words("order_currency"),
    _words("rate"),
    _number("gross"),
    _number("tax"),
    _number("fee"),
    _number("net"),
    _words("currency"),
    _number("at"),
    _words("batch"),
    Column("period", Integer, nullable=False),
)
"""What providers settled: ``model/settlements.py``. ``period``: the month it is told in, of ``at`` or later."""

Index("settlements_period", settlements.c.period)

collected: Final = Table(
    "collected", METADATA, _words("provider", primary_key=True), _number("since"), _number("until"), _words("page")
)
"""How far a provider's settlements are taken in: all before ``since``, and of those from there to ``until`` (0: none
are being taken in) what comes before its ``page``."""

locks: Final = Table(
    "locks",
    METADATA,
    _month("period"),
    _number("at"),
    _words("who"),
    Column("breakage_after", Integer, nullable=False),
    _bytes("reports_hash"),
)

locked_reports: Final = Table(
    "locked_reports",
    METADATA,
    _month("period"),
    _words("name", primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    _words("cells"),
)
"""The reports of a month as it was locked: rows in JSON, the columns first."""

PARTITIONED: Final = (items, entries)


def partition_of(table: Table, month: int) -> str:
    """The name of a month's partition on PostgreSQL, as ``items_202611``."""
    return f"{table.name}_{month:06d}"


async def make_partitions(connection: AsyncConnection, table: Table, months: Iterable[int]) -> None:
    """Make the partitions of these months where there are none yet, in the transaction that needs them.

    Attached, not created in place: so nobody who reads the table for long is waited for.
    """
    if connection.dialect.name != "postgresql":
        return
    await connection.exec_driver_sql(f"LOCK TABLE {table.name} IN SHARE UPDATE EXCLUSIVE MODE")
    for month in months:
        name, bounds = partition_of(table, month), f"FROM ({month}) TO ({month + 1})"
        if (await connection.exec_driver_sql(f"SELECT to_regclass('{name}')")).scalar() is None:
            await connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE {table.name})")
            await connection.exec_driver_sql(f"ALTER TABLE {table.name} ATTACH PARTITION {name} FOR VALUES {bounds}")
