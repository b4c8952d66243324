"""The archive's tables: those of the migrations are those of the schema, on both databases; others are left alone."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, select, text

from gifting.archive.schema import METADATA, VERSION_TABLE, books, items, make_partitions
from gifting.archive.store import Store, open_store
from gifting.errors import BadArchive, BadSetting


def difference(connection: Connection) -> list[Any]:
    def ours(_: Any, name: str | None, kind: str, __: bool, ___: Any) -> bool:
        return not (kind == "table" and re.search(r"_\d{6}$", name or ""))

    opts = {"version_table": VERSION_TABLE, "include_object": ours, "compare_type": True}
    found: list[Any] = compare_metadata(MigrationContext.configure(connection, opts=opts), METADATA)
    return found


async def test_the_migrations_make_what_the_schema_says(store: Store) -> None:
    async with store.writing() as connection:
        await make_partitions(connection, items, [202611, 202612, 202701])
        assert await connection.run_sync(difference) == []


async def test_to_upgrade_again_changes_nothing(store: Store) -> None:
    async with store.writing() as connection:
        await store.insert(connection, books, [("id", "gifting", 16, 1)])
    await store.upgrade()
    async with store.engine.connect() as connection:
        assert (await connection.execute(select(books))).all() == [("id", "gifting", 16, 1)]


async def test_two_may_upgrade_at_once(archive_url: str) -> None:
    stores = [open_store(archive_url) for _ in range(3)]
    await asyncio.gather(*(store.upgrade() for store in stores))
    async with stores[0].engine.connect() as connection:
        assert await connection.run_sync(difference) == []
    for store in stores:
        await store.close()


async def test_a_newer_schema_is_refused_and_left_alone(store: Store) -> None:
    async with store.writing() as connection:
        await connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '999'"))
    with pytest.raises(BadArchive, match=r"\(999\) is of a newer version"):
        await store.upgrade()


async def test_tables_of_something_else_are_refused_and_left_alone(archive_url: str) -> None:
    store = open_store(archive_url)
    async with store.writing() as connection:
        await connection.execute(text("CREATE TABLE items (name TEXT)"))
    with pytest.raises(BadArchive, match="of something else: items"):
        await store.upgrade()
    async with store.engine.connect() as connection:
        assert await connection.run_sync(lambda sync: inspect(sync).get_table_names()) == ["items"]
    await store.close()


async def test_what_is_written_is_written_whole_or_not_at_all(store: Store) -> None:
    async with store.writing() as connection:
        await make_partitions(connection, items, [202611])
        await store.insert(connection, items, [(202611, 3, 1, "1-0", b"\x00data", bytes(32))])
    with pytest.raises(RuntimeError, match="in the midst"):
        async with store.writing() as connection:
            await make_partitions(connection, items, [202611, 202612])
            await store.insert(connection, items, [(202612, 3, 2, "2-0", b"more", bytes(32))])
            raise RuntimeError("in the midst")
    async with store.engine.connect() as connection:
        assert (await connection.execute(select(items))).all() == [(202611, 3, 1, "1-0", b"\x00data", bytes(32))]


@pytest.mark.parametrize("url", ["mysql://secret@host/x", "postgresql://a:secret@host:port/x", ""])
def test_a_url_of_something_else_is_refused_and_not_told(url: str) -> None:
    with pytest.raises(BadSetting) as refused:
        open_store(url)
    assert "secret" not in str(refused.value)
