"""One crossing of all keys, from one Redis to a cluster: each is compared with its copy, and written if that differs.

So what a crossing that ended anywhere has done is done, and one that finds nothing to write has proved all copies.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import ResponseError

from gifting.errors import BooksMoved, SourceInUse, Unmovable
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.ledger.moving.copies import copy_of, is_part
from gifting.ledger.moving.copy import ARRIVED, Copy, Measure, write_into
from gifting.ledger.moving.names import MERGED, Names
from gifting.tasks import together

TOGETHER: Final = 100
PAGES: Final = 4
"""Keys whose commands go together, and how many times so many are copied side by side. Of each there is one chunk in
memory: some 100 MB in all, where all are as large as they may be.
"""

SCAN_COUNT: Final = 1000
"""Keys that one SCAN looks at."""


@dataclass
class Tally:
    """``keys`` that were looked at, ``size`` of what is in them (bytes), and how many copies were ``written`` to, or
    ``removed``.
    """

    keys: int = 0
    size: int = 0
    written: int = 0
    removed: int = 0

    @property
    def alike(self) -> bool:
        """Whether nothing had to be done."""
        return not (self.written or self.removed)


class Crossing:
    """``told`` is called now and then, with how far it is."""

    def __init__(
        self, source: BinaryRedis, here: Keys, cluster: BinaryRedis, there: Keys, told: Callable[[Tally], None]
    ) -> None:
        self._source = source
        self._cluster = cluster
        self._here, self._there = here, there
        self._names = Names(here, there)
        self._told = told
        self.tally = Tally()

    async def run(self) -> Tally:
        """All keys. Raises Unmovable, RedisError, OSError: what is done until then is done."""
        await self._remove_strangers()
        pages, turn = _pages(keys_of_books(self._source, self._here)), asyncio.Lock()
        under_way: set[bytes] = set()  # as SCAN may give a key twice

        async def copy_pages() -> None:
            while keys := await _next(pages, turn):
                await self._copy_page(set(keys) - under_way, under_way)

        await together(copy_pages() for _ in range(PAGES))
        await self._count_merged()
        return self.tally

    async def _copy_page(self, keys: set[bytes], under_way: set[bytes]) -> None:
        under_way |= keys
        places = [place for key in keys if (place := self._names.place(key)) is not None]
        await self._copy([copy_of(place, self._names) for place in places])
        under_way -= keys

    async def _copy(self, copies: Sequence[Copy]) -> None:
        left = list(copies)
        while left:
            await self._copy_chunks(left)
            ended = [copy for copy in left if copy.read and not is_part(copy)]
            await self._measure(ended)
            left = [copy for copy in left if not copy.read]
        self.tally.keys += len(copies)
        self.tally.size += sum(copy.size for copy in copies)
        self.tally.written += sum(copy.written for copy in copies)
        self._told(self.tally)

    async def _copy_chunks(self, copies: Sequence[Copy]) -> None:
        """The next of each."""
        replies = await _say(self._source, copies, lambda copy, pipe: copy.ask(pipe))
        full = [copy for copy, reply in zip(copies, replies, strict=True) if copy.take(reply)]
        replies = await _say(self._cluster, full, lambda copy, pipe: copy.look(pipe))
        differ = [copy for copy, reply in zip(full, replies, strict=True) if copy.compare(reply)]
        for copy in differ:
            copy.written = True
        await _say(self._cluster, differ, lambda copy, pipe: copy.write(pipe))

    async def _measure(self, copies: Sequence[Copy]) -> None:
        """Of whole keys, whether there is as much of their copies, and for as long. One that has more is begun anew."""
        source, there = await asyncio.gather(
            self._measures(self._source, copies, copied=False), self._measures(self._cluster, copies, copied=True)
        )
        pairs = dict(zip(copies, zip(source, there, strict=True), strict=True))
        differ = [copy for copy, (one, other) in pairs.items() if one != other]
        await _say(self._cluster, differ, lambda copy, pipe: copy.mend(pipe, *pairs[copy]))

    async def _measures(self, redis: BinaryRedis, copies: Sequence[Copy], *, copied: bool) -> list[Measure]:
        pipe = redis.pipeline(transaction=False)
        for copy in copies:
            key = copy.place.destination if copied else copy.place.key
            copy.measure(pipe, key)
            pipe.pexpiretime(key)
        said = iter(await pipe.execute(raise_on_error=False)) if copies else iter(())
        return [Measure(copy.size_of(next(said), copy=copied), copy.until_of(next(said))) for copy in copies]

    async def _remove_strangers(self) -> None:
        """Copies of what is no longer there: it was, when an earlier crossing came by."""
        async for keys in _pages(keys_of_books(self._cluster, self._there)):
            origins = {key: origin for key in keys if (origin := self._names.origin(key)) is not None}
            there = await _say(self._source, [*origins.values()], lambda key, pipe: pipe.exists(key))
            gone = [key for key, exists in zip(origins, there, strict=True) if not exists]
            await _say(self._cluster, gone, lambda key, pipe: write_into(pipe, key, ("UNLINK",)))
            self.tally.removed += len(gone)

    async def _count_merged(self) -> None:
        """What all partitions' became has no more than they have."""
        merged = [f"{base}:{MERGED}" for base in self._here.bases]
        counts = await _say(self._source, merged, lambda key, pipe: pipe.hlen(key))
        copy = f"{self._there.bases[0]}:{MERGED}".encode()
        if await self._cluster.hlen(copy) > sum(counts):
            await _say(self._cluster, [copy], lambda key, pipe: write_into(pipe, key, ("UNLINK",)))
            self.tally.removed += 1


def keys_of_books(redis: BinaryRedis, keys: Keys) -> AsyncIterator[bytes]:
    """All keys of all partitions, in no order; some may come twice."""
    prefix = re.sub(r"([*?\[\]\\])", r"\\\1", keys.bases[0].rpartition("{")[0])
    found: AsyncIterator[bytes] = redis.scan_iter(match=f"{prefix}{{p*", count=SCAN_COUNT)
    return found


async def _pages(keys: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    page: list[bytes] = []
    async for key in keys:
        page.append(key)
        if len(page) == TOGETHER:
            yield page
            page = []
    if page:
        yield page


async def _next(pages: AsyncIterator[list[bytes]], turn: asyncio.Lock) -> list[bytes]:
    """For one of several who take them; empty at the end."""
    async with turn:
        return await anext(pages, [])


async def _say(redis: BinaryRedis, about: Sequence[Any], what: Callable[[Any, Any], object]) -> list[Any]:
    """The replies to what is said about each. Raises the first that is an error."""
    if not about:
        return []
    pipe = redis.pipeline(transaction=False)
    for one in about:
        what(one, pipe)
    try:
        return list(await pipe.execute())
    except ResponseError as error:
        if str(error).startswith(ARRIVED):
            raise BooksMoved("Another run has moved them, and they are open there by now.") from None
        if "equal or smaller" in str(error):
            raise SourceInUse("Another run of this is at work on the same copies.") from None
        if "WRONGTYPE" in str(error):
            raise Unmovable(f"This version does not know a key: {error}.") from None
        raise
