"""Reads what is missing between partitions of a cluster, and the gifts that it is, from the ledger; from the archive
what the ledger no longer has.

What was read is of one history, and a replica has it: a call of ``debit`` without gifts is before it and behind it, in
the same epoch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, NamedTuple

from gifting.errors import ArchiveNeeded, Unmendable
from gifting.ledger.audit.halves import ask_half, read_half
from gifting.ledger.audit.pairs import Half
from gifting.ledger.audit.report import Findings
from gifting.ledger.cluster.debit_call import NOTHING_RIDES
from gifting.ledger.cluster.said import Said
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.entries import Credit, Debit, Entry
from gifting.ledger.entry_parser import UNREADABLE, parse_entries
from gifting.ledger.keys import Keys
from gifting.ledger.lookup import MARGIN
from gifting.ledger.mending.gaps import Count, Gap, Proof, find_gaps
from gifting.ledger.moved import CAME
from gifting.ledger.stream import Item, Span, item_order, read_back
from gifting.ledger.trimming import read_trimmed

TRIES: Final = 5
"""How often it is read, where epochs begin meanwhile."""

Back = Callable[[str, str], AsyncIterator[Item]]
"""Gives a partition's items that the archive has before one of an id, the newest first."""


class Seen(NamedTuple):
    """A partition at a moment: what it keeps of others, and the last item of its ledger."""

    half: Half
    end: str


class Finder:
    def __init__(self, redis: BinaryRedis, keys: Keys, said: Said) -> None:
        self._redis = redis
        self._keys = keys
        self._said = said
        self._older: Back | None = None

    async def find(self, older: Back | None = None) -> list[Gap]:
        """All gaps, with the debits that are missing, proved to be those. ``older``: the archive's items.

        Raises:
            Unmendable: something contradicts that.
            ArchiveNeeded: some of it is no longer in Redis, and no archive was given.
            BadArchive, ArchiveUnavailable: it can't be read.
            RedisError, OSError
        """
        self._older = older
        for _ in range(TRIES):
            epochs = await self._epochs()
            sources = await self._read()
            destinations = await self._read()  # later: what is trimmed meanwhile is credited by then
            gaps = find_gaps([one.half for one in sources], [one.half for one in destinations])
            for source, some in _grouped(gaps, lambda gap: gap.source).items():
                await self._count(some, sources[source].end)
            for destination, some in _grouped(gaps, lambda gap: gap.destination).items():
                await self._prove(some, destinations[destination].end)
            if await self._epochs() == epochs:
                return gaps
        raise Unmendable("Masters are replaced while this is read: try again when the cluster is quiet.")

    async def _epochs(self) -> list[int]:
        """Those of all partitions, of which a replica has all that was written before."""
        numbers = range(len(self._keys.bases))
        said = await asyncio.gather(*(self._said.debit(number, NOTHING_RIDES) for number in numbers))
        return [one.epoch for one in said]

    async def _read(self) -> list[Seen]:
        return [await self._read_one(base) for base in self._keys.bases]

    async def _read_one(self, base: str) -> Seen:
        pipe: Any = self._redis.pipeline(transaction=True)
        pipe.xrevrange(f"{base}:ledger", count=1)
        ask_half(pipe, self._keys, base)
        last, *own = await pipe.execute()
        findings = Findings()
        half = read_half(self._keys, base, own, findings)
        for problem in findings.problems:
            raise Unmendable(problem.sentence)
        return Seen(half, last[0][0].decode() if last else "0-0")

    async def _count(self, gaps: Sequence[Gap], end: str) -> None:
        """The debits of one source, from the ledger's item ``end`` back."""
        counts = {self._keys.bases[gap.destination]: Count(gap) for gap in gaps}
        base = self._keys.bases[gaps[0].source]
        async for _, entries in self._back(base, end):
            for destination, debits in self._by_destination(entries).items():
                if destination in counts and not counts[destination].done:
                    counts[destination].take(debits)
            if all(count.done for count in counts.values()):
                return
        for count in counts.values():
            count.close()

    def _by_destination(self, entries: Sequence[Entry]) -> dict[str, list[Debit]]:
        found: dict[str, list[Debit]] = {}
        for entry in entries:
            if isinstance(entry, Debit):
                found.setdefault(self._keys.base(entry.host), []).append(entry)
        return found

    async def _prove(self, gaps: Sequence[Gap], end: str) -> None:
        """What one destination has credited, by its own ledger up to the item ``end``."""
        base, proof = self._keys.bases[gaps[0].destination], Proof(gaps)
        numbers = {name: number for number, name in enumerate(self._keys.bases)}
        async for at, entries in self._back(base, end):
            if not proof.needs(at + MARGIN):
                break
            for entry in entries:
                if isinstance(entry, Credit):
                    proof.take(numbers[self._keys.base(entry.user)], entry.key)
        proof.close()

    async def _back(self, base: str, end: str) -> AsyncIterator[tuple[int, list[Entry]]]:
        """When items of a ledger were entered (ms) and what they have, the newest first, up to the very first one that
        was entered on a cluster.
        """
        came = (await self._redis.hget(f"{base}:line", CAME) or b"0-0").decode()
        first = "0-0"
        async for item in read_back(self._redis, base, Span(f"({came}", end)):
            first = item.id
            yield item_order(first)[0], _entries(item)
        trimmed = await read_trimmed(self._redis, base)
        if item_order(trimmed) <= item_order(came):
            return
        if self._older is None:
            raise ArchiveNeeded(f"Some of it was debited before {trimmed}, where {base}:ledger begins.")
        before = trimmed if first == "0-0" else min(first, trimmed, key=item_order)
        async for item in self._older(base, before):
            if item_order(item.id) <= item_order(came):
                return
            yield item_order(item.id)[0], _entries(item)


def _grouped(gaps: Sequence[Gap], by: Callable[[Gap], int]) -> dict[int, list[Gap]]:
    found: dict[int, list[Gap]] = {}
    for gap in gaps:
        found.setdefault(by(gap), []).append(gap)
    return found


def _entries(item: Item) -> list[Entry]:
    try:
        return list(parse_entries(item.data or b""))
    except UNREADABLE as error:
        raise Unmendable(f"{item.partition}:ledger {item.id}: {error!r}.") from error
