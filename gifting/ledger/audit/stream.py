"""The ledger streams of all partitions, merged by time, so that a debit and its credit come close to each other."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from heapq import heapify, heappop, heapreplace
from typing import Any, Final

from msgpack.exceptions import UnpackException

from gifting.ledger.audit.report import Findings
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.entries import Credit, Debit, Entry, Grant, parse_entries
from gifting.model.economy import MAX_AMOUNT

PAGE: Final = 64
"""Stream items read at a time; each holds the entries of a whole call."""

UNREADABLE: Final = (UnpackException, ArithmeticError, LookupError, TypeError, ValueError)
"""What reading bytes that something else has written may raise."""


class _Feed:
    """One partition's stream up to ``end``."""

    def __init__(self, redis: BinaryRedis, base: str, end: str) -> None:
        self._redis = redis
        self._start = "-"
        self._end = end
        self._page: deque[tuple[bytes, dict[bytes, bytes]]] = deque()
        self.base = base

    async def next_id(self) -> tuple[int, int] | None:
        if not self._page:
            key = f"{self.base}:ledger"
            self._page.extend(await self._redis.xrange(key, min=self._start, max=self._end, count=PAGE))
            if not self._page:
                return None
            self._start = f"({self._page[-1][0].decode()}"
        time, _, number = self._page[0][0].partition(b"-")
        return int(time), int(number)

    def pop(self) -> tuple[bytes, dict[bytes, bytes]]:
        return self._page.popleft()


async def read_entries(
    redis: BinaryRedis, ends: dict[str, str], findings: Findings
) -> AsyncIterator[tuple[str, Entry]]:
    """All entries up to the stream items ``ends``, each with its partition."""
    feeds = [_Feed(redis, base, end) for base, end in ends.items()]
    heads = [(first, place) for place, feed in enumerate(feeds) if (first := await feed.next_id()) is not None]
    heapify(heads)
    while heads:
        place = heads[0][1]
        feed = feeds[place]
        item_id, fields = feed.pop()
        for entry in _parse(feed.base, item_id, fields, findings):
            yield feed.base, entry
        following = await feed.next_id()
        if following is None:
            heappop(heads)
        else:
            heapreplace(heads, (following, place))


def _parse(base: str, item_id: bytes, fields: dict[bytes, bytes], findings: Findings) -> list[Entry]:
    try:
        entries = list(parse_entries(fields[b"e"]))
        if all(map(_plausible, entries)):
            return entries
        reason = "an amount is out of range"
    except UNREADABLE as error:
        reason = repr(error)
    findings.found("ledger_entry_broken", f"{base}:ledger {item_id.decode()}: {reason}.")
    return []


def _plausible(entry: Entry) -> bool:
    values: tuple[Any, ...] = (entry.coins,)
    if isinstance(entry, Debit):
        values += (entry.gifts,)
    elif isinstance(entry, Credit):
        values += (entry.seq, entry.numerator, entry.denominator, entry.diamonds + 1)
    else:
        assert isinstance(entry, Grant)
    whole = all(type(value) is int and 1 <= value <= MAX_AMOUNT for value in values)
    return whole and type(entry.key) is bytes and len(entry.key) == 16
