"""The archiver as a process: beside `gifting serve` by itself, and as a command of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from redis.asyncio import Redis

from gifting.archive.store import open_store
from tests.support.archive import assert_whole
from tests.support.children import runs
from tests.support.keys import session_keys
from tests.support.server import Server
from tests.support.waiting import until

pytestmark = pytest.mark.slow

WITHIN = 30.0


def archiver_of(pid: int) -> psutil.Process | None:
    for child in psutil.Process(pid).children():
        with suppress(psutil.NoSuchProcess):  # or it has just ended
            if "archive" in child.cmdline():
                return child
    return None


async def is_caught_up(redis: Any) -> bool:
    for base in session_keys(16).bases:
        last = await redis.xrevrange(f"{base}:ledger", count=1)
        if last and await redis.get(f"{base}:archived") != last[0][0]:
            return False
    return True


async def grant(server: Server, count: int) -> None:
    for _ in range(count):
        await server.operator.grant("ann", 10, "a test")


async def stopped_is_whole(server: Server) -> int:
    """The archive of a server that has stopped is exactly its ledger."""
    from gifting.health import Health
    from gifting.ledger.embedded import EmbeddedRedis
    from gifting.tasks import Vital

    embedded = EmbeddedRedis(server.data_dir, vital=Vital(Health()))
    url = await embedded.start()
    store = open_store(f"sqlite:///{server.data_dir / 'archive.db'}")
    try:
        async with Redis.from_url(url) as client:
            return await assert_whole(store, client, session_keys(16))
    finally:
        await store.close()
        await embedded.stop()


async def test_a_server_archives_by_itself_up_to_the_last_entry(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", archive="") as server:
        await until(lambda: archiver_of(server.pid))
        await grant(server, 20)
    assert await stopped_is_whole(server) == 20


async def test_an_archiver_that_dies_is_started_again(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", archive="") as server:
        first = await until(lambda: archiver_of(server.pid))
        first.kill()
        await until(lambda: (one := archiver_of(server.pid)) and one.pid != first.pid)
        await grant(server, 3)
    assert "the archiver ended with -9" in server.log_text()
    assert await stopped_is_whole(server) == 3


async def test_no_archiver_outlives_a_server_that_is_killed(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", archive="")
    await server.start()
    try:
        child = await until(lambda: archiver_of(server.pid))
        await server.die()
        await until(lambda: not runs(child))
    finally:
        await server.start()
        await server.stop()


async def test_a_server_without_an_archive_has_no_archiver(tmp_path: Path) -> None:
    async with Server(tmp_path / "data") as server:
        assert archiver_of(server.pid) is None
    assert not (tmp_path / "data" / "archive.db").exists()


async def test_a_command_that_is_killed_again_and_again_archives_each_item_once(
    tmp_path: Path, archive_url: str, redis_client: Redis, redis_url: str
) -> None:
    async with Server(tmp_path / "data", redis=redis_url, archive=archive_url) as server:
        command = (sys.executable, "-m", "gifting", "archive", "--redis", redis_url, "--archive", archive_url)
        env = os.environ | {"GIFTING_DATA_DIR": str(tmp_path / "data")}
        for number in range(6):
            process = await asyncio.create_subprocess_exec(*command, env=env)
            giving = asyncio.create_task(grant(server, 40))
            await asyncio.sleep(0.8 + 0.13 * number)
            process.send_signal(signal.SIGKILL)
            await process.wait()
            await giving
        process = await asyncio.create_subprocess_exec(*command, env=env)
        await grant(server, 1)  # so that who has caught up is the last one
        while not await is_caught_up(redis_client):
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        store = open_store(archive_url)
        assert await assert_whole(store, redis_client, session_keys(16)) == 241
        await store.close()


async def test_one_that_refuses_is_told_at_once_and_not_started_again_at_once(tmp_path: Path) -> None:
    """Also where its key and its seals are is a setting."""
    away = tmp_path / "away"
    away.mkdir()
    options: dict[str, Any] = {"archive": "", "seal_key": str(away / "own.key"), "seals": str(away / "own.jsonl")}
    async with Server(tmp_path / "data", **options) as server:
        await until(lambda: archiver_of(server.pid))
        await grant(server, 1)
    assert (away / "own.key").exists()
    assert not (tmp_path / "data" / "seal.key").exists()
    with closing(sqlite3.connect(tmp_path / "data" / "archive.db")) as database:
        database.execute("UPDATE books SET id = 'another'")
        database.commit()
    async with Server(tmp_path / "data", **options, archive_backlog=1e9) as server:
        await grant(server, 1)
        async with asyncio.timeout(WITHIN):
            while "degraded" not in (found := await server.operator.call("GET", "/readyz")):
                await asyncio.sleep(0.05)
        assert found["ok"]
        assert "the books another" in found["degraded"]["archive"]
        await until(lambda: "the archiver ended with 2; another is started in 60.0 s" in server.log_text())
