"""Restored to a point in time as docs/operations.md says, by its own commands: a PostgreSQL, a Redis, or both."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gifting.archive.schema import entries, events
from gifting.client import Client
from gifting.ledger.trimming import trim
from tests.support.archive import assert_whole, count_of
from tests.support.archiver import has_all, is_caught_up
from tests.support.server import Server
from tests.support.site import ERASE_AGAIN, KEYS, OPERATIONS, PG_BASE, REDIS_BASE, RESTORE_PG, RESTORE_REDIS, Site, site
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

RESTORE_PG_ALL = "".join(line for line in RESTORE_PG.splitlines(keepends=True) if "target_time" not in line)
"""As far as the log of the database goes."""

FIRST_TIMELINE = 'echo "recovery_target_timeline = current" >> "$PGDATA/postgresql.auto.conf"'
assert "`recovery_target_timeline = current`" in OPERATIONS


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as made:
        yield made


async def give(server: Server, user: str, count: int) -> None:
    async with Client(server.url, server.token(user)) as client:
        for _ in range(count):
            await client.send_gift("r1", "spark")


async def give_and_archive(books: Site, server: Server, count: int) -> None:
    await give(server, "ann", count)
    async with books.client() as redis:
        await until(lambda: is_caught_up(redis, KEYS))


async def begin(books: Site, server: Server) -> None:
    await server.room("r1")
    await server.operator.grant_each(["ann", "bob"], 1000)
    await give_and_archive(books, server, 20)


async def next_second() -> int:
    """The second that is over when this returns."""
    began = int(time.time())
    while int(time.time()) == began:
        await asyncio.sleep(0.01)
    return began


def written(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pg_time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%F %T.%f}+00"


async def whole(books: Site) -> int:
    async with books.client() as redis, books.store() as store:
        await until(lambda: has_all(store, redis, KEYS))
        return await assert_whole(store, redis, KEYS)


async def audit(books: Site) -> tuple[int, str]:
    flags = ("--redis", books.redis_url, "--archive", books.archive)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gifting", "audit", *flags),
        env=os.environ | {"GIFTING_DATA_DIR": str(books.folder / "data")},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def names(books: Site, user: str) -> set[Any]:
    """Under which the archive shows a user's gifts."""
    gave = select(events.c.name).where(events.c.user == user, events.c.count > 0)
    async with books.store() as store, store.engine.connect() as connection:
        return {row.name for row in await connection.execute(gave)}


async def test_both_to_a_point_in_time(books: Site) -> None:
    follower = books.follower()
    async with books.server(log_format="json") as server, follower.running():
        await begin(books, server)
        await give(server, "bob", 1)
        books.as_postgres(PG_BASE)
        await give_and_archive(books, server, 20)
        early = time.time()
        await give_and_archive(books, server, 10)
        last = await next_second()
        await give_and_archive(books, server, 10)
        await server.operator.call("DELETE", "/v1/users/bob/personal-data?reason=asked")
        await until(lambda: erased(books, "bob"))
    assert await whole(books) == 2 + 2 * 61
    books.as_redis(f'cp -r "$REDIS_DIR/appendonlydir" "{books.backup}/redis"')
    books.close()
    books.put_aside(books.redis_dir / "appendonlydir")
    books.put_aside(books.cluster.data)
    books.as_redis(RESTORE_REDIS, UNTIL=written(last))
    books.as_postgres(RESTORE_PG, EARLIER=pg_time(early))
    books.start()
    async with books.store() as store:
        assert await count_of(store, entries) == 2 + 2 * 41, "the database is from before"
    async with follower.running():
        assert await whole(books) == 2 + 2 * 51
        status, said = await audit(books)
        assert (status, "51 gifts" in said) == (0, True), said
        async with books.server() as server:
            assert await server.operator.wallets(["ann", "bob"]) == {"ann": 950, "bob": 999}
            assert await names(books, "bob") == {"bob"}
            log, token = books.folder / "gifting.log", server.token("op", "operator")
            (books.folder / "server.log").rename(log)
            books.as_redis(f"cd {books.folder}\n{ERASE_AGAIN}", UNTIL=written(last), TOKEN=token, SERVER=server.url)
            await until(lambda: erased(books, "bob"))
            assert await names(books, "ann") == {"ann"}
            await give_and_archive(books, server, 5)
    assert await whole(books) == 2 + 2 * 56


