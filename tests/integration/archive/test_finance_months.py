"""Reports of finance over several months: at the edges of days, months and years, and where entries come late."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis

from gifting.archive.locking import lock, tell
from gifting.archive.schema import cursors
from gifting.archive.store import Store
from gifting.errors import BadSetting
from gifting.model.periods import ends, following, starts
from tests.support.archive import rows_of
from tests.support.books import Books
from tests.support.sealed import DAY

MONTHS = (202511, 202512, 202601, 202602, 202603, 202604)


@pytest.fixture
async def books(redis_client: Redis, store: Store, tmp_path: Path) -> Books:
    return Books(redis_client, store, tmp_path)


async def a_winter(books: Books) -> None:
    """Bob buys at the first moment of 2 December, Ann at the last of the year; she spends at the first of the next."""
    await books.enter(starts(202512) + DAY, "purchase", "bob", "o2", 100, 0, 0, 333, "EUR", "sandbox")
    await books.enter(ends(202512) - 1, "purchase", "ann", "o1", 100, 20, 0, 999, "EUR", "sandbox")
    await books.enter(starts(202601), "debit", "ann", "room", "host", "rose", 1, 50)
    await books.enter(starts(202601) + 1, "debit", "bob", "room", "host", "rose", 1, 7)
    await books.enter(ends(202602) - 1, "reversal", "ann", "o1", 70, 0, 50, 999, "EUR", "refund", 100)
    await books.enter(starts(202603), "debit", "bob", "room", "host", "rose", 1, 90)
    await books.archive()


async def test_each_month_is_told_to_the_cent_and_joins_the_next(books: Books) -> None:
    await a_winter(books)
    told = {month: await books.rows("deferred", month) for month in MONTHS}
    assert [told[month][2:] for month in MONTHS] == [
        [],
        [("EUR", 0, 1332, 0, 0, 0, 1332)],
        [("EUR", 1332, 0, 324, 0, 0, 1008)],
        [("EUR", 1008, 0, 0, 699, 0, 309)],
        [("EUR", 309, 0, 300, 0, 0, 9)],
        [("EUR", 9, 0, 0, 0, 0, 9)],
    ]
    assert told[202601][:2] == [("paid coins", 200, 0, 37, 0, 0, 163), ("bonus coins", 20, 0, 20, 0, 0, 0)]
    assert await books.rows("losses", 202601) == [(f"Expenses:{why}", "EUR", 0) for why in WHY]
    assert ("Expenses:Refunds", "EUR", 300) in await books.rows("losses", 202602)
    assert [await books.rows("debt", month) for month in (202601, 202602)] == [[("all", 0)], [("ann", 50), ("all", 50)]]


WHY = ("Chargebacks", "Refunds", "Withdrawals")


@pytest.mark.parametrize("breakage_after", [0, 1, 30, 60])
async def test_every_flow_adds_up_and_every_closing_is_the_next_opening(books: Books, breakage_after: int) -> None:
    await a_winter(books)
    before: dict[object, object] = {}
    for month in MONTHS:
        rows = await books.rows("deferred", month, breakage_after)
        for what, opening, *flow, closing in rows:
            sold, out = int(flow[0]), sum(map(int, flow[1:]))
            assert int(opening) + sold - out == closing
            assert opening == before.get(what, 0)
        before = {row[0]: row[-1] for row in rows}


async def test_breakage_is_of_the_day_on_which_coins_grow_old(books: Books) -> None:
    """Bob's are 30 days old at the first moment of January, and spent after all in March; Ann's are taken back."""
    await a_winter(books)
    broken = [await books.rows("deferred", month, 30) for month in MONTHS[1:]]
    assert [rows[0][5] for rows in broken] == [0, 163, -70, -90, 0]
    assert [rows[2][5] for rows in broken] == [0, 1008, -699, -300, 0]
    assert await books.rows("trial-balance", 202601, 30) == await books.rows("trial-balance", 202601)


async def test_what_comes_after_a_month_was_sealed_is_of_the_next_and_its_lock_holds(books: Books) -> None:
    await books.enter(ends(202511) - DAY, "purchase", "ann", "o1", 100, 0, 0, 1000, "EUR", "sandbox")
    await books.seal()
    november = (await tell(books.store, 202511, "trial-balance")).report
    await lock(books.store, 202511, "fay", 1, 30)
    opened = (await rows_of(books.store, cursors))[0][4]
    await books.enter(ends(202511) - 1, "debit", "ann", "room", "host", "rose", 1, 40)
    await books.archive()
    again = await tell(books.store, 202511, "trial-balance")
    assert (again.report, again.wrong) == (november, [])
    assert (await books.rows("deferred", 202511))[2] == ("EUR", 0, 1000, 0, 0, 0, 1000)
    assert (await books.rows("deferred", following(202511)))[2] == ("EUR", 1000, 0, 0, 0, 0, 1000)
    assert (await books.rows("deferred", opened))[2] == ("EUR", 1000, 0, 400, 0, 0, 600)
    assert (await books.verified()).broken == []


async def test_a_month_is_locked_with_its_breakage_once_nothing_can_come_into_it(books: Books) -> None:
    await a_winter(books)
    await books.enter(starts(202512), "grant", "bob", 1, "a test", "op", partition=1)
    await books.archive()
    for month in (202512, 202603):
        with pytest.raises(BadSetting, match="closed"):
            await lock(books.store, month, "fay", 1, 30)
    await books.enter(starts(202603), "grant", "bob", 1, "a test", "op", partition=1)
    await books.archive()
    with pytest.raises(BadSetting, match="closed"):
        await lock(books.store, 202603, "fay", 1, 30)
    assert await lock(books.store, 202601, "fay", 1, 30)
    told = await tell(books.store, 202601, "deferred", 7)
    assert (told.report.rows[2], told.wrong) == (("EUR", 1332, 0, 324, 0, 1008, 0), [])


async def test_what_creators_have_grows_old_and_is_paid_out_from_the_oldest(books: Books) -> None:
    for at, diamonds in ((ends(202511) - 1, 300), (starts(202512), 500)):
        await books.enter(at, "credit", "ann", "room", "host", 1, 10, diamonds, 1, 2, 0)
    await books.enter(starts(202601), "payout", "host", "p1", 400, 200, "USD", "stripe")
    await books.enter(starts(202602), "payout", "host", "p1", -400, -200, "USD", "stripe")
    await books.enter(starts(202603), "clawback", "host", b"g" * 16, "ann", 800, 50, 0, "op", 0)
    await books.archive()
    payable = [[row[1] for row in await books.rows("payable", month)] for month in MONTHS[:5]]
    assert payable == [
        [300, 0, 0, 0, 300, 0],
        [0, 800, 0, 0, 800, 0],
        [0, 0, 400, 0, 400, 0],
        [400, 0, 400, 0, 800, 0],
        [0, 0, 0, 0, 0, 50],
    ]
    paid = [("Expenses:Creators", "USD", 0, 200, 200), ("Assets:Payouts:Stripe", "USD", 0, -200, -200)]
    assert set(paid) <= set(await books.rows("trial-balance", 202601))
    assert ("Expenses:Creators", "USD", 200, -200, 0) in await books.rows("trial-balance", 202602)
