"""History is of archive and Redis together: nothing missing, nothing twice, wherever the archiver is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgpack
import pytest
from redis.asyncio import Redis

from gifting import errors
from gifting.archive.archiver import Archiver
from gifting.archive.history import History
from gifting.archive.reading import Archive
from gifting.archive.store import Store
from gifting.model.money import make_key, parse_key
from tests.support.keys import session_keys

KEYS = session_keys(1)
NOW = 1_700_000_000_000
KINDS = ["grant", "debit"]


def grant(number: int, user: str = "ann", ts: int = NOW) -> list[Any]:
    return ["grant", ts, parse_key(make_key(NOW, bytes([number] * 10))), user, number, "why", "op"]


class Books:
    """An archive, and the stream that it follows."""

    def __init__(self, redis: Redis, store: Store, url: str) -> None:
        self.redis = redis
        self.archiver = Archiver(redis, KEYS, "gifting", store)
        self.archive = Archive(url)
        self.history = History(self.archive, redis, KEYS)

    async def add(self, *entries: list[Any]) -> None:
        data = b"".join(msgpack.packb(entry, use_bin_type=False) for entry in entries)
        await self.redis.xadd(f"{KEYS.bases[0]}:ledger", {"e": data})

    async def coins(self, cursor: str = "", limit: int = 10, since: int = 0) -> tuple[list[int], str]:
        lines, following = await self.history.page("ann", KINDS, since, cursor, limit)
        return [line.coins for line in lines], following


@pytest.fixture
async def books(redis_client: Redis, store: Store, archive_url: str) -> AsyncIterator[Books]:
    made = Books(redis_client, store, archive_url)
    yield made
    await made.archive.close()


async def test_what_is_archived_and_what_is_not_yet_come_together(books: Books) -> None:
    await books.add(grant(1), grant(2))
    await books.add(grant(9, "bob"))
    await books.archiver.round()
    await books.add(grant(3, ts=NOW + 5))
    assert await books.coins() == ([3, 2, 1], "")
    assert await books.coins(since=NOW + 1) == ([3], "")
    await books.archiver.round()
    assert await books.coins() == ([3, 2, 1], "")


async def test_pages_go_on_while_entries_come_and_are_archived(books: Books) -> None:
    for number in range(1, 7):
        await books.add(grant(number))
        if number == 3:
            await books.archiver.round()
    seen, cursor = await books.coins(limit=2)
    await books.add(grant(7, ts=NOW + 1))
    await books.archiver.round()
    while cursor:
        more, cursor = await books.coins(cursor, limit=2)
        seen += more
    assert seen == [6, 5, 4, 3, 2, 1]


async def test_what_is_archived_is_there_when_redis_has_it_no_longer(books: Books) -> None:
    await books.add(grant(1))
    await books.archiver.round()
    await books.redis.xtrim(f"{KEYS.bases[0]}:ledger", maxlen=0)
    assert await books.coins() == ([1], "")


@pytest.mark.parametrize("cursor", ["x", "1-2", "1-2-3-4", "-1-2-3", "1-2-" + "9" * 17, "١-2-3"])
async def test_cursors_that_nobody_made_are_refused(books: Books, cursor: str) -> None:
    with pytest.raises(errors.BadCursor):
        await books.coins(cursor)