async def erased(books: Site, user: str) -> bool:
    return await names(books, user) == {None}


async def test_a_redis_from_a_copy_that_was_made_before_its_files_were_written_anew(books: Site) -> None:
    follower = books.follower()
    async with books.server() as server, follower.running():
        await begin(books, server)
        books.as_postgres(PG_BASE)
        early = time.time()
        await give_and_archive(books, server, 10)
        last = await next_second()
        await give_and_archive(books, server, 10)
        books.as_redis(REDIS_BASE)
        await give_and_archive(books, server, 10)
    books.close()
    books.put_aside(books.redis_dir / "appendonlydir")
    books.put_aside(books.cluster.data)
    books.as_redis(RESTORE_REDIS, UNTIL=written(last))
    books.as_postgres(RESTORE_PG, EARLIER=pg_time(early))
    books.start()
    async with follower.running():
        assert await whole(books) == 2 + 2 * 30
    assert (await audit(books))[0] == 0


async def test_a_database_that_is_lost_goes_on_from_its_log_and_from_redis(books: Site) -> None:
    """While gifts go on; what its log lacks is in Redis."""
    follower = books.follower()
    async with books.server() as server, follower.running():
        await begin(books, server)
        books.as_postgres(PG_BASE)
        await give_and_archive(books, server, 20)
        books.cluster.kill()
        books.put_aside(books.cluster.data)
        await give(server, "ann", 10)
        books.as_postgres(RESTORE_PG_ALL)
        books.cluster.start()
        await give_and_archive(books, server, 10)
        assert await whole(books) == 2 + 2 * 60
    status, said = await audit(books)
    assert status == 0, said


async def test_a_database_from_before_what_redis_trimmed_is_restored_to_later(books: Site) -> None:
    follower = books.follower()
    async with books.server() as server:
        async with follower.running():
            await begin(books, server)
            books.as_postgres(PG_BASE)
            early = time.time()
            await give_and_archive(books, server, 20)
        async with books.client() as redis:
            assert (await trim(redis, KEYS, 0, str(2**45))).items
        books.cluster.stop()
        books.put_aside(books.cluster.data)
        books.as_postgres(RESTORE_PG, EARLIER=pg_time(early))
        books.cluster.start()
        await follower.start()
        assert await follower.ended() == 2
        assert "It is behind: Redis no longer has items" in follower.log()
        await give(server, "ann", 1)
        books.cluster.stop()
        books.put_aside(books.cluster.data)
        books.as_postgres(f"{RESTORE_PG_ALL}\n{FIRST_TIMELINE}")
        books.cluster.start()
        async with follower.running():
            await give_and_archive(books, server, 5)
    status, said = await audit(books)
    assert (status, "46 gifts" in said) == (0, True), said


async def test_a_redis_that_lost_its_last_writes_is_noticed_and_the_database_restored_to_before(books: Site) -> None:
    """A disk that took what it had not written: the archive has what Redis has not."""
    follower = books.follower()
    async with books.server() as server, follower.running():
        await begin(books, server)
        books.as_postgres(PG_BASE)
        early = time.time()
        await give_and_archive(books, server, 10)
    async with books.client() as redis:
        kept = (await redis.info("persistence"))["aof_current_size"]
    async with books.server() as server, follower.running():
        await give_and_archive(books, server, 10)
    books.kill_redis()
    (log,) = (books.redis_dir / "appendonlydir").glob("*.incr.aof")
    os.truncate(log, log.stat().st_size - (await size_of(books) - kept))
    books.start_redis()
    await follower.start()
    assert await follower.ended() == 2
    assert "It is ahead: it has item" in follower.log()
    books.cluster.stop()
    books.put_aside(books.cluster.data)
    books.as_postgres(RESTORE_PG, EARLIER=pg_time(early))
    books.cluster.start()
    async with books.server() as server, follower.running():
        await give_and_archive(books, server, 5)
        found = await server.operator.wallets(["ann"])
    assert found == {"ann": 1000 - 35}
    assert await whole(books) == 2 + 2 * 35
    assert (await audit(books))[0] == 0


async def size_of(books: Site) -> int:
    return sum(file.stat().st_size for file in (books.redis_dir / "appendonlydir").glob("*.aof"))
