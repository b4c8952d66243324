"""The archive's items in double entry: what was on each account before a month, and what the month brought.

Read partition by partition in the order of the ledger, so what is held at once is what the users and hosts of one
partition have, whatever the archive's size. A month is that of the chain: what came late is of the month in which it
was archived, so a month that is sealed never changes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final, assert_never

from sqlalchemy import select

from gifting.archive.schema import items
from gifting.archive.store import Store
from gifting.ledger.entries import (
    AccountChange,
    Clawback,
    Credit,
    Debit,
    Entry,
    GiftReversal,
    Grant,
    Payout,
    Purchase,
    Reversal,
)
from gifting.ledger.entry_parser import UNREADABLE, parse_entries
from gifting.model.deferred import Lot, Purse
from gifting.model.journal import PAID, Account, Journal
from gifting.model.periods import ends, preceding, starts

PAGE: Final = 2000
"""Items read at a time."""

DAY_MS: Final = 86_400_000
AGES: Final = (30, 60, 90)
"""Days after which what creators have is of the next age."""


class Earnings:
    """What one host has, by the day it was earned: the oldest is paid out first, a clawback takes the newest."""

    def __init__(self) -> None:
        self.days: dict[int, int] = {}

    def earn(self, day: int, diamonds: int) -> None:
        self.days[day] = self.days.get(day, 0) + diamonds

    def take(self, diamonds: int, *, newest: bool) -> None:
        for day in sorted(self.days, reverse=newest):
            here = min(diamonds, self.days[day])
            self.days[day] -= here
            diamonds -= here
            if not self.days[day]:
                del self.days[day]
            if not diamonds:
                return
        if diamonds:
            self.earn(0, -diamonds)


@dataclass(slots=True)
class Finance:
    """All accounts, and what can't be read off them. ``ages``: milli-diamonds that creators have, by :data:`AGES`.

    ``broken``: of paid coins (as ``PAID``) and by currency, what was breakage at the beginning of the month, and at its
    end.
    """

    before: Journal = field(default_factory=Journal)
    during: Journal = field(default_factory=Journal)
    ages: list[int] = field(default_factory=lambda: [0] * (len(AGES) + 1))
    debtors: Counter[str] = field(default_factory=Counter)
    broken: tuple[Counter[str], Counter[str]] = field(default_factory=lambda: (Counter(), Counter()))
    unreadable: int = 0

    def closing(self) -> Counter[Account]:
        """The trial balance at the end of the month."""
        totals = Counter(self.before.totals)
        totals.update(self.during.totals)
        return totals


class _Partition:
    """What the users and hosts of one partition have while its ledger goes by."""

    def __init__(self) -> None:
        self.purses: defaultdict[str, Purse] = defaultdict(Purse)
        self.hosts: defaultdict[str, Earnings] = defaultdict(Earnings)

    def enter(self, journal: Journal, entry: Entry) -> None:
        match entry:
            case Debit():
                journal.spend(self.purses[entry.user], entry.coins)
            case Credit():
                journal.credit(entry.diamonds)
                self.hosts[entry.host].earn(entry.ts // DAY_MS, entry.diamonds)
            case Grant():
                journal.grant(self.purses[entry.user], entry.coins)
            case Purchase():
                lot = Lot(entry.order, entry.provider, entry.currency, entry.price, entry.paid, entry.ts)
                journal.purchase(self.purses[entry.user], lot, entry.bonus)
            case Reversal():
                coins = entry.paid, entry.bonus, entry.debt
                of_lot = entry.lot if entry.currency else entry.paid + entry.debt
                journal.reverse(self.purses[entry.user], entry.order, coins, of_lot, entry.amount, entry.why)
            case GiftReversal():
                journal.give_back(self.purses[entry.user], entry.paid, entry.bonus)
            case Clawback():
                journal.claw_back(entry.diamonds, entry.debt)
                self.hosts[entry.host].take(entry.diamonds, newest=entry.debt >= 0)
            case Payout():
                journal.pay_out(entry.diamonds, entry.amount, entry.currency, entry.provider)
                self._pay_out(entry)
            case AccountChange():
                pass
            case _:
                assert_never(entry)

    def old(self, before: int) -> Counter[str]:
        """What is not spent of lots issued before a time (ms): paid coins, and money by currency."""
        found: Counter[str] = Counter()
        for purse in self.purses.values():
            coins, money = purse.unspent_since(before)
            found[PAID] += coins
            found.update(money)
        return found

    def _pay_out(self, entry: Payout) -> None:
        if entry.diamonds > 0:
            self.hosts[entry.host].take(entry.diamonds, newest=False)
        else:
            self.hosts[entry.host].earn(entry.ts // DAY_MS, -entry.diamonds)


async def replay(store: Store, month: int, breakage_after: int = 0) -> Finance:
    """The books up to the end of a month (YYYYMM), from the beginning of the archive.

    Paid coins are breakage ``breakage_after`` days after they were issued; 0: never.
    """
    finance = Finance()
    of_opening, of_closing = (limit - breakage_after * DAY_MS for limit in (starts(month), ends(month)))
    end = ends(month) // DAY_MS
    for partition in await _partitions(store):
        books = _Partition()
        finance.unreadable += await _read(store, partition, 0, preceding(month), books, finance.before)
        if breakage_after:
            finance.broken[0].update(books.old(of_opening))
        finance.unreadable += await _read(store, partition, month, month, books, finance.during)
        if breakage_after:
            finance.broken[1].update(books.old(of_closing))
        for earnings in books.hosts.values():
            for day, diamonds in earnings.days.items():
                finance.ages[sum(end - day > age for age in AGES)] += diamonds
        finance.debtors.update({user: purse.debt for user, purse in books.purses.items() if purse.debt})
    return finance


async def _read(store: Store, partition: int, first: int, last: int, books: _Partition, journal: Journal) -> int:
    """Enter the items of months, both included; returns how many could not be read."""
    unreadable = 0
    async for data in _items(store, partition, first, last):
        try:
            entries = list(parse_entries(data))
        except UNREADABLE:
            unreadable += 1
            continue
        for entry in entries:
            books.enter(journal, entry)
    return unreadable


async def _partitions(store: Store) -> list[int]:
    async with store.engine.connect() as connection:
        found = await connection.execute(select(items.c.partition).distinct().order_by(items.c.partition))
        return [partition for (partition,) in found]


async def _items(store: Store, partition: int, first: int, last: int) -> AsyncIterator[bytes]:
    """A partition's items of some months, a page at a time: an archive may be read while it grows."""
    period, seq = first, 0
    async with store.engine.connect() as connection:
        while True:
            of_partition = (items.c.partition == partition) & (items.c.seq > seq)
            wanted = of_partition & (items.c.period >= period) & (items.c.period <= last)
            rows = select(items.c.period, items.c.seq, items.c.data).where(wanted)
            page = (await connection.execute(rows.order_by(items.c.period, items.c.seq).limit(PAGE))).all()
            for period, seq, data in page:  # noqa: B007
                yield data
            if len(page) < PAGE:
                return
