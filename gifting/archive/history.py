"""What an owner's ledger says, newest first: from the archive, and from Redis' stream what is not archived yet."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final, NamedTuple

from gifting.archive.reading import Archive
from gifting.archive.rows import Cursor, Row
from gifting.archive.tail import read_tail
from gifting.errors import BadCursor
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.model.money import MAX_AMOUNT

DAYS_MAX: Final = 3 * 3660
"""Rows of sums: ten years, by kind."""

DAY: Final = 86_400_000
"""Ms."""

Place = tuple[int, int, int]
"""Where an entry stands: its time (ms), its item's number, and its place in that. No other has the same."""

END: Final[Place] = (MAX_AMOUNT, MAX_AMOUNT, 2**31 - 1)

_CURSOR: Final = re.compile(r"([0-9]{1,16})-([0-9]{1,16})-([0-9]{1,16})")


class Line(NamedTuple):
    """An entry, as a row of ``entries``."""

    month: int
    kind: str
    key: bytes
    partition: int
    seq: int
    place: int
    ts: int
    owner: str
    peer: str
    room: str
    about: str
    gifts: int
    coins: int
    paid: int
    bonus: int
    debt: int
    diamonds: int
    money: int
    currency: str
    via: str
    commission: int
    reason: str
    keeper: int

    @property
    def at(self) -> Place:
        return self.ts, self.seq, self.place


class Narrowed(NamedTuple):
    """Of an owner's entries those up to ``until`` (ms), of that room and of that key only; '' and b'': of any."""

    until: int = MAX_AMOUNT
    room: str = ""
    key: bytes = b""

    def has(self, line: Line) -> bool:
        return line.ts <= self.until and self.room in ("", line.room) and self.key in (b"", line.key)


ALL: Final = Narrowed()


class Sum(NamedTuple):
    """What an owner's entries of one kind and currency come to on a day (days since 1970 UTC)."""

    day: int
    kind: str
    currency: str
    entries: int
    coins: int
    diamonds: int
    debt: int
    money: int


def read_cursor(cursor: str) -> Place:
    """The place of the entry before which a page begins; '': that of all. Raises BadCursor."""
    if not cursor:
        return END
    if (found := _CURSOR.fullmatch(cursor)) is None:
        raise BadCursor
    ts, seq, place = (min(int(number), most) for number, most in zip(found.groups(), END, strict=True))
    return ts, seq, place


def make_cursor(place: Place) -> str:
    return "{}-{}-{}".format(*place)


class History:
    """Reads both, so that nothing is missing between them or comes twice, however the archiver goes on meanwhile."""

    def __init__(self, archive: Archive, redis: BinaryRedis, keys: Keys) -> None:
        self._archive = archive
        self._redis = redis
        self._keys = keys

    async def page(
        self,
        owner: str,
        kinds: Collection[str],
        since: int,
        cursor: str,
        limit: int,
        narrowed: Narrowed = ALL,
    ) -> tuple[list[Line], str]:
        """Entries from ``since`` (ms since 1970) on, and the cursor of the next page, '' where there is none.

        Raises:
            BadCursor
            NoArchive: this server has none.
            ArchiveUnavailable: it can't be asked, or is too far behind.
            Unavailable: Redis can't be asked.
        """
        before = read_cursor(cursor)
        async with self._archive.reading() as connection:
            from gifting.archive import queries  # noqa: PLC0415

            partition = self._keys.bases.index(self._keys.base(owner))
            tail = await self._tail(await queries.cursor(connection, partition))
            # What was not archived when Redis was read is in the tail; what has been since is taken from there only.
            last = (await queries.cursor(connection, partition)).seq
            rows = await queries.page(connection, owner, kinds, since, before, last, limit + 1, narrowed)
        lines = [Line(*_typed(row)) for row in rows]
        newer = _newer(tail, last, owner, kinds, since)
        lines += [line for line in newer if line.at < before and narrowed.has(line)]
        lines.sort(key=lambda line: line.at, reverse=True)
        return lines[:limit], make_cursor(lines[limit - 1].at) if len(lines) > limit else ""

    async def sums(self, owner: str, kinds: Collection[str], since: int) -> list[Sum]:
        """By day, the newest first, of the last :data:`DAYS_MAX` days that have any. Raises as :meth:`page`."""
        async with self._archive.reading() as connection:
            from gifting.archive import queries  # noqa: PLC0415

            partition = self._keys.bases.index(self._keys.base(owner))
            tail = await self._tail(await queries.cursor(connection, partition))
            last = (await queries.cursor(connection, partition)).seq
            rows = await queries.sums(connection, owner, kinds, since, last, DAYS_MAX)
        days = {row[:3]: Sum(*row) for row in rows}
        for line in _newer(tail, last, owner, kinds, since):
            one = Sum(line.ts // DAY, line.kind, line.currency, 1, line.coins, line.diamonds, line.debt, line.money)
            days[one[:3]] = added(days[one[:3]], one) if one[:3] in days else one
        return sorted(days.values(), reverse=True)

    async def _tail(self, archived: Cursor) -> list[Line]:
        """The entries of a partition's items that are not archived."""
        page = await read_tail(self._redis, self._keys, archived)
        return [Line(*_typed(row)) for row in page.entries]


def added(one: Sum, other: Sum) -> Sum:
    """Both, as of the day of the first."""
    numbers = (a + b for a, b in zip(one[3:], other[3:], strict=True))
    return Sum(*one[:3], *numbers)


def _newer(tail: list[Line], last: int, owner: str, kinds: Collection[str], since: int) -> list[Line]:
    """Of what was read of Redis, what is asked for and not among the ``last`` items that the database was asked for."""
    return [
        line for line in tail if line.seq > last and line.owner == owner and line.kind in kinds and since <= line.ts
    ]


def _typed(row: Row) -> tuple[Any, ...]:
    return row
