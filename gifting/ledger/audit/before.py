"""An audit that begins after closings: the books go on from what was before, of which they are told what they need.

It is a shorter way to the same answer, for books in which all is as it must be. Where anything is not, it has no
report: the audit from the first item on tells what, and by which cause.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from gifting.ledger.audit import about
from gifting.ledger.audit.balances import Balances
from gifting.ledger.audit.books import Books
from gifting.ledger.audit.carried import ODD, Carried
from gifting.ledger.audit.cut import RoomState
from gifting.ledger.audit.known_keys import CREDITED, DEBITED, GRANTED
from gifting.ledger.audit.report import Findings
from gifting.ledger.audit.room_book import RoomBook
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.entries import Clawback, Entry, GiftReversal, Payout, Purchase, Reversal
from gifting.ledger.stream import Item

RARE: Final = (Purchase, Reversal, GiftReversal, Clawback, Payout)
"""Kinds of which all entries are looked at again: orders and payouts are kept for ever, and held against them."""

SIDES: Final = {"debit": DEBITED, "credit": CREDITED, "grant": GRANTED}
"""Kinds that are looked up by key."""

_OF_BALANCES: Final = {"debt_wrong", "reversal_wrong", "negative_balance"}
"""What rare entries alone seem to have wrong, since the balances between them are not there; the closings know."""

Name = tuple[str, bytes]
"""A partition, and a key that is kept there."""


class Found(NamedTuple):
    """What a gift cost, what it earned (its credit alone tells), and its ``place_of``, by one of its sides."""

    coins: int
    diamonds: int
    place: int


class Before(Protocol):
    """What was entered before the items that are read. Everything raises GiftingError where it can't be read."""

    read: Mapping[str, int]
    """Items of each partition."""

    last: Mapping[str, str]
    """Ids of the last of these."""

    balances: Balances
    carried: Carried

    def newer(self, base: str) -> AsyncIterator[Item]:
        """A partition's items after these, as far as Redis may not have them."""

    def rare(self) -> AsyncIterator[tuple[str, Entry]]:
        """All entries of kinds in :data:`RARE`, each partition's in order."""

    def since(self, kind: str, ms: float) -> AsyncIterator[Name]:
        """The keys of a kind that were made since."""

    async def find(self, kind: str, names: Sequence[Name]) -> dict[Name, Found]:
        """Those of these gifts or grants that were entered."""

    async def ranked(self, room: str, host: str, since: int) -> dict[str, int]:
        """The coins of each user in a room that began then (ms)."""

    async def credited(self, room: str, host: str, since: int, first: int, last: int) -> list[tuple[int, int]]:
        """Seqs and digests of a room's credits from ``first`` to ``last``, in order."""


async def begin(books: Books, findings: Findings, before: Before, oldest: Mapping[str, float]) -> bool:
    """Let the books go on from what was before; whether they can. ``oldest``: when the oldest key of a kind was made
    that must be known again (ms).
    """
    rooms = before.carried.rooms()
    if before.carried.counts[ODD] or rooms is None:
        return False
    async for base, entry in before.rare():
        books.enter(base, entry)
    if books.balances.purchased != before.balances.purchased or findings.forget() - _OF_BALANCES:
        return False
    for kind, side in SIDES.items():
        async for base, key in before.since(kind, oldest[kind]):
            books.known.recall(books.known.name(base, key), side)
    books.begin(before.balances, before.carried, rooms)
    return True


async def join(books: Books, findings: Findings, before: Before, recalled: frozenset[bytes]) -> None:
    """All is entered: what is about something before is told of that."""
    for kind, side in SIDES.items():
        for base, key in await before.find(kind, [*books.known.entered(side, recalled)]):
            findings.found("key_twice", f"The {kind} {key.hex()} is entered again.", about.gift(base, key))
    gifts = [*books.reversals.gifts()]
    for (base, key), one in (await before.find("debit", gifts)).items():
        books.known.recall(books.known.name(base, key), DEBITED, coins=one.coins, place=one.place)
    for (base, key), one in (await before.find("credit", gifts)).items():
        books.known.recall(books.known.name(base, key), CREDITED, diamonds=one.diamonds)


async def complete(redis: BinaryRedis, before: Before, key: str, room: str, state: RoomState, book: RoomBook) -> None:
    """Give the book of a room, of which Redis still has more than its totals, what is held against that."""
    log, top = f"{key}/log", f"{key}/top"
    if not book.since or not (state.live or await redis.exists(log, top)):
        return
    found = await redis.xrange(log, count=1)
    last, _, count = found[0][0].decode().partition("-") if found else ("0", "-", "0")
    first = int(last) - int(count) + 1
    older: list[tuple[int, int]] = []
    if found and first <= book.since:
        older = await before.credited(room, book.host, state.started, first, book.since)
    book.complete(older, await before.ranked(room, book.host, state.started))
