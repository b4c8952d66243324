"""What a user has spent on what: from the user's partition of the ledger, newest first and within a bound."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

from gifting.errors import Overloaded
from gifting.ledger.calls import Calls, translated
from gifting.ledger.entries import Debit
from gifting.ledger.entry_parser import UNREADABLE, parse_entries
from gifting.ledger.stream import Span, item_order, read_back
from gifting.ledger.trimming import read_trimmed

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
    """All that was spent from ``since`` (ms since 1970) on; each list with most coins first. ``more``: what is older,
    and was asked for too, is in the next answer. What is trimmed is in none: ``since`` says so.
    """

    since: int
    more: bool
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

    async def read(self, user: str, since: int, before: int = 0) -> Spending:
        """From ``since`` (ms since 1970) on, or from later where that is too much to read; up to ``before``, 0: now.

        What is asked for with the ``since`` of an answer as ``before`` follows it: nothing is missing or comes twice.

        Raises:
            Overloaded: too many ask.
            Unavailable
        """
        if self._waiting > WAITING_MAX:
            raise Overloaded("Too many ask what they have spent.")
        self._waiting += 1
        try:
            async with self._reading:
                return summed(*await self._debits(user, since, before))
        finally:
            self._waiting -= 1

    async def _debits(self, user: str, since: int, before: int) -> tuple[int, bool, list[Debit]]:
        """From when on they are all, whether there are more, and the user's gifts. Answers are cut by the times of
        items, which are never before those of their entries, and between two of them.
        """
        found: list[tuple[int, Debit]] = []
        name, size, whole = user.encode(), 0, since
        span = Span(str(since), str(before - 1) if before else "+")
        with translated():
            async for item in read_back(self._calls.redis, self._calls.keys.base(user), span, rest=REST):
                data, at = item.data or b"", _time(item.id)
                size += len(data)
                if size > READ_MAX or len(found) > ENTRIES_MAX:
                    whole = at + 1
                    break
                found += [(at, one) for one in _of(user, data)] if name in data else ()
            trimmed, nth = item_order(await read_trimmed(self._calls.redis, self._calls.keys.base(user)))
        more = whole > max(since, trimmed)
        whole = max(whole, trimmed + (nth > 0))
        return whole, more, [one for at, one in found if at >= whole and one.ts >= since]


def _time(item_id: str) -> int:
    return int(item_id.partition("-")[0])


def _of(user: str, data: bytes) -> list[Debit]:
    """A user's gifts in an item; none where it can't be read, of which the audit tells."""
    try:
        return [entry for entry in parse_entries(data) if isinstance(entry, Debit) and entry.user == user]
    except UNREADABLE:
        return []


def summed(since: int, more: bool, debits: Iterable[Debit]) -> Spending:
    """What they come to."""
    rooms, creators, gifts = (defaultdict[str, list[int]](lambda: [0, 0]) for _ in range(3))
    coins = 0
    for debit in debits:
        coins += debit.coins
        for sums, name in ((rooms, debit.room), (creators, debit.host), (gifts, debit.gift)):
            sums[name][0] += debit.coins
            sums[name][1] += debit.gifts
    return Spending(since, more, coins, _most(rooms), _most(creators), _most(gifts))


def _most(sums: dict[str, list[int]]) -> list[Spent]:
    return sorted((Spent(name, coins, gifts) for name, (coins, gifts) in sums.items()), key=lambda one: -one.coins)
