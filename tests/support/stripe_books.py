"""A process that pays out by a Stripe of the test's own, and what its creator has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace

from gifting.economy.payers.base import Payer
from gifting.economy.payers.stripe import Stripe
from gifting.economy.payout_news import PayoutNews
from gifting.economy.payouts import Payouts
from gifting.economy.providers.stripe_events import PAYOUT
from gifting.ledger.entries import Payout as Entered
from gifting.ledger.stream import Span, read_ledger
from gifting.model.creator import CreatorRecord
from gifting.model.creators import parse_creators
from gifting.model.money import parse_key
from gifting.model.payouts import DAY_MS, Payout
from tests.support.stripe_connect import KEY, SECRET, Connect
from tests.support.world import World

TERMS = """
[payout]
currency = "{currency}"
micros_per_diamond = {micros}
minimum = 1
daily_maximum = 100_000_000
[[tier]]
id = "free"
hold_days = 0
"""
EARNED, ASKED = 200_000, 100_000
"""Milli-diamonds: 200 and 100 cents."""


class Books:
    """One process: its payouts, and the Stripe it asks."""

    def __init__(self, world: World, connect: Connect, currency: str = "USD", micros: int = 10_000) -> None:
        terms = parse_creators(TERMS.format(currency=currency, micros=micros), "creators.toml")
        self.stripe = Stripe(KEY, (SECRET,), world.ledger.creators.now_ms, connect.server.url)
        payers: dict[str, Payer] = {"stripe": self.stripe}
        self.world, self.connect = world, connect
        self.payouts = Payouts(world.ledger, payers, lambda: terms)
        self.news = PayoutNews(world.ledger, self.payouts)

    async def request(self, diamonds: int = ASKED, key: str = "") -> Payout:
        return await self.payouts.request("host", parse_key(key or self.world.key()), diamonds)

    async def days(self, count: int = 1) -> None:
        for _ in range(count):
            self.world.clock[0] += DAY_MS + 1
            await self.payouts.resume()

    async def told(self, body: bytes, **signed: Any) -> int:
        return await self.news.webhook("stripe", body, self.connect.signed(body, **signed))

    async def told_of_payouts(self, type_: str = "payout.updated", of: str = "") -> int:
        """A webhook of each payout to a bank, or those of one payout of ours."""
        found = [one for one in self.connect.payouts if of in ("", one["metadata"][PAYOUT])]
        return sum([await self.told(self.connect.event(type_, one, one["account"])) for one in found])


@asynccontextmanager
async def books_of(world: World, connect: Connect, *terms: Any) -> AsyncIterator[Books]:
    books = Books(world, connect, *terms)
    try:
        yield books
    finally:
        await books.stripe.close()


async def known(world: World, **of: Any) -> None:
    def rule(record: CreatorRecord) -> CreatorRecord:
        return replace(record, **of)

    await world.ledger.creators.change("host", rule, what="kyc", value="", by="op")


async def balance(world: World) -> int:
    return (await world.ledger.creators.read("host")).balance


async def kyc(world: World) -> str:
    return (await world.ledger.creators.read("host")).record.kyc


async def entries(world: World, kind: Any) -> list[Any]:
    spans = dict.fromkeys(world.ledger.keys.bases, Span())
    return [one async for _, _, one in read_ledger(world.redis, spans) if isinstance(one, kind)]


async def entered(world: World) -> list[int]:
    return [one.diamonds for one in await entries(world, Entered)]
