"""Personal data erased, a step of the archiver: names and words of a user, in the archive and in rooms that Redis has.

What is asked for is in Redis (:mod:`gifting.ledger.erasures`), what is done in ``erasures``. So it is done once,
however often the archiver dies; and again where the database is one from before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import or_, select, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gifting.archive.pages import chunks
from gifting.archive.schema import entries, erasures, events, rooms
from gifting.archive.store import Store
from gifting.ledger import scripts
from gifting.ledger.clock import in_ms
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.erasures import PAGE, Erasure, read_erasures
from gifting.ledger.keys import Keys, room_keys
from gifting.ledger.meta import SALT
from gifting.model.packing import pack
from gifting.model.pseudonym import pseudonym

SETTLE: Final = 5_000
"""Ms after which an erasure is done: by then the archive has what was said before it, or is told when it comes."""

RECENT: Final = 86_400_000
"""Ms for which the archive may be without gifts of a room that it has already."""


class Eraser:
    """Of the books of ``keys``; :meth:`erase_due` is the step."""

    def __init__(self, redis: BinaryRedis, keys: Keys, store: Store) -> None:
        self._redis = redis
        self._keys = keys
        self._store = store
        self._since = 0

    async def erase_due(self) -> int:
        """Do what is asked for and not done yet; returns how many. Raises SQLAlchemyError, RedisError, OSError."""
        until = in_ms(await self._redis.time()) - SETTLE
        done = 0
        while due := await read_erasures(self._redis, self._keys, self._since, until):
            for erasure in await self._not_done(due):
                await self._erase(erasure)
                done += 1
            self._since = due[-1].at
            if len(due) < PAGE:
                break
        return done

    async def _not_done(self, due: Sequence[Erasure]) -> list[Erasure]:
        asked = select(erasures.c.user, erasures.c.at).where(erasures.c.user.in_([one.user for one in due]))
        async with self._store.engine.connect() as connection:
            done = {(row.user, row.at) for row in await connection.execute(asked)}
        return [one for one in due if (one.user, one.at) not in done]

    async def _erase(self, erasure: Erasure) -> None:
        """In Redis first: that it is done is known by what is in the database."""
        async with self._store.engine.connect() as connection:
            shown = await self._rooms(connection, erasure)
        profile = pack({"id": erasure.user, "name": erasure.user, "picture": "", "level": 0})
        for room, host in shown.items():
            state, *_, users = room_keys(self._keys.base(host), room)
            await scripts.call(self._redis, "profile_erase", [state, users], erasure.user, profile)
        salt = bytes.fromhex((await self._redis.hget(self._keys.meta, SALT) or b"").decode())
        names = [erasure.user, *(pseudonym(salt, room, erasure.user) for room in shown)]
        async with self._store.writing() as connection:
            await self._store.lock(connection)
            if not await _is_done(connection, erasure):
                await self._store.insert(connection, erasures, [erasure])
                await _forget(connection, erasure, names)

    async def _rooms(self, connection: AsyncConnection, erasure: Erasure) -> dict[str, str]:
        """Where the user may be shown, by its name or a pseudonym, and whose these rooms are."""
        user, since = erasure.user, erasure.at - RECENT
        said = select(events.c.room).where(events.c.user == user)
        gave = select(entries.c.room).where(entries.c.owner == user, entries.c.kind == "debit")
        lately = select(rooms.c.room).where(or_(rooms.c.host == user, rooms.c.ended == 0, rooms.c.ended >= since))
        asked = select(rooms.c.room, rooms.c.host).where(rooms.c.room.in_(union(said, gave, lately)))
        return {row.room: row.host for row in await connection.execute(asked)}


async def _is_done(connection: AsyncConnection, erasure: Erasure) -> bool:
    """Another archiver may have been quicker."""
    asked = select(erasures.c.at).where(erasures.c.user == erasure.user, erasures.c.at == erasure.at)
    return (await connection.execute(asked)).first() is not None


async def _forget(connection: AsyncConnection, erasure: Erasure, names: Sequence[str]) -> None:
    parts: Iterable[Sequence[Any]] = chunks(names, PAGE)
    for part in parts:
        said = events.c.user.in_(part), events.c.ts <= erasure.at
        await connection.execute(update(events).where(*said).values(name=None, text=None))
    await connection.execute(update(rooms).where(rooms.c.host == erasure.user).values(title=""))
