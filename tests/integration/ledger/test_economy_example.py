"""The example of docs/economy.md is what the ledger does."""

from __future__ import annotations

import re

from msgspec.structs import replace
from redis.asyncio import Redis

from gifting.economy.payers.sandbox import Sandbox
from gifting.economy.payouts import Payouts
from gifting.ledger.audit import audit
from gifting.ledger.entries import Credit, Debit
from gifting.ledger.lookup import given_of
from gifting.ledger.stream import Span, read_ledger
from gifting.model.creator import CreatorRecord, Destination
from gifting.model.creators import MILLI, parse_creators
from gifting.model.effects import Kind
from gifting.model.lots import deferred, unspent
from gifting.model.money import parse_key
from gifting.model.orders import Order
from gifting.model.payouts import DAY_MS, Payout, State, state
from tests.support.accounts import account_of
from tests.support.orders import anyone, draft, paid, said
from tests.support.paths import ROOT
from tests.support.world import START, World, a_world

TEXT = (ROOT / "docs" / "economy.md").read_text(encoding="utf-8")
SPENDING, _, EARNING = TEXT.partition("## From diamonds to money")
TERMS = re.findall(r"^```toml\n(.*?)^```$", EARNING, re.MULTILINE | re.DOTALL)


def steps(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^\| `([^`]+)`: [^|]+\| (.*) \|$", text, re.MULTILINE)


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


class Earning:
    """What becomes of the host's diamonds, by the terms that the document has."""

    def __init__(self, world: World) -> None:
        (text,) = TERMS
        self.world = world
        self.terms = parse_creators(text, "creators.toml")
        self.sandbox = Sandbox(world.ledger)
        self.payouts = Payouts(world.ledger, {"sandbox": self.sandbox}, lambda: self.terms)
        self.gifts: dict[str, str] = {}
        self.sent: list[Payout] = []
        world.ledger.use_creators(self.terms)

    async def do(self, step: str) -> None:
        verb, *words = step.split()
        await getattr(self, verb)(*words)

    async def buy(self, coins: str, price: str) -> None:
        wanted = draft("ann", self.world.key(), coins=int(coins), bonus=0, price=int(price), currency="USD")
        await self.world.ledger.orders.open(wanted, anyone)
        await self.world.ledger.orders.apply(paid(wanted))

    async def gift(self, name: str, coins: str) -> None:
        self.gifts[name] = self.world.key()
        await self.world.send(count=int(coins), key=self.gifts[name])

    async def days(self, count: str) -> None:
        self.world.clock[0] += int(count) * DAY_MS

    async def ask(self, diamonds: str) -> None:
        key = parse_key(self.world.key())
        self.sent.append(await self.payouts.request("host", key, int(diamonds) * MILLI))

    async def reconcile(self, cents: str) -> None:
        await self.payouts.resume()
        payout = await self.world.ledger.payouts.get(self.sent[-1].id)
        assert (state(payout), payout.amount) == (State.PAID, int(cents))

    async def reverse(self, name: str) -> None:
        """Of the gift as its two entries say: by its key it is looked for near its time, and this clock is another."""
        reversals, key, now = self.world.ledger.reversals, parse_key(self.gifts[name]), self.world.clock[0]
        spans = dict.fromkeys(self.world.ledger.keys.bases, Span())
        entries = [one async for _, _, one in read_ledger(self.world.redis, spans) if one.key == key]
        (debit,) = [one for one in entries if isinstance(one, Debit)]
        (credit,) = [one for one in entries if isinstance(one, Credit)]
        given = given_of(debit, credit)
        await reversals.take_from_host(await reversals.give_back(given, "op", "a mistake", "", now), now)

    async def account(self) -> list[str]:
        """As the document writes it."""
        creator = await self.world.ledger.creators.read("host")
        found = creator.split(self.terms.usual)
        coins = (await self.world.ledger.wallets.read("ann")).coins
        made = await self.world.ledger.payouts.of_host("host")
        out = sum(payout.amount for payout in made if state(payout) is State.PAID)
        diamonds = (found.pending, found.available, found.debt)
        assert not any(amount % MILLI for amount in diamonds)
        return [*map(str, (coins, *(amount // MILLI for amount in diamonds), out))]


async def test_the_example_is_what_the_ledger_does(redis_client: Redis, redis_url: str) -> None:
    made = steps(SPENDING)
    assert len(made) == 12
    async with a_world(redis_url) as world:
        await replay(world, Example(world), made)


async def test_the_example_goes_on_to_the_cents_that_are_paid_out(redis_client: Redis, redis_url: str) -> None:
    made = steps(EARNING)
    assert len(made) == 13
    async with a_world(redis_url) as world:

        def known(record: CreatorRecord) -> CreatorRecord:
            return replace(record, kyc="verified", destination=Destination("sandbox", "acct", 0, 0))

        await world.ledger.creators.change("host", known, what="kyc", value="", by="op")
        await replay(world, Earning(world), made)


async def replay(world: World, example: Example | Earning, made: list[tuple[str, str]]) -> None:
    for step, account in made:
        await example.do(step)
        assert await example.account() == account.split(" | "), step
        report = await audit(world.redis, world.ledger.keys)
        assert report.clean, report.lines()
