"""What a user has spent on what: from the user's partition of the ledger, newest first and within a bound."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

from gifting.errors import Overloaded
from gifting.ledger.calls import Calls, translated
from gifting.ledger.entries import UNREADABLE, Debit, parse_entries
from gifting.ledger.stream import Span, read_back

READ_MAX: Final = 8 << 20
"""Bytes read for one answer."""

ENTRIES_MAX: Final = 50_000
"""The user's gifts that are counted for one answer."""

REST: Final = 3.0
"""Pause after a page, in times what reading it took."""

WAITING_MAX: Final = 32
"""Who waits for the one that is answered; more are refused."""


class Spent(NamedTuple):
    """Coins given to a room, to a creator, or for a kind of gift, and in how many gifts."""

    id: str
    coins: int
    gifts: int


class Spending(NamedTuple):
    """All that was spent from ``since`` (ms since 1970) on; each list with most coins first."""

    since: int
    coins: int
    rooms: list[Spent]
    creators: list[Spent]
    gifts: list[Spent]


class SpendingReader:
    """Answers one after another, for Redis' sake."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._reading = asyncio.Lock()
        self._waiting = 0

    async def read(self, user: str, since: int) -> Spending:
        """From ``since`` (ms since 1970) on, or from later where that is too much to read.

        Raises:
            Overloaded: too many ask.
            Unavailable
        """
        if self._waiting > WAITING_MAX:
            raise Overloaded("Too many ask what they have spent.")
        self._waiting += 1
        try:
            async with self._reading:
                return summed(*await self._debits(user, since))
        finally:
            self._waiting -= 1

    async def _debits(self, user: str, since: int) -> tuple[int, list[Debit]]:
        """The user's gifts, and from when on they are all. The time of an item is never before those of its entries."""
        found: list[Debit] = []
        name, size = user.encode(), 0
        with translated():
            async for item in read_back(self._calls.redis, self._calls.keys.base(user), Span(str(since)), rest=REST):
                data = item.data or b""
                size += len(data)
                if size > READ_MAX or len(found) > ENTRIES_MAX:
                    since = _time(item.id) + 1
                    break
                found += _of(user, data) if name in data else ()
        return since, [one for one in found if one.ts >= since]


def _time(item_id: str) -> int:
    return int(item_id.partition("-")[0])


def _of(user: str, data: bytes) -> list[Debit]:
    """A user's gifts in an item; none where it can't be read, of which the audit tells."""
    try:
        return [entry for entry in parse_entries(data) if isinstance(entry, Debit) and entry.user == user]
    except UNREADABLE:
        return []


def summed(since: int, debits: Iterable[Debit]) -> Spending:
    """What they come to."""
    rooms, creators, gifts = (defaultdict[str, list[int]](lambda: [0, 0]) for _ in range(3))
    coins = 0
    for debit in debits:
        coins += debit.coins
        for sums, name in ((rooms, debit.room), (creators, debit.host), (gifts, debit.gift)):
            sums[name][0] += debit.coins
            sums[name][1] += debit.gifts
    return Spending(since, coins, _most(rooms), _most(creators), _most(gifts))


def _most(sums: dict[str, list[int]]) -> list[Spent]:
    return sorted((Spent(name, coins, gifts) for name, (coins, gifts) in sums.items()), key=lambda one: -one.coins)
