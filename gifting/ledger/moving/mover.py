"""Moves books from one Redis to a Redis Cluster, while nobody writes into them.

Crossings follow each other until one has found all copies alike, and nothing was written meanwhile. Only then are the
old books marked as moved, and after that those on the cluster can be opened: never both, and between the two neither.
It may end anywhere, and be run again.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from gifting.config import Settings
from gifting.errors import BadSetting, OtherBooks, SourceInUse, Unmovable
from gifting.ledger import scripts
from gifting.ledger.audit.find import find_books
from gifting.ledger.clock import in_ms
from gifting.ledger.cluster.address import is_cluster
from gifting.ledger.cluster.birth import BORN
from gifting.ledger.cluster.layout import LAYOUT, layout_of
from gifting.ledger.connect import connect
from gifting.ledger.engine import ClusterEngine
from gifting.ledger.halt import FIELD as HALTED
from gifting.ledger.meta import REFUSED, SALT
from gifting.ledger.moved import ARRIVING, CAME, MOVED, identity
from gifting.ledger.moving.crossing import Crossing, Tally, keys_of_books
from gifting.ledger.moving.source import Source, require_moved_to
from gifting.model.packing import pack

TIMEOUT: Final = 60.0
"""Seconds that a call may take."""

CROSSINGS_MAX: Final = 10
"""How often it begins anew where something is written into the books that nobody should write into."""

STAYS: Final = (HALTED, MOVED, REFUSED)
"""Fields of ``meta`` that are about the books where they were."""

Told = Callable[[int, Tally], None]
"""Is called now and then: the number of the crossing, and how far that is."""


class Mover:
    """:meth:`find` what there is to do, and :meth:`move`."""

    def __init__(self, source: Source, engine: ClusterEngine, where: str) -> None:
        self._source = source
        self._engine = engine
        self._cluster = engine.redis
        self._keys = engine.keys
        self._where = where

    async def find(self) -> bool:
        """Whether there is anything to do: not where they are moved there already.

        Raises:
            BooksMoved: they were moved elsewhere.
            OtherBooks: the cluster has others, or others are moved there.
            SourceInUse: servers are at work.
            UnfitCluster: not every promise would hold there.
            RedisError, OSError
        """
        here, there = await self._source.meta(), await self._cluster.hgetall(self._keys.meta)
        own, same = _identity(here), there.get(SALT.encode()) == here[SALT.encode()]
        arriving, _, place = there.get(ARRIVING.encode(), b"").decode().partition(" ")
        if moved := here.get(MOVED.encode(), b"").decode():
            if same:
                return False
            require_moved_to(moved, place)
            return True
        if arriving not in ("", own):
            raise OtherBooks("Others are moved there, and have not all come.")
        if not arriving and await self._has_keys():
            raise OtherBooks(f"There are keys of books under {self._keys.bases[0].rpartition(':')[0]} on the cluster.")
        await self._source.require_unused()
        await self._engine.checks.require()
        return True

    async def _has_keys(self) -> bool:
        """But for what start checks and confirmations leave."""
        async for key in keys_of_books(self._cluster, self._keys):
            if not key.endswith(b":waited"):
                return True
        return False

    async def count(self) -> int:
        """Keys that there are where the books are, roughly: others' are counted too."""
        return int(await self._source.redis.dbsize())

    async def move(self, told: Told) -> Tally:
        """Returns what the last crossing has compared.

        Raises:
            SourceInUse: something writes into the books again and again.
            Unmovable: nobody knows what a key is, or the books are halted for another reason.
            RedisError, OSError: it may be run again, and goes on.
        """
        meta, tally = await self._source.meta(), Tally()
        moved = meta.get(MOVED.encode(), b"").decode()
        if not moved:
            await self._source.halt()
        place = await self._begin(_identity(meta))
        if moved:  # all copies were proved before that
            require_moved_to(moved, place)
        else:
            tally = await self._cross(place, told)
        await self._open(await self._source.meta())
        return tally

    async def _cross(self, place: str, told: Told) -> Tally:
        """Until all is alike, and the old books are left."""
        for number in range(1, CROSSINGS_MAX + 1):
            since = await self._source.written()
            crossing = Crossing(self._source.redis, self._source.keys, self._cluster, self._keys, partial(told, number))
            tally = await crossing.run()
            if tally.alike and await self._source.leave(since, self._where, place):
                return tally
        raise SourceInUse("Something writes into these books again and again.")

    async def _begin(self, own: str) -> str:
        """Keep everybody out of the cluster until all has come; returns its name."""
        said = await scripts.call(self._cluster, "move_begin", [self._keys.meta], f"{own} {secrets.token_hex(8)}")
        arriving, _, place = said.decode().partition(" ")
        if arriving != own:
            raise OtherBooks("There are books on the cluster by now, or others are moved there.")
        return str(place)

    async def _open(self, meta: dict[bytes, bytes]) -> None:
        """Make of all that has come books that a server takes: partitions are born, the first with ``meta`` at last."""
        now = in_ms(await self._cluster.time())
        first, *others = (f"{base}:line" for base in self._keys.bases)
        await asyncio.gather(*(self._note_what_came(base) for base in self._keys.bases))
        await asyncio.gather(*(self._cluster.hsetnx(line, BORN, now) for line in others))
        kept: dict[bytes, object] = {name: value for name, value in meta.items() if name.decode() not in STAYS}
        kept |= {LAYOUT.encode(): layout_of(self._keys), BORN.encode(): str(now)}
        fields = [part for pair in kept.items() for part in pair]
        await scripts.call(self._cluster, "move_end", [self._keys.meta, first], pack((fields, str(now))))

    async def _note_what_came(self, base: str) -> None:
        """Up to where its ledger was not entered on a cluster."""
        last = await self._cluster.xrevrange(f"{base}:ledger", count=1)
        await self._cluster.hsetnx(f"{base}:line", CAME, last[0][0] if last else "0-0")


def _identity(meta: dict[bytes, bytes]) -> str:
    """Raises Unmovable."""
    if SALT.encode() not in meta:
        raise Unmovable(
            "These books are of a version before this: let a server of this one start on them, and stop it."
        )
    return identity(meta[SALT.encode()])


@asynccontextmanager
async def mover(source_url: str, settings: Settings) -> AsyncIterator[Mover]:
    """Of the books in the one Redis at ``source_url``, to the cluster of the settings, which are those of its servers
    to be.

    Raises:
        BadSetting: that is no cluster, the other one is, or has no books.
        RedisError, OSError
    """
    if is_cluster(source_url):
        raise BadSetting("Books that are on a Redis Cluster are not moved.")
    redis = connect(source_url, TIMEOUT)
    try:
        here = await find_books(redis, settings.key_prefix, "The old Redis")
        engine = ClusterEngine(settings.redis, replace(settings, partitions=len(here.bases), ledger_timeout=TIMEOUT))
        try:
            yield Mover(Source(redis, here), engine, _where(engine))
        finally:
            await engine.close()
    finally:
        await redis.aclose()


def _where(engine: ClusterEngine) -> str:
    """The cluster, without a password."""
    return ",".join(f"{host}:{port}" for host, port in engine.address.seeds)
