"""Backup and restore as docs/operations.md says: of a stopped directory, and of one whose server goes on."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from gifting.client import Client
from gifting.ledger.embedded import running_url
from tests.support.server import Server

pytestmark = pytest.mark.slow


async def copy(source: Path, target: Path) -> None:
    process = await asyncio.create_subprocess_exec("cp", "-r", str(source), str(target))
    assert await process.wait() == 0


async def send(client: Client, count: int, keys: list[str], acked: list[str]) -> None:
    for _ in range(count):
        keys.append(client.new_key())
        await client.send_gift("r1", "spark", key=keys[-1])
        acked.append(keys[-1])


async def restored(folder: Path, server: Server) -> Server:
    """A server on the copy; the audit of it was clean."""
    again = Server(folder)
    status, said = await again.audit()
    assert status == 0, said
    assert (folder / "secret").exists() == (server.data_dir / "secret").exists()
    return again


async def test_a_copy_of_a_stopped_directory_is_all_there_is(tmp_path: Path) -> None:
    keys: list[str] = []
    async with Server(tmp_path / "data") as server:
        await server.room("r1")
        await server.operator.grant_each(["ann", "bob"], 1000)
        async with Client(server.url, server.token("ann")) as ann:
            await send(ann, 20, keys, [])
        before = await server.operator.wallets(["ann", "bob", "host"])
        room = await server.operator.room("r1")
    await copy(tmp_path / "data", tmp_path / "copy")
    async with await restored(tmp_path / "copy", server) as again:
        assert await again.operator.wallets(["ann", "bob", "host"]) == before
        assert (await again.operator.room("r1"))["coins"] == room["coins"] == 20
        async with Client(again.url, again.token("ann")) as ann:
            assert (await ann.send_gift("r1", "spark", key=keys[-1]))["duplicate"]
            assert (await ann.gift_status(keys[0]))["state"] == "accepted"


async def test_a_copy_of_a_live_directory_has_all_that_was_acknowledged_before(tmp_path: Path) -> None:
    keys: list[str] = []
    acked: list[str] = []
    async with Server(tmp_path / "data") as server:
        await server.room("r1")
        await server.operator.grant_each(["ann"], 1_000_000)
        async with Client(server.url, server.token("ann"), queue=0) as ann:
            await send(ann, 50, keys, acked)
            sending = asyncio.create_task(send(ann, 1_000_000, keys, acked))
            url = running_url(tmp_path / "data")
            assert url is not None
            async with Redis.from_url(url) as redis:
                await redis.config_set("auto-aof-rewrite-percentage", 0)
                await redis.bgrewriteaof()
                while await rewriting(redis):
                    await asyncio.sleep(0.01)
                before = len(acked)
                await copy(tmp_path / "data", tmp_path / "copy")
                await redis.config_set("auto-aof-rewrite-percentage", 100)
            after = len(keys)
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
        assert (await server.audit())[0] == 0
    assert before >= 50
    async with await restored(tmp_path / "copy", server) as again:
        spent = 1_000_000 - (await again.operator.wallets(["ann"]))["ann"]
        assert before <= spent <= after
        async with Client(again.url, again.token("ann")) as ann:
            for key in (acked[0], acked[before - 1]):
                assert (await ann.send_gift("r1", "spark", key=key))["duplicate"]
        assert (await again.operator.room("r1"))["coins"] == spent
    assert (await again.audit())[0] == 0


async def rewriting(redis: Any) -> bool:
    found = await redis.info("persistence")
    return bool(found["aof_rewrite_in_progress"] or found["aof_rewrite_scheduled"])


# With an archive beside it.

COPY = 'import sqlite3 as s; s.connect("{0}/archive.db").backup(s.connect("{1}"))'
"""As docs/operations.md says."""


async def copy_archive(data: Path, target: Path) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", COPY.format(data, target))
    assert await process.wait() == 0


async def archived(data: Path, entries: int) -> None:
    """Wait until the archive of a live directory has so many debits."""
    async with asyncio.timeout(30):
        while True:
            with suppress(sqlite3.OperationalError), sqlite3.connect(data / "archive.db") as database:
                if database.execute("SELECT count(*) FROM entries WHERE kind = 'debit'").fetchone()[0] >= entries:
                    return
            await asyncio.sleep(0.05)


def put_archive(backup: Path, copied: Path) -> None:
    for name in ("archive.db-wal", "archive.db-shm"):
        (backup / name).unlink(missing_ok=True)
    copied.rename(backup / "archive.db")


async def archive_command(folder: Path) -> tuple[int, str]:
    """``gifting archive`` on a directory that no server runs on, until it ends by itself."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gifting", "archive", "--data-dir", str(folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def copy_both(folder: Path, keys: list[str], *, archive_first: bool) -> Path:
    """A copy of a live directory with a copy of its archive; between the two were 20 gifts."""
    data, backup, copied = folder / "data", folder / "copy", folder / "archive-copy.db"
    steps = [partial(copy_archive, data, copied), partial(copy, data, backup)]
    async with Server(data, archive="") as server:
        await server.room("r1")
        await server.operator.grant_each(["ann"], 1000)
        async with Client(server.url, server.token("ann")) as ann:
            for step in steps if archive_first else steps[::-1]:
                await send(ann, 20, keys, [])
                await archived(data, len(keys))
                await step()
    put_archive(backup, copied)
    return backup


async def test_an_archive_that_was_copied_first_goes_on_after_the_restore(tmp_path: Path) -> None:
    keys: list[str] = []
    backup = await copy_both(tmp_path, keys, archive_first=True)
    again = Server(backup, archive="")
    assert (await again.audit())[0] == 0
    async with again:
        async with Client(again.url, again.token("ann")) as ann:
            await send(ann, 5, keys, [])
        await archived(backup, 45)
        status, said = await again.audit()
        assert status == 0, said
        assert " 45 gifts" in said


async def test_an_archive_ahead_of_the_restored_redis_is_refused_by_name(tmp_path: Path) -> None:
    backup = await copy_both(tmp_path, [], archive_first=False)
    status, said = await archive_command(backup)
    assert status == 2
    assert "It is ahead" in said
    async with Server(backup, archive="") as again, Client(again.url, again.token("ann")) as ann:
        assert (await ann.send_gift("r1", "spark"))["coins"] == 979, "gifts go on without it"
