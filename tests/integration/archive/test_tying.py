"""Orders are tied to what was settled: by month, in their own currency, and where it was settled in another."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis

from gifting.archive.locking import lock, tell
from gifting.archive.settling import COLUMNS, CONVERTED, read_settlements, take_in
from gifting.archive.store import Store
from gifting.archive.tying import OPEN_FOR, settled, tie_out, tie_payouts
from gifting.errors import BadSetting
from gifting.model.periods import ends, following, starts
from tests.support.books import Books

HEAD = ",".join(COLUMNS)
WIDE = f"{HEAD},{','.join(CONVERTED)}"
NOV, DEC = 202511, 202512


@pytest.fixture
async def books(redis_client: Redis, store: Store, tmp_path: Path) -> Books:
    return Books(redis_client, store, tmp_path)


async def buy(books: Books, order: str, price: int, currency: str, at: int = starts(NOV)) -> None:
    await books.enter(at, "purchase", "ann", order, 100, 0, 0, price, currency, "stripe")


async def refund(books: Books, order: str, amount: int, currency: str, at: int) -> None:
    await books.enter(at, "reversal", "ann", order, 100, 0, 0, amount, currency, "refund", 100)


async def take(books: Books, *lines: str, head: str = HEAD) -> int:
    return await take_in(books.store, read_settlements([head, *lines]))


async def tied(books: Books, month: int) -> dict[str | int, tuple[str | int, ...]]:
    return {row[0]: row[2:] for row in (await tie_out(books.store, month)).rows}


async def test_an_order_is_matched_missing_or_different(books: Books) -> None:
    for order, price in (("o1", 1000), ("o2", 999), ("o3", 5), ("o4", 7)):
        await buy(books, order, price, "EUR")
    await refund(books, "o4", 7, "EUR", starts(NOV) + 9)
    await books.archive()
    lines = [
        f"stripe,p1,o1,payment,1000,0,30,970,EUR,{starts(NOV)},b",
        f"stripe,p2,o2,payment,998,100,30,868,EUR,{ends(NOV) - 1},b",
        f"stripe,p3,nobody,payment,6,0,0,6,EUR,{starts(NOV)},b",
        f"stripe,f1,,fee,-9,0,0,-9,EUR,{starts(NOV)},b",
    ]
    assert [await take(books, *lines) for _ in range(2)] == [4, 0]
    for wrong in (lines[0].replace(",970,", ",971,"), lines[0].replace("payment", "gift"), lines[0].replace("b", "c")):
        with pytest.raises(BadSetting):
            await take(books, wrong)
    assert await tied(books, NOV) == {
        "o1": ("matched", 1000, 1000, "EUR", "", 1000, 0, 30, 970),
        "o2": ("differs", 999, 998, "EUR", "", 998, 100, 30, 868),
        "o3": ("only here", 5, 0, "", "", 0, 0, 0, 0),
        "o4": ("only here", 0, 0, "", "", 0, 0, 0, 0),
        "nobody": ("only there", 0, 6, "EUR", "", 6, 0, 0, 6),
    }
    assert (await settled(books.store, NOV)).rows == [
        ("stripe", "fee", "EUR", 1, -9, 0, 0, -9),
        ("stripe", "payment", "EUR", 3, 2004, 100, 60, 1844),
    ]


async def test_a_payout_is_tied_to_its_transfers(books: Books) -> None:
    for payout, amount in (("sent", 60), ("open", 70), ("failed", 80), ("never", 90), ("less", 50)):
        await books.enter(starts(NOV), "payout", "host", payout, amount * 1000, amount, "USD", "stripe")
    for payout, amount in (("failed", 80), ("never", 90)):
        await books.enter(starts(NOV) + 9, "payout", "host", payout, -amount * 1000, -amount, "USD", "stripe")
    await books.archive()
    moved = (("sent", -60), ("failed", -80), ("failed", 80), ("less", -49), ("strange", -5))
    lines = [f"stripe,t{at},{to},transfer,{net},0,0,{net},USD,{starts(NOV)},b" for at, (to, net) in enumerate(moved)]
    assert await take(books, *lines) == 5
    told = {row[0]: row[2:5] for row in (await tie_payouts(books.store, NOV)).rows}
    assert told == {
        "sent": ("matched", -60, -60),
        "open": ("only here", -70, 0),
        "less": ("differs", -50, -49),
        "strange": ("only there", 0, -5),
    }
    assert not (await tie_out(books.store, NOV)).rows


async def test_an_order_in_dollars_ties_with_an_account_in_euros(books: Books) -> None:
    for order in ("o1", "o2"):
        await buy(books, order, 1000, "USD")
    await refund(books, "o1", 250, "USD", starts(NOV) + 9)
    await books.archive()
    lines = [
        f"stripe,p1,o1,payment,855,0,30,825,EUR,{starts(NOV)},b,1000,USD,0.85472",
        f"stripe,r1,o1,refund,-214,0,0,-214,EUR,{starts(NOV)},b,-250,USD,0.85472",
        f"stripe,p2,o2,payment,855,0,30,825,EUR,{starts(NOV)},b,1000,USD,0.85472",
        f"stripe,r2,o2,refund,-1000,0,0,-1000,USD,{starts(NOV)},b,-1000,USD,",
    ]
    with pytest.raises(BadSetting, match="rate"):
        await take(books, lines[0].replace(",855,0,30,825,", ",860,0,30,830,"), head=WIDE)
    await take(books, *lines, head=WIDE)
    rows = (await tie_out(books.store, NOV)).rows
    assert rows == [
        ("o1", "USD", "matched", 750, 750, "EUR", "0.85472", 641, 0, 30, 611),
        ("o2", "USD", "differs", 1000, 1000, "EUR", "0.85472", 855, 0, 30, 825),
        ("o2", "USD", "differs", 0, -1000, "USD", "", -1000, 0, 0, -1000),
    ]


async def test_what_is_open_is_told_until_it_is_matched_and_then_added_up(books: Books) -> None:
    await buy(books, "o1", 1000, "EUR", ends(NOV) - 1)
    await buy(books, "o2", 300, "EUR", ends(NOV) - 1)
    await buy(books, "o3", 100, "EUR", ends(NOV) - 1)
    await refund(books, "o3", 100, "EUR", starts(202602))
    await books.archive()
    await take(books, f"stripe,p1,o1,payment,1000,0,30,970,EUR,{starts(DEC)},b")
    await take(books, f"stripe,p3,o3,payment,100,0,3,97,EUR,{starts(DEC)},b")
    assert {order: row[0] for order, row in (await tied(books, NOV)).items()} == dict.fromkeys(
        ("o1", "o2", "o3"), "only here"
    )
    assert {order: row[0] for order, row in (await tied(books, DEC)).items()} == {
        "o1": "matched",
        "o2": "only here",
        "o3": "matched",
    }
    assert {order: row[0] for order, row in (await tied(books, 202602)).items()} == {"o2": "only here", "o3": "differs"}
    month = NOV
    for _ in range(OPEN_FOR):
        month = following(month)
    assert "o2" in await tied(books, month)
    assert await tied(books, following(month)) == {
        "o3": ("differs", 0, 100, "EUR", "", 100, 0, 3, 97),
        "": ("open before", 300, 0, "", "", 0, 0, 0, 0),
    }


async def test_what_is_settled_late_is_of_the_first_month_that_is_not_locked(books: Books) -> None:
    await buy(books, "o1", 1000, "EUR")
    await books.seal()
    assert await lock(books.store, NOV, "fay", 1)
    before = await tell(books.store, NOV, "tie-out")
    await take(books, f"stripe,p1,o1,payment,1000,0,30,970,EUR,{starts(NOV)},b")
    for name in ("tie-out", "settled"):
        assert (await tell(books.store, NOV, name)).wrong == []
    assert (await tell(books.store, NOV, "tie-out")).report == before.report
    assert (await tied(books, DEC))["o1"][0] == "matched"
    assert (await settled(books.store, DEC)).rows == [("stripe", "payment", "EUR", 1, 1000, 0, 30, 970)]
