"""The rooms' logs in the archive, a step of the archiver: each event once, in order, live rooms and ended ones.

A room's cursor (``rooms.seq``) is written with its events, from where they were read. So the process may be killed
anywhere, and there may be several. Live rooms are looked at each second; all others page by page, for ever.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import select

from gifting.archive.pages import chunks
from gifting.archive.room_rows import page_of
from gifting.archive.room_writing import Room, RoomPages, RoomWriter
from gifting.archive.schema import rooms
from gifting.archive.store import Store
from gifting.archive.writing import Overtaken
from gifting.ledger import scripts
from gifting.ledger.confirmed import ONE_REDIS, Confirmation
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys, partition_of, removed_key
from gifting.ledger.meta import LOST, SALT
from gifting.wire.batch import read_batches

log = logging.getLogger(__name__)

LOOK_EVERY: Final = 1.0
"""Seconds between two looks, each of which may take so long, and one transaction more."""

ROOMS_AT_ONCE: Final = 64
"""Rooms of which a page is read and written together."""

PAGE_SIZE: Final = 65_536
"""Bytes of a room's log that are read at a time, and one batch more."""

WALK_PAGE: Final = 500
"""Rooms of the directories that a look comes by; and rooms asked after in one call."""

_FIELDS: Final = ("host", "seq", "title", "ended")


class RoomLogs:
    """Of the books of ``keys``; :meth:`follow` is the step."""

    def __init__(
        self,
        redis: BinaryRedis,
        keys: Keys,
        store: Store,
        monotonic: Callable[[], float] = time.monotonic,
        confirmation: Confirmation = ONE_REDIS,
    ) -> None:
        self._confirmation = confirmation
        self._redis = redis
        self._keys = keys
        self._store = store
        self._monotonic = monotonic
        self._salt = b""
        self._writer = RoomWriter(store, lambda: self._salt)
        self._look_at = 0.0
        self._walk = _Walk(redis, keys)
        self._open: dict[str, str] = {}
        self._at: dict[str, int] = {}

    async def follow(self) -> int:
        """Archive what is new in rooms; returns how many events.

        Raises SQLAlchemyError, RedisError, OSError.
        """
        if self._monotonic() < self._look_at:
            return 0
        until = self._monotonic() + LOOK_EVERY
        self._salt = bytes.fromhex((await self._redis.hget(self._keys.meta, SALT) or b"").decode())
        walked = await self._walk.next()
        found = await self._states({**walked, **self._open, **await self._live()})
        await self._read_cursors(room.id for room in found)
        try:
            written = await self._catch_up(found, until)
            await self._writer.remove(await self._removed([room for room in found if room.id in walked and room.ended]))
        except Overtaken:
            self._at.clear()
            return 0
        self._remember(found)
        self._look_at = until
        return written

    async def _live(self) -> dict[str, str]:
        """Live rooms, each with its base."""
        pipe = self._redis.pipeline(transaction=False)
        for base in self._keys.bases:
            pipe.zrange(self._keys.live(base)[0], 0, -1)
        pages = await pipe.execute()
        return {room.decode(): base for base, page in zip(self._keys.bases, pages, strict=True) for room in page}

    async def _states(self, bases: Mapping[str, str]) -> list[Room]:
        """What Redis has of these rooms, of those that it has."""
        found = []
        for part in chunks([*bases.items()], WALK_PAGE):
            pipe = self._redis.pipeline(transaction=False)
            for room, base in part:
                pipe.hmget(f"{base}:room:{room}", *_FIELDS)
            said = zip(part, await pipe.execute(), strict=True)
            found += [self._room(room, base, state) for (room, base), state in said if state[0] and state[1]]
        return found

    def _room(self, room: str, base: str, state: Sequence[bytes | None]) -> Room:
        host, seq, title, ended = [(value or b"").decode() for value in state]
        return Room(room, partition_of(host, len(self._keys.bases)), base, host, int(seq), title, int(ended or 0))

    async def _read_cursors(self, names: Iterable[str]) -> None:
        """Of the rooms that are not known, how far they are archived."""
        for part in chunks([name for name in names if name not in self._at], WALK_PAGE):
            async with self._store.engine.connect() as connection:
                asked = select(rooms.c.room, rooms.c.seq).where(rooms.c.room.in_(part))
                self._at |= dict.fromkeys(part, 0)
                self._at.update((room, seq) for room, seq in await connection.execute(asked))

    async def _catch_up(self, found: Sequence[Room], until: float) -> int:
        """Page by page, those first whose log may soon be cut; what is not done in time is done at the next look."""
        written = 0
        while behind := [room for room in found if room.seq > self._at[room.id]]:
            behind.sort(key=lambda room: self._at[room.id] - room.seq)
            pages = await self._read(behind[:ROOMS_AT_ONCE])
            await self._confirmation.hold()
            await self._writer.write(pages)
            for room, page in pages:
                self._at[room.id] = page.last
                await scripts.call(
                    self._redis,
                    "room_archived",
                    [room.key, f"{room.key}/log", removed_key(room.base, room.id)],
                    page.last,
                )
                written += len(page.rows)
            if self._monotonic() >= until:
                break
        return written

    async def _read(self, found: Sequence[Room]) -> RoomPages:
        """The next page of each."""
        pipe = self._redis.pipeline(transaction=False)
        for room in found:
            names = (f"{room.key}/log", removed_key(room.base, room.id))
            pipe.eval(scripts.source("log_page"), 2, *names, self._at[room.id], PAGE_SIZE)
        pages = []
        for room, (batches, removed) in zip(found, await pipe.execute(), strict=True):
            page = page_of(room.id, self._at[room.id], read_batches(batches), {int(seq) for seq in removed})
            if not page.rows:  # the log is gone
                page = page._replace(last=room.seq)
            if page.missing:
                log.error("%d events of room %s were gone before they were archived", page.missing, room.id)
                await self._redis.hincrby(self._keys.meta, LOST, page.missing)
            pages.append((room, page))
        return pages

    async def _removed(self, found: Sequence[Room]) -> dict[str, list[int]]:
        """What is removed of rooms that have ended, of which no event tells."""
        pipe = self._redis.pipeline(transaction=False)
        for room in found:
            pipe.zrange(removed_key(room.base, room.id), 0, -1)
        sets = await pipe.execute() if found else []
        return {room.id: [int(seq) for seq in seqs] for room, seqs in zip(found, sets, strict=True) if seqs}

    def _remember(self, found: Sequence[Room]) -> None:
        """Rooms that may have more: those that are live, or not archived to their end."""
        self._open = {room.id: room.base for room in found if not room.ended or room.seq > self._at[room.id]}
        self._at = {room: self._at[room] for room in self._open}


class _Walk:
    """Through the directories of all partitions, again and again, a page at a time."""

    def __init__(self, redis: BinaryRedis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._partition = 0
        self._cursor = 0

    async def next(self) -> dict[str, str]:
        """The rooms of the next page, each with its base."""
        directory = f"{self._keys.bases[self._partition]}:directory"
        self._cursor, page = await self._redis.hscan(directory, self._cursor, count=WALK_PAGE)
        if not self._cursor:
            self._partition = (self._partition + 1) % len(self._keys.bases)
        return {room.decode(): self._keys.base(host.decode()) for room, host in page.items()}
