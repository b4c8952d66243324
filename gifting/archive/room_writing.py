"""Pages of rooms' logs into the database: events and the room's cursor in one transaction, or nothing of them.

Who writes names or words, or erases them, holds the store's lock: so nothing that is erased comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gifting.archive.pages import chunks
from gifting.archive.room_rows import TS, USER, RoomPage
from gifting.archive.rows import Row
from gifting.archive.schema import erasures, events, rooms
from gifting.archive.store import Store
from gifting.archive.writing import Overtaken
from gifting.model.pseudonym import MARK, pseudonym


class Room(NamedTuple):
    """What Redis has of a room. ``partition`` and ``base`` are its host's; ``ended``: ms, 0 while it is live."""

    id: str
    partition: int
    base: str
    host: str
    seq: int
    title: str
    ended: int

    @property
    def key(self) -> str:
        return f"{self.base}:room:{self.id}"


REMOVED_AT_ONCE: Final = 500
"""Events asked after in one statement."""

RoomPages = list[tuple[Room, RoomPage]]

NAME, TEXT = 5, 6
"""Where a row of ``events`` has what is personal."""


class RoomWriter:
    """Writes pages of rooms into one archive. What fails raises SQLAlchemyError, and nothing is written.

    ``salt`` gives that of pseudonyms.
    """

    def __init__(self, store: Store, salt: Callable[[], bytes]) -> None:
        self._store = store
        self._salt = salt

    async def write(self, pages: RoomPages) -> None:
        """Write the pages, one of each room at most.

        Raises:
            Overtaken: a cursor is not where its page begins.
        """
        rows = list(chain.from_iterable(page.rows for _, page in pages))
        async with self._store.writing() as connection:
            await self._store.lock(connection)
            await self._advance(connection, pages)
            await self._store.insert(connection, events, await self._without_erased(connection, rows))
            await _remove(connection, {room.id: [*page.removed] for room, page in pages if page.removed})

    async def remove(self, removed: Mapping[str, Sequence[int]]) -> None:
        """Keep no longer what was said in these events of rooms."""
        if removed:
            async with self._store.writing() as connection:
                await self._store.lock(connection)
                await _remove(connection, removed)

    async def _advance(self, connection: AsyncConnection, pages: RoomPages) -> None:
        names = [room.id for room, _ in pages]
        found = await connection.execute(select(rooms.c.room, rooms.c.seq).where(rooms.c.room.in_(names)))
        at: dict[str, int] = {row.room: row.seq for row in found}
        for room, page in pages:
            if at.get(room.id, 0) != page.since:
                raise Overtaken(f"room {room.id} is no longer at {page.since}")
        made = [(room.id, room.host, room.partition, page.last, room.title, room.ended) for room, page in pages]
        await self._store.insert(connection, rooms, [row for row in made if row[0] not in at])
        known = [{"id": row[0], "to": row[3], "over": row[5]} for row in made if row[0] in at]
        if known:
            moved = update(rooms).where(rooms.c.room == bindparam("id"))
            await connection.execute(moved.values(seq=bindparam("to"), ended=bindparam("over")), known)

    async def _without_erased(self, connection: AsyncConnection, rows: list[Row]) -> list[Row]:
        """Without names and words of those who were erased after they were said."""
        since = min((int(row[TS] or 0) for row in rows), default=0)
        asked = select(erasures.c.user, erasures.c.at).where(erasures.c.at >= since).order_by(erasures.c.at)
        erased: dict[str, int] = {row.user: row.at for row in await connection.execute(asked)}
        if not erased:
            return rows
        return [_erased(row) if int(row[TS] or 0) <= self._erased_at(row, erased) else row for row in rows]

    def _erased_at(self, row: Row, erased: Mapping[str, int]) -> int:
        """Until when what the user of a row said is erased: ms, or -1."""
        user = str(row[USER])
        if not user.startswith(MARK):
            return erased.get(user, -1)
        return max(
            (at for real, at in erased.items() if pseudonym(self._salt(), str(row[0]), real) == user), default=-1
        )


def _erased(row: Row) -> Row:
    return (*row[:NAME], None, None, *row[TEXT + 1 :])


async def _remove(connection: AsyncConnection, removed: Mapping[str, Sequence[int]]) -> None:
    for room, seqs in removed.items():
        for part in chunks(seqs, REMOVED_AT_ONCE):
            said = events.c.room == room, events.c.seq.in_(part), events.c.text.is_not(None)
            await connection.execute(update(events).where(*said).values(text=None))
