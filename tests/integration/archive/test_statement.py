"""Creators' statements over several months tie, to each other and to what was sealed, wherever the archiver is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from gifting.archive import statement
from gifting.archive.finance import replay
from gifting.archive.reading import Archive
from gifting.archive.schema import closings
from gifting.archive.statement import Statements
from gifting.archive.statements import REPORTS
from gifting.archive.store import Store
from gifting.archive.tail import read_tail
from gifting.model.packing import pack
from gifting.model.payouts import Payout
from gifting.model.periods import ends, following, starts
from gifting.model.statement import Line, Statement, read_period
from tests.support.archive import rows_of
from tests.support.sealed import DAY, Sealed

SETTLED = b"\0" * 16
PAYOUT = "019ab000-0000-7000-8000-000000000001"
LATER = ends(202712)


class Books(Sealed):
    """Of `host`, in the first of two partitions."""

    def __init__(self, redis: Any, store: Store, folder: Path, url: str) -> None:
        super().__init__(redis, store, folder)
        self.archive_url = Archive(url)
        self.statements = Statements(self.archive_url, redis, self.keys)
        self.payouts: dict[str, Payout] = {}
        self.partition = self.keys.bases.index(self.keys.base("host"))

    async def enter(self, at: int, kind: str, *fields: Any, item_at: int = 0) -> None:
        self.made += 1
        data = pack((kind, at, self.made.to_bytes(16, "big"), *fields))
        name = f"{self.keys.bases[self.partition]}:ledger"
        await self.redis.xadd(name, {"e": data}, id=f"{item_at or at}-{self.made}")

    async def earn(self, at: int, diamonds: int, commission: int = 0, host: str = "host", item_at: int = 0) -> None:
        credit = ("ann", "room", host, 1, 2 * diamonds, diamonds, 1, 2, commission)
        await self.enter(at, "credit", *credit, item_at=item_at)

    async def claw(self, at: int, diamonds: int, debt: int, borne: int = 0, gift: bytes = b"g" * 16) -> None:
        await self.enter(at, "clawback", "host", gift, "ann", diamonds, debt, borne, "op", 0)

    async def pay(self, at: int, diamonds: int, amount: int) -> None:
        await self.enter(at, "payout", "host", PAYOUT, diamonds, amount, "USD", "sandbox")

    async def read(self, period: str, now: int = LATER, creator: str = "host") -> Statement:
        told = await self.statements.read(creator, read_period(period), self.payouts, now)
        assert_ties(told)
        return told


def assert_ties(told: Statement) -> None:
    moved = told.total("earned", "taken_back", "settled", "paid_out", "returned")
    assert told.opening.diamonds + moved.diamonds == told.closing.diamonds
    assert told.opening.debt + moved.debt == told.closing.debt
    assert moved.gross - moved.commission == told.total("earned").diamonds


@pytest.fixture
async def books(redis_client: Redis, store: Store, tmp_path: Path, archive_url: str) -> AsyncIterator[Books]:
    made = Books(redis_client, store, tmp_path, archive_url)
    yield made
    await made.archive_url.close()


async def a_winter(books: Books) -> None:
    await books.earn(ends(202511) - 1, 4000)
    await books.earn(starts(202512), 6000, 2500)
    await books.earn(starts(202512) + 1, 3000, 2500)
    await books.earn(starts(202512) + DAY, 500)
    await books.earn(starts(202512) + DAY, 99, host="other")
    await books.pay(ends(202512) - 2, 10_000, 500)
    await books.claw(ends(202512) - 1, 3500, 200)
    await books.pay(starts(202601), -10_000, -500)
    await books.claw(starts(202601) + 1, 200, -200, gift=SETTLED)
    await books.claw(starts(202601) + 2, 0, 0, 70)


def plain(lines: list[Line]) -> list[tuple[str, int, int, int, int, int]]:
    return [(line.what, line.at, line.gross, line.diamonds, line.debt, line.borne) for line in lines]


async def test_a_month_is_told_by_day_and_joins_the_next(books: Books) -> None:
    await a_winter(books)
    await books.seal()
    november, december, january = [await books.read(month) for month in ("2025-11", "2025-12", "2026-01")]
    assert plain(november.lines) == [
        ("opening", starts(202511), 0, 0, 0, 0),
        ("earned", ends(202511) - DAY, 4000, 4000, 0, 0),
        ("closing", ends(202511), 0, 4000, 0, 0),
    ]
    assert plain(december.lines) == [
        ("opening", starts(202512), 0, 4000, 0, 0),
        ("earned", starts(202512), 12000, 9000, 0, 0),
        ("earned", starts(202512) + DAY, 500, 500, 0, 0),
        ("taken_back", ends(202512) - DAY, 0, -3500, 200, 0),
        ("paid_out", ends(202512) - 2, 0, -10_000, 0, 0),
        ("closing", ends(202512), 0, 0, 200, 0),
    ]
    assert plain(january.lines) == [
        ("opening", starts(202601), 0, 0, 200, 0),
        ("taken_back", starts(202601), 0, 0, 0, 70),
        ("settled", starts(202601), 0, -200, -200, 0),
        ("returned", starts(202601), 0, 10_000, 0, 0),
        ("closing", ends(202601), 0, 9800, 0, 0),
    ]
    (paid,) = (line for line in december.lines if line.what == "paid_out")
    assert (paid.payout, paid.money, paid.currency, paid.provider, paid.count) == (PAYOUT, 500, "USD", "sandbox", 1)


async def test_a_year_is_told_by_month_and_is_the_sum_of_its_months(books: Books) -> None:
    await a_winter(books)
    await books.archive()
    year = await books.read("2025")
    assert plain(year.lines) == [
        ("opening", starts(202501), 0, 0, 0, 0),
        ("earned", starts(202511), 4000, 4000, 0, 0),
        ("earned", starts(202512), 12500, 9500, 0, 0),
        ("taken_back", starts(202512), 0, -3500, 200, 0),
        ("paid_out", ends(202512) - 2, 0, -10_000, 0, 0),
        ("closing", ends(202512), 0, 0, 200, 0),
    ]
    assert year.closing == (await books.read("2025-12")).closing


async def test_it_is_the_same_wherever_the_archiver_and_the_sealer_are(books: Books) -> None:
    await a_winter(books)
    periods = ("2025-10", "2025-11", "2025-12", "2025", "2026-01", "2026", "2027")
    before = [await books.read(period) for period in periods]
    await books.archive()
    archived = [await books.read(period) for period in periods]
    await books.seal()
    assert before == archived == [await books.read(period) for period in periods]


async def test_what_is_archived_while_it_is_read_is_told_once(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    await a_winter(books)
    expected = await books.read("2025-12")

    async def read_and_archived(*of: Any) -> Any:
        found = await read_tail(*of)
        await books.archive()
        return found

    monkeypatch.setattr(statement, "read_tail", read_and_archived)
    assert await books.read("2025-12") == expected


async def test_every_closing_is_what_was_sealed_and_what_finance_owes(books: Books) -> None:
    await a_winter(books)
    await books.earn(starts(202602), 5)
    await books.seal()
    sealed = await rows_of(books.store, closings)
    for month in (202511, 202512, 202601):
        told = (await books.read(f"{month // 100}-{month % 100:02}")).closing
        of_month = {row[2]: row[4] for row in sealed if row[0] == month and row[3] == "host"}
        assert (told.diamonds, told.debt) == (of_month.get("diamonds", 0), of_month.get("host_debt", 0))
        report = {row[0]: row[1] for row in REPORTS["payable"](await replay(books.store, month, 0)).rows}
        others = 99 if month >= 202512 else 0
        assert (report["all"], report["owed"]) == (told.diamonds + others, told.debt)


async def test_what_is_entered_late_is_of_the_month_that_was_open(books: Books) -> None:
    await books.earn(ends(202511) - DAY, 4000)
    await books.seal()
    opened = following((await rows_of(books.store, closings))[-1][0])
    late = starts(202511) + DAY
    await books.earn(late, 700, item_at=ends(202511) - 1)
    assert (await books.read("2025-11")).closing.diamonds == 4000
    assert (await books.read(f"{opened // 100}-{opened % 100:02}")).closing.diamonds == 4700


async def test_a_late_entry_of_a_month_that_is_sealed_is_looked_for(books: Books) -> None:
    await books.earn(ends(202511) - 1, 4000)
    await books.earn(starts(202503), 300, item_at=starts(202601))
    await books.seal()
    told = await books.read("2026-01")
    assert [(line.what, line.at, line.diamonds) for line in told.lines[1:-1]] == [("earned", starts(202601), 300)]
    assert told.closing.diamonds == 4300


@pytest.mark.parametrize("sealed", [False, True])
async def test_without_movement_it_is_what_was_there(books: Books, *, sealed: bool) -> None:
    await books.earn(ends(202511) - 1, 4000)
    await (books.seal() if sealed else books.archive())
    for period in ("2025-12", "2026-03", "2026"):
        assert [line.diamonds for line in (await books.read(period)).lines] == [4000, 4000]
    for period, creator in (("2025-10", "host"), ("2025-12", "nobody"), ("1970-01", "host"), ("1970", "host")):
        assert [line.diamonds for line in (await books.read(period, creator=creator)).lines] == [0, 0]
    assert [line.diamonds for line in (await books.read("2025-12", creator="x" * 64)).lines] == [0, 0]


async def test_how_far_a_payout_had_come_is_of_the_end_of_the_period(books: Books) -> None:
    await a_winter(books)
    await books.archive()
    asked, returned = ends(202512) - 2, starts(202601)
    books.payouts[PAYOUT] = Payout(
        id=PAYOUT,
        host="host",
        digest=b"",
        provider="sandbox",
        account="a",
        diamonds=10_000,
        amount=500,
        currency="USD",
        created=asked,
        sending_at=asked,
        sent_at=asked + 1,
        paid_at=returned - 1,
        returned_at=returned,
        back=True,
    )
    (paid,) = (line for line in (await books.read("2025-12")).lines if line.payout)
    assert (paid.state, paid.since) == ("paid", returned - 1)
    (paid,) = (line for line in (await books.read("2025-12", now=asked + 1)).lines if line.payout)
    assert (paid.state, paid.since) == ("processing", asked)
    (back,) = (line for line in (await books.read("2026-01")).lines if line.payout)
    assert (back.what, back.state, back.since, back.money) == ("returned", "returned", returned, -500)


async def test_a_month_that_is_not_over_says_so(books: Books) -> None:
    await books.earn(starts(202511), 4000)
    now = starts(202511) + DAY
    told = await books.read("2025-11", now=now)
    assert (told.so_far, told.until, told.closing.at) == (True, now, now)
    assert not (await books.read("2025-11", now=ends(202511))).so_far
    assert (await books.read("2025-11", now=ends(202511))) == await books.read("2025-11")
