"""The example of docs/economy.md is what the ledger does."""

from __future__ import annotations

import re

from redis.asyncio import Redis

from gifting.ledger.audit import audit
from gifting.model.effects import Kind
from gifting.model.lots import deferred, unspent
from gifting.model.orders import Order
from tests.support.accounts import account_of
from tests.support.orders import anyone, draft, paid, said
from tests.support.paths import ROOT
from tests.support.world import START, World, a_world

TEXT = (ROOT / "docs" / "economy.md").read_text(encoding="utf-8")
STEPS = re.findall(r"^\| `([^`]+)`: [^|]+\| (.*) \|$", TEXT, re.MULTILINE)


class Example:
    def __init__(self, world: World) -> None:
        self.world = world
        self.orders: dict[str, Order] = {}
        self.last = 0

    async def do(self, step: str) -> None:
        verb, *words = step.split()
        await getattr(self, verb)(*words)

    async def say(self, name: str, kind: Kind, what: str, amount: int = 0) -> None:
        """Each later than the one before."""
        self.last += 1
        order = self.orders[name]
        await self.world.ledger.orders.apply(said(order, kind, what, order.created + self.last, amount=amount))

    async def buy(self, name: str, coins: str, bonus: str, price: str) -> None:
        wanted = draft("ann", self.world.key(), coins=int(coins), bonus=int(bonus), price=int(price))
        self.orders[name] = await self.world.ledger.orders.open(wanted, anyone)
        await self.world.ledger.orders.apply(paid(wanted))

    async def gift(self, coins: str) -> None:
        await self.world.send(count=int(coins))

    async def refund(self, name: str, amount: str) -> None:
        await self.say(name, Kind.REFUNDED, "refund", int(amount))

    async def fail(self, name: str) -> None:
        await self.say(name, Kind.REFUND_FAILED, "refund")

    async def dispute(self, name: str) -> None:
        await self.say(name, Kind.DISPUTED, "dispute")

    async def win(self, name: str) -> None:
        await self.say(name, Kind.DISPUTE_WON, "dispute")

    async def lose(self, name: str) -> None:
        await self.say(name, Kind.DISPUTE_LOST, "dispute")

    async def withdraw(self, name: str, coins: str, amount: str) -> None:
        key = self.world.key()
        _, one = await self.world.ledger.orders.withdraw(self.orders[name].id, key, START)
        await self.world.ledger.orders.withdrawn(self.orders[name].id, key, START)
        assert (one.coins, one.amount) == (int(coins), int(amount))

    async def deferred(self, name: str, coins: str, amount: str) -> None:
        held = await self.world.ledger.orders.held("ann")
        order = held.order(self.orders[name].id)
        left = unspent(order, held.paid, held.orders.values())
        assert (left, deferred(order, left)) == (int(coins), int(amount))

    async def account(self) -> list[str]:
        """As the document writes it."""
        found = await account_of(self.world.redis, self.world.base("ann"), "ann")
        totals = await self.world.redis.hgetall(f"{self.world.base('ann')}:totals")
        numbers = [int(totals.get(name, 0)) for name in (b"issued", b"spent", b"taken")]
        assert numbers[0] == found.coins + numbers[1] + numbers[2]
        frozen = "yes" if found.frozen else "no"
        return [*map(str, (found.coins, found.bonus, found.debt)), frozen, *map(str, numbers)]


async def test_the_example_is_what_the_ledger_does(redis_client: Redis, redis_url: str) -> None:
    assert len(STEPS) == 12
    async with a_world(redis_url) as world:
        example = Example(world)
        for step, account in STEPS:
            await example.do(step)
            assert await example.account() == account.split(" | "), step
            report = await audit(world.redis, world.ledger.keys)
            assert report.clean, report.lines()
