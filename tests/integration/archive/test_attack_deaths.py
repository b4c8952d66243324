"""Everything dies, again and again, in any order: the server, Redis, PostgreSQL, the archiver. Real processes, SIGKILL.

Afterwards the archive is the stream, each gift once, and the audit and the seals say so. ``DEATHS`` and ``DEATHS_SEED``
in the environment ask for more, or for the same again.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from gifting.archive.schema import entries, events, rooms
from gifting.client import Client
from gifting.errors import GiftingError
from tests.support.archive import assert_whole
from tests.support.archiver import Follower, has_all
from tests.support.server import Server
from tests.support.site import KEYS, Site, site
from tests.support.waiting import WITHIN, until

pytestmark = [pytest.mark.attack, pytest.mark.slow, pytest.mark.timeout(400)]

DEATHS = int(os.environ.get("DEATHS", "30"))
SENDERS = ("ann", "bob", "cid")
COINS = 1_000_000


class Senders:
    """Who sends for ever, each key until it is answered."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.acked: dict[str, list[str]] = {name: [] for name in SENDERS}
        self._stop = False

    async def run(self) -> None:
        await asyncio.gather(*(self._send(name) for name in SENDERS))

    async def _send(self, name: str) -> None:
        token = self._server.token(name)
        async with Client(self._server.url, token, queue=0, connect_timeout=WITHIN) as client:  # it may be dead already
            while not self._stop:
                key = client.new_key()
                while not await _is_taken(client, key):
                    await asyncio.sleep(0.05)
                self.acked[name].append(key)

    def stop(self) -> None:
        """After the gifts that are on their way."""
        self._stop = True


async def _is_taken(client: Client, key: str) -> bool:
    with suppress(GiftingError, TimeoutError, OSError):
        await asyncio.wait_for(client.send_gift("r1", "spark", key=key), 15)
        return True
    return False


class Mortals:
    """Who may die, and is started again."""

    def __init__(self, books: Site, server: Server, follower: Follower, chance: random.Random) -> None:
        self._books, self._server, self._follower, self._chance = books, server, follower, chance
        self.all: list[Callable[[], Awaitable[None]]] = [self.archiver, self.redis, self.database, self.server]

    async def archiver(self) -> None:
        await self._follower.kill()
        await self._follower.start()

    async def redis(self) -> None:
        self._books.kill_redis()
        await asyncio.to_thread(self._books.start_redis)

    async def database(self) -> None:
        """Killed, or as ``pg_ctl stop -m immediate`` ends it."""
        cluster = self._books.cluster
        await asyncio.to_thread(self._chance.choice((cluster.kill, cluster.stop_at_once)))
        await asyncio.to_thread(cluster.start)

    async def server(self) -> None:
        await self._server.die()
        await self._server.start()


async def live_through(books: Site, server: Server, chance: random.Random) -> Senders:
    """So many deaths, at any time; two at once now and then."""
    senders, follower = Senders(server), books.follower()
    mortals = Mortals(books, server, follower, chance)
    await follower.start()
    sending = asyncio.create_task(senders.run())
    left = DEATHS
    while left > 0:
        await asyncio.sleep(chance.uniform(0.05, 0.6))
        assert not sending.done(), sending
        dying = chance.sample(mortals.all, k=chance.choice((1, 1, 2)))
        await asyncio.gather(*(die() for die in dying))
        left -= len(dying)
    senders.stop()
    await sending
    async with books.client() as redis, books.store() as store:
        await until(lambda: has_all(store, redis, KEYS))
        await until(lambda: has_ended(redis))
        await until(lambda: has_log(store, redis))
    assert await follower.stop() == 0, follower.log()
    await until(lambda: knows_redis(server))
    return senders


async def knows_redis(server: Server) -> bool:
    """Whether it has found the one that was started last."""
    with suppress(GiftingError):
        return bool(await server.operator.wallets(SENDERS))
    return False


async def has_ended(redis: Any) -> bool:
    """Whether no streak is open, whose end would come into the room's log."""
    return not await redis.zcard(KEYS.deadlines(KEYS.base("host")))


async def has_log(store: Any, redis: Any) -> bool:
    """Whether the room's log is archived."""
    async with store.engine.connect() as connection:
        seq = await connection.scalar(select(rooms.c.seq).where(rooms.c.room == "r1"))
    return bool(seq == int(await redis.hget(f"{KEYS.base('host')}:room:r1", "seq")))


async def keys_of(store: Any, user: str) -> list[bytes]:
    asked = select(entries.c.key).where(entries.c.owner == user, entries.c.kind == "debit")
    async with store.engine.connect() as connection:
        return [row.key for row in await connection.execute(asked)]


async def shown(store: Any) -> tuple[int, int]:
    """How many of the room's gifts are in the archive, and how many events."""
    gifts = func.sum(events.c.count).filter(events.c.type.like("gift%"))
    async with store.engine.connect() as connection:
        row = (await connection.execute(select(gifts, func.count()).where(events.c.room == "r1"))).one()
    return int(row[0]), int(row[1])


async def test_everything_dies_and_each_gift_is_archived_once(tmp_path: Path) -> None:
    seed = int(os.environ.get("DEATHS_SEED", random.randrange(10**6)))
    print("DEATHS_SEED", seed)
    async with site(tmp_path) as books, books.server() as server:
        await server.room("r1")
        await server.operator.grant_each(SENDERS, COINS)
        senders = await live_through(books, server, random.Random(seed))
        sent = {name: len(keys) for name, keys in senders.acked.items()}
        assert await server.operator.wallets(SENDERS) == {name: COINS - count for name, count in sent.items()}
        async with books.client() as redis, books.store() as store:
            assert await assert_whole(store, redis, KEYS) == len(SENDERS) + 2 * sum(sent.values())
            for name, count in sent.items():
                assert len(set(await keys_of(store, name))) == count
            gifts, logged = await shown(store)
            assert gifts == sum(sent.values())
            assert logged == int(await redis.hget(f"{KEYS.base('host')}:room:r1", "seq"))
        await proved(books)
    print(sent)


async def proved(books: Site) -> None:
    command = (sys.executable, "-m", "gifting", "audit", "--redis", books.redis_url, "--archive", books.archive)
    env = os.environ | {"GIFTING_DATA_DIR": str(books.folder / "data")}
    process = await asyncio.create_subprocess_exec(*command, env=env, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
