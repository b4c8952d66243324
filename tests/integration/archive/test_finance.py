"""Reports of finance from an archive of either kind: they tell what the ledger did, month by month, and add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from beancount import loader
from redis.asyncio import Redis
from sqlalchemy import update

from gifting.archive.archiver import Archiver
from gifting.archive.beancount import beancount
from gifting.archive.finance import Earnings, replay
from gifting.archive.locking import lock, tell
from gifting.archive.schema import cursors, items
from gifting.archive.statements import REPORTS
from gifting.archive.store import Store
from gifting.errors import BadSetting
from gifting.ledger.account import read_account
from gifting.model import journal as accounts
from gifting.model.effects import Kind
from gifting.model.journal import COIN, DIAMOND
from gifting.model.periods import following, month_of
from tests.support.orders import anyone, draft, paid, said
from tests.support.world import World, a_world


@pytest.fixture
async def world(redis_client: Redis, redis_url: str, store: Store) -> AsyncIterator[World]:
    """Ann buys 100 coins for 10.00 €, gives 70, and her bank takes the money back."""
    async with a_world(redis_url, like_interval=0) as made:
        orders = made.ledger.orders
        order = await orders.open(draft("ann", made.key(), bonus=0), anyone)
        await orders.apply(paid(order))
        await made.send(count=70)
        yen = await orders.open(draft("bob", made.key(), currency="JPY", price=999), anyone)
        await orders.apply(paid(yen))
        await orders.apply(said(order, Kind.DISPUTE_LOST))
        archiver = Archiver(made.redis, made.ledger.keys, "gifting", store)
        while await archiver.round():
            pass
        yield made


async def month(world: World) -> int:
    seconds, _ = await world.redis.time()
    return month_of(seconds * 1000)


async def test_the_reports_of_a_month(world: World, store: Store) -> None:
    now = await month(world)
    finance = await replay(store, now)
    assert REPORTS["deferred"](finance).rows == [
        ("paid coins", 0, 200, 70, 30, 0, 100),
        ("bonus coins", 0, 20, 0, 0, 0, 20),
        ("EUR", 0, 1000, 700, 300, 0, 0),
        ("JPY", 0, 999, 0, 0, 0, 999),
    ]
    assert REPORTS["losses"](finance).rows[0] == ("Expenses:Chargebacks", "EUR", 700)
    assert REPORTS["debt"](finance).rows == [("ann", 70), ("all", 70)]
    assert REPORTS["unspent"](finance).rows == [
        ("paid coins", COIN, 100),
        ("bonus coins", COIN, 20),
        ("deferred", "EUR", 0),
        ("deferred", "JPY", 999),
    ]
    later = await replay(store, following(now))
    assert REPORTS["deferred"](later).rows[3] == ("JPY", 999, 0, 0, 0, 0, 999)
    assert later.closing() == finance.closing()


async def test_the_trial_balance_is_what_redis_has(world: World, store: Store) -> None:
    finance = await replay(store, await month(world))
    closing = finance.closing()
    sums: Counter[str] = Counter()
    for (_, commodity), amount in closing.items():
        sums[commodity] += amount
    assert not any(sums.values())
    kept: Counter[str] = Counter()
    diamonds = 0
    for base in world.ledger.keys.bases:
        for field in await world.redis.hvals(f"{base}:coins"):
            account = read_account(field)
            kept.update(coins=account.coins, bonus=account.bonus, debt=account.debt)
        diamonds += sum(map(int, [await world.redis.hget(f"{base}:diamonds", "host") or 0]))
    assert -closing[accounts.PAID, COIN] == kept["coins"] - kept["bonus"]
    assert (-closing[accounts.BONUS, COIN], closing[accounts.DEBT, COIN]) == (kept["bonus"], kept["debt"])
    assert -closing[accounts.PAYABLE, DIAMOND] == diamonds == sum(finance.ages)


async def test_beancount_agrees(world: World, store: Store, tmp_path: Path) -> None:
    now = await month(world)
    for one in (now, following(now)):
        text = "\n".join(beancount(REPORTS["journal"](await replay(store, one)), one))
        found, errors, _ = loader.load_string(text)
        assert not errors
        assert sum(type(entry).__name__ == "Balance" for entry in found) > 5
    assert loader.load_string(text.replace("999 JPY", "998 JPY", 1))[1]


async def test_a_month_is_locked_once_it_is_over_and_told_apart_if_it_changed(world: World, store: Store) -> None:
    now = await month(world)
    finance = await replay(store, now)
    with pytest.raises(BadSetting):
        await lock(store, now, "fay", 1)
    async with store.writing() as connection:
        await connection.execute(update(cursors).values(period=following(now)))
    before = await tell(store, now, "deferred")
    assert await lock(store, now, "fay", 1)
    assert not await lock(store, now, "bob", 2)
    found = await tell(store, now, "deferred")
    assert found.lock is not None and found.lock[:2] == (1, "fay")
    assert (found.report, found.wrong) == (before.report, [])
    async with store.writing() as connection:
        await connection.execute(items.delete().where(items.c.seq == 1))
    for name in ("deferred", "trial-balance"):
        told = await tell(store, now, name)
        assert told.report == REPORTS[name](finance)
        assert any(line.startswith(f"{name}: locked ") for line in told.wrong)
        assert any(line.startswith(f"{name}: now ") for line in told.wrong)


def test_the_oldest_earnings_go_first_but_for_what_is_reversed() -> None:
    earnings = Earnings()
    for day in (1, 2, 3):
        earnings.earn(day, 100)
    earnings.take(150, newest=False)
    earnings.take(30, newest=True)
    assert earnings.days == {2: 50, 3: 70}
