"""Lots by the closings of months are those of a replay from the first item, and those of the orders in Redis."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from redis.asyncio import Redis

from gifting.archive.closing import Closing
from gifting.archive.finance import replay
from gifting.archive.schema import items, make_partitions
from gifting.archive.store import Store
from gifting.errors import GiftingError
from gifting.model import journal as accounts
from gifting.model import lots
from gifting.model.effects import Kind
from gifting.model.money import parse_key
from gifting.model.orders import Order
from gifting.model.periods import following, preceding
from gifting.model.reversals import Given
from tests.support.orders import anyone, draft, paid, said
from tests.support.world import START, World, a_world

STEPS = 60
KINDS = ("buy", "grant", "gift", "gift", "gift", "gift_back", "refund", "fail", "bank", "won")
MONTHS = 5
FIRST = 202511


class Play:
    """Ann buys, gives, gets gifts and money back, and her bank asks for money, wins and loses: at random."""

    def __init__(self, world: World, random: Random) -> None:
        self.world, self.random = world, random
        self.orders: list[Order] = []
        self.gifts: list[Given] = []
        self.said = 0
        self.done: Counter[str] = Counter()

    async def step(self) -> None:
        name = self.random.choice(KINDS)
        try:
            await getattr(self, name)()
        except GiftingError:  # she has too few coins, or is frozen
            return
        self.done[name] += 1

    async def buy(self) -> None:
        coins, bonus, price = (self.random.randint(*span) for span in ((1, 200), (0, 40), (1, 2000)))
        wanted = draft("ann", self.world.key(), coins=coins, bonus=bonus, price=price)
        self.orders.append(await self.world.ledger.orders.open(wanted, anyone))
        await self.world.ledger.orders.apply(paid(wanted))

    async def grant(self) -> None:
        await self.world.grant("ann", self.random.randint(1, 50))

    async def gift(self) -> None:
        key, coins = self.world.key(), self.random.randint(1, 150)
        sent = await self.world.send(count=coins, key=key)
        self.gifts.append(
            Given(parse_key(key), "ann", "r1", "host", sent.seq, "spark", coins, coins, 500 * coins, START)
        )

    async def gift_back(self) -> None:
        gift = self.gifts.pop(self.random.randrange(len(self.gifts))) if self.gifts else None
        if gift:
            begun = await self.world.ledger.reversals.give_back(gift, "op", "a test", "", START)
            await self.world.ledger.reversals.take_from_host(begun, START)

    async def refund(self) -> None:
        await self._say(Kind.REFUNDED, "refund", part=True)

    async def fail(self) -> None:
        await self._say(Kind.REFUND_FAILED, "refund")

    async def bank(self) -> None:
        await self._say(Kind.DISPUTED, "dispute")

    async def won(self) -> None:
        await self._say(Kind.DISPUTE_WON, "dispute")

    async def _say(self, kind: Kind, what: str, *, part: bool = False) -> None:
        if self.orders:
            order = self.random.choice(self.orders)
            self.said += 1
            amount = self.random.randint(1, order.price) if part else 0
            effect = said(order, kind, what, order.created + self.said, amount=amount, currency=order.currency)
            await self.world.ledger.orders.apply(effect)


async def by_month(world: World, random: Random) -> list[list[bytes]]:
    """What ann's partition has, cut into months somewhere."""
    found = await world.redis.xrange(f"{world.base('ann')}:ledger")
    data = [fields[b"e"] for _, fields in found if b"e" in fields]
    cuts = [0, *sorted(random.choices(range(len(data) + 1), k=MONTHS - 1)), len(data)]
    return [data[start:end] for start, end in pairwise(cuts)]


async def of_orders(world: World) -> dict[str, int]:
    """What is left of each lot, as Redis has it."""
    held = await world.ledger.orders.held("ann")
    left = {order.id: lots.unspent(order, held.paid, held.orders.values()) for order in held.orders.values()}
    return {name: coins for name, coins in left.items() if coins}


@pytest.mark.parametrize("seed", [*range(12), 45])  # in the last a lot that was taken back whole comes again
async def test_lots_are_the_same_by_months_from_the_first_item_and_in_redis(
    seed: int, redis_client: Redis, redis_url: str
) -> None:
    random = Random(seed)
    async with a_world(redis_url, partitions=1, like_interval=0) as world:
        play = Play(world, random)
        for _ in range(STEPS):
            await play.step()
        months, left = await by_month(world, random), await of_orders(world)
    whole, closing = Closing(), Closing()
    for month in months:
        closing = Closing((*name, amount) for name, amount in closing.amounts().items())
        for data in month:
            closing.enter(data)
            whole.enter(data)
        assert closing.amounts() == whole.amounts()
    found = {name.partition("\n")[2]: coins for (book, name), coins in whole.amounts().items() if book == "lot"}
    assert found == left


async def test_what_is_deferred_is_of_the_lots_in_redis(store: Store, redis_client: Redis, redis_url: str) -> None:
    random = Random(5)
    async with a_world(redis_url, partitions=1, like_interval=0) as world:
        play = Play(world, random)
        for _ in range(2 * STEPS):
            await play.step()
        months = await by_month(world, random)
        held = await world.ledger.orders.held("ann")
    rows: list[Any] = []
    period = FIRST
    for month in months:
        for data in month:
            rows.append((period, 0, len(rows) + 1, f"{len(rows) + 1}-0", data, b""))
        period = following(period)
    async with store.writing() as connection:
        await make_partitions(connection, items, sorted({row[0] for row in rows}))
        await store.insert(connection, items, rows)
    finance = await replay(store, preceding(period))
    orders = held.orders.values()
    expected = sum(
        max(min(lots.deferred(order, lots.unspent(order, held.paid, orders)), order.price - (order.returned or 0)), 0)
        for order in orders
    )
    assert -finance.closing()[accounts.DEFERRED, "EUR"] == expected
    assert -finance.closing()[accounts.PAID, accounts.COIN] == held.paid
