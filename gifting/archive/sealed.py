"""What an audit that begins after closings asks of the months before: entries by kind, by key and by room."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gifting.archive.pages import chunks, pages
from gifting.archive.schema import entries, items
from gifting.archive.seals import Seal
from gifting.ledger.audit.before import RARE, Found, Name
from gifting.ledger.audit.known_keys import place_of
from gifting.ledger.audit.room_book import UNKNOWN, gift_digest
from gifting.ledger.entries import Credit, Entry
from gifting.ledger.entry_parser import UNREADABLE, parse_entries
from gifting.ledger.keys import Keys
from gifting.model.money import key_time
from gifting.model.periods import month_of

AT_ONCE: Final = 500
"""Keys, or items, asked for in one statement."""

SLACK: Final = 35 * 86_400_000
"""Ms by which an entry of a room may be older than the room: a clock may have gone back."""

_PLACE: Final = (entries.c.partition, entries.c.seq)


class SealedEntries:
    """Those of each partition up to the last item of its newest seal. Everything raises SQLAlchemyError."""

    def __init__(self, connection: AsyncConnection, keys: Keys, seals: Mapping[int, Sequence[Seal]]) -> None:
        self._connection = connection
        self._keys = keys
        self._numbers = {base: number for number, base in enumerate(keys.bases)}
        self._seals = seals
        self._ends = {partition: own[-1].last_seq for partition, own in seals.items()}

    async def rare(self) -> AsyncIterator[tuple[str, Entry]]:
        """All entries of kinds in ``RARE``, each partition's in order."""
        places: dict[int, set[int]] = defaultdict(set)
        async for month in self._months(0):
            for kind in RARE:
                asked = select(*_PLACE, *entries.primary_key.columns)
                for row in await self._all(asked, month, str(kind.__struct_config__.tag)):
                    places[row.partition].add(row.seq)
        for partition, seqs in sorted(places.items()):
            async for entry in self._entries(partition, seqs):
                if isinstance(entry, RARE):
                    yield self._keys.bases[partition], entry

    async def since(self, kind: str, ms: float) -> AsyncIterator[Name]:
        """The keys of a kind that were made since (ms)."""
        if ms == float("inf"):
            return
        least = max(int(ms), 0)
        async for month in self._months(month_of(least)):
            asked = select(*_PLACE, entries.c.key, entries.c.keeper)
            asked = asked.where(entries.c.key >= least.to_bytes(6, "big"))
            for row in await self._all(asked, month, kind):
                yield self._keys.bases[row.keeper], row.key

    async def find(self, kind: str, names: Sequence[Name]) -> dict[Name, Found]:
        """Those of these gifts or grants that were entered."""
        return {
            name: Found(row.coins, row.diamonds, place_of(row.room, row.peer))
            async for name, row in self._named(kind, names)
        }

    async def ranked(self, room: str, host: str, since: int) -> dict[str, int]:
        """The coins of each user in a room that began then (ms)."""
        asked = select(entries.c.peer, func.sum(entries.c.coins)).where(*self._of_room(room, host, since))
        return {user: int(coins) for user, coins in await self._connection.execute(asked.group_by(entries.c.peer))}

    async def credited(self, room: str, host: str, since: int, first: int, last: int) -> list[tuple[int, int]]:
        """Seqs and digests of a room's credits from ``first`` to ``last``, in order; there are so many at most."""
        asked = select(entries.c.seq).where(*self._of_room(room, host, since))
        asked = asked.order_by(entries.c.seq.desc(), entries.c.place.desc()).limit(last - first + 1)
        seqs = {row.seq for row in await self._connection.execute(asked)}
        found: dict[int, Credit] = {}
        async for entry in self._entries(self._numbers[self._keys.base(host)], seqs):
            if isinstance(entry, Credit) and entry.room == room and first <= entry.seq <= last:
                found[entry.seq] = entry
        digests = await self._digests(found.values())
        return [(seq, digests.get(self._name(one), UNKNOWN)) for seq, one in sorted(found.items())]

    def _of_room(self, room: str, host: str, since: int) -> tuple[Any, ...]:
        partition = self._numbers[self._keys.base(host)]
        told = (entries.c.kind == "credit", entries.c.room == room, entries.c.seq <= self._ends[partition])
        return entries.c.owner == host, entries.c.ts >= since - SLACK, entries.c.partition == partition, *told

    def _name(self, credit: Credit) -> Name:
        return self._keys.base(credit.user), credit.key

    async def _digests(self, credits: Iterable[Credit]) -> dict[Name, int]:
        earned = {self._name(one): one.diamonds for one in credits}
        return {
            name: gift_digest(row.owner, row.about, row._mapping["count"], row.coins, earned[name])
            async for name, row in self._named("debit", [*earned])
        }

    async def _named(self, kind: str, names: Sequence[Name]) -> AsyncIterator[tuple[Name, Row[Any]]]:
        months: dict[int, dict[Name, None]] = defaultdict(dict)
        for name in names:
            months[month_of(key_time(name[1]))][name] = None
        for month, wanted in months.items():
            for part in chunks([*wanted], AT_ONCE):
                asked = select(entries).where(entries.c.key.in_({key for _, key in part}))
                for row in await self._all(asked, month, kind):
                    if (name := (self._keys.bases[row.keeper], row.key)) in wanted:
                        yield name, row

    async def _all(self, asked: Select[Any], month: int, kind: str) -> list[Row[Any]]:
        """Of a query that has these columns too, the rows of a kind and a month that are sealed."""
        mine = asked.where(entries.c.month == month, entries.c.kind == kind)
        found = pages(self._connection, mine, entries.c.key, entries.c.keeper)
        return [row async for row in found if row.seq <= self._ends.get(row.partition, 0)]

    async def _months(self, first: int) -> AsyncIterator[int]:
        month = first - 1
        asked = select(func.min(entries.c.month))
        while month := (await self._connection.execute(asked.where(entries.c.month > month))).scalar() or 0:
            yield month

    async def _entries(self, partition: int, seqs: Iterable[int]) -> AsyncIterator[Entry]:
        """All of these items, in order."""
        for period, part in self._by_period(partition, sorted(seqs)):
            mine = (items.c.period == period, items.c.partition == partition, items.c.seq.in_(part))
            asked = select(items.c.data).where(*mine).order_by(items.c.seq)
            for (data,) in (await self._connection.execute(asked)).all():
                for entry in _read(data):
                    yield entry

    def _by_period(self, partition: int, seqs: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
        own = self._seals[partition]
        at: dict[int, list[int]] = defaultdict(list)
        for seq in seqs:
            at[own[bisect_left(own, seq, key=lambda seal: seal.last_seq)].period].append(seq)
        for period, found in at.items():
            for part in chunks(found, AT_ONCE):
                yield period, part


def _read(data: bytes) -> list[Entry]:
    """Nothing of an item that can't be read: what is missing then is noticed."""
    try:
        return list(parse_entries(data))
    except UNREADABLE:
        return []
