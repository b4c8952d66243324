"""The month that docs/finance.md works through is what the ledger, the archive and the reports make of it."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gifting.archive.archiver import Archiver
from gifting.archive.beancount import beancount
from gifting.archive.finance import replay
from gifting.archive.statements import REPORTS, Cell
from gifting.archive.store import Store
from gifting.ledger.audit import audit
from gifting.ledger.clock import in_ms
from gifting.ledger.payouts import Hold
from gifting.model.effects import Kind
from gifting.model.money import parse_key
from gifting.model.orders import Order
from gifting.model.payouts import Payout, payout_id
from gifting.model.periods import month_of
from gifting.model.reversals import Given
from tests.support.orders import anyone, draft, paid, said
from tests.support.paths import ROOT
from tests.support.world import START, World, a_world

TEXT = (ROOT / "docs" / "finance.md").read_text(encoding="utf-8").partition("## A month, worked")[2]
STEPS = re.findall(r"^\| `([^`]+)`: ", TEXT, re.MULTILINE)
ACCOUNTS = re.findall(r"^\| `([\w:]+)` \| ([A-Z]+) \| (-?\d+) \|$", TEXT, re.MULTILINE)
ROLLED = re.findall(r"^\| (paid coins|bonus coins|EUR) \|((?: -?\d+ \|){6})$", TEXT, re.MULTILINE)


class Example:
    def __init__(self, world: World) -> None:
        self.world = world
        self.orders: dict[str, Order] = {}
        self.gifts: dict[str, Given] = {}

    async def buy(self, user: str, name: str, coins: str, bonus: str, price: str) -> None:
        made = draft(user, self.world.key(), coins=int(coins), bonus=int(bonus), price=int(price))
        self.orders[name] = await self.world.ledger.orders.open(made, anyone)
        await self.world.ledger.orders.apply(paid(made))

    async def gift(self, user: str, name: str, count: str) -> None:
        key, coins = self.world.key(), int(count)
        sent = await self.world.send(user, count=coins, key=key)
        where = ("r1", "host", sent.seq, "spark")
        self.gifts[name] = Given(parse_key(key), user, *where, coins, coins, 500 * coins, START)

    async def reverse(self, name: str) -> None:
        begun = await self.world.ledger.reversals.give_back(self.gifts[name], "op", "a test", "", START)
        await self.world.ledger.reversals.take_from_host(begun, START)

    async def refund(self, name: str, amount: str) -> None:
        await self.world.ledger.orders.apply(said(self.orders[name], Kind.REFUNDED, "refund", amount=int(amount)))

    async def payout(self, diamonds: str, amount: str) -> None:
        made = Payout(
            id=payout_id("host", parse_key(self.world.key())),
            host="host",
            diamonds=int(diamonds),
            provider="sandbox",
            account="acct",
            amount=int(amount),
            currency="USD",
            digest=b"8 bytes!",
            created=START,
        )
        await self.world.ledger.payouts.request(made, Hold(0), lambda _: None)


@pytest.fixture
async def month(redis_client: Redis, redis_url: str, store: Store) -> AsyncIterator[int]:
    """The month in which all steps are archived."""
    async with a_world(redis_url, like_interval=0) as world:
        example = Example(world)
        for step in STEPS:
            verb, *words = step.split()
            await getattr(example, verb)(*words)
        archiver = Archiver(world.redis, world.ledger.keys, "gifting", store)
        while await archiver.round():
            pass
        assert (await audit(world.redis, world.ledger.keys)).clean
        yield month_of(in_ms(await world.redis.time()))


async def test_the_trial_balance_is_the_one_that_is_shown(store: Store, month: int) -> None:
    assert len(STEPS) == 8
    rows = REPORTS["trial-balance"](await replay(store, month)).rows
    shown: list[tuple[Cell, ...]] = [(name, of, 0, int(amount), int(amount)) for name, of, amount in ACCOUNTS]
    assert shown == rows


async def test_deferred_revenue_is_rolled_forward_as_it_is_shown(store: Store, month: int) -> None:
    shown = [(what, *(int(cell) for cell in cells.strip(" |").split(" | "))) for what, cells in ROLLED]
    assert shown == REPORTS["deferred"](await replay(store, month)).rows[:3]


async def test_bean_check_proves_it(store: Store, month: int, tmp_path: Path) -> None:
    journal = REPORTS["journal"](await replay(store, month))
    text = "\n".join(beancount(journal, month))
    file = tmp_path / "month.beancount"
    for told, proved in ((text, True), (text.replace("24.00 EUR", "24.01 EUR", 1), False)):
        file.write_text(told + "\n")
        checked = await asyncio.create_subprocess_exec(sys.executable, "-m", "beancount.scripts.check", str(file))
        assert (await checked.wait() == 0) is proved
