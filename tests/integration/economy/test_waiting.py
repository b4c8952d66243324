"""What waits for somebody is counted, with its age: payouts by state, reversals that are half done, open cases."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from gifting.economy.payers.base import Payer
from gifting.economy.payers.sandbox import Sandbox
from gifting.economy.payouts import Payouts
from gifting.errors import ProviderFailed
from gifting.ledger.waiting import EVERY, STATES, waits_for
from gifting.model.creator import CreatorRecord, Destination
from gifting.model.creators import parse_creators
from gifting.model.money import parse_key
from gifting.model.payouts import ASK_EVERY, DAY_MS, SEND_AGAIN, Fact, Payout
from tests.support.world import World

TERMS = """
[payout]
currency = "USD"
micros_per_diamond = 10_000
minimum = 10
[[tier]]
id = "free"
hold_days = 0
"""
CREATORS = parse_creators(TERMS, "creators.toml")


class Away(Sandbox):
    """One that can't be asked, until it ``answers``."""

    answers = False

    async def send(self, payout: Payout) -> Sequence[Fact]:
        if not self.answers:
            raise ProviderFailed("It is away.")
        return await super().send(payout)


class Books:
    def __init__(self, world: World) -> None:
        self.world = world
        self.payer = Away(world.ledger)
        payers: dict[str, Payer] = {"sandbox": self.payer}
        self.payouts = Payouts(world.ledger, payers, lambda: CREATORS)

    async def ask(self, diamonds: int, account: str = "acct", key: bytes = b"") -> Payout:
        def rule(record: CreatorRecord) -> CreatorRecord:
            return replace(record, kyc="verified", destination=Destination("sandbox", account, 0, 0))

        await self.world.ledger.creators.change("host", rule, what="kyc", value="", by="op")
        return await self.payouts.request("host", key or parse_key(self.world.key()), diamonds)

    async def later(self, ms: int) -> Any:
        """What waits so much later."""
        self.world.clock[0] += ms
        waiting = self.world.ledger.upkeep.waiting
        await waiting.read(self.world.clock[0])
        return waiting


@pytest.fixture
async def books(world: World) -> Books:
    world.clock[0] = time.time_ns() // 1_000_000
    await world.grant("ann", 1_000)
    await world.send(count=400)
    return Books(world)


async def test_payouts_under_way_are_counted_by_state_with_their_money_and_age(books: Books) -> None:
    assert (await books.later(EVERY)).payouts == dict.fromkeys(STATES, 0)
    await books.ask(50_000)
    await books.ask(20_000, "review")
    waiting = await books.later(EVERY + 1000)
    assert waiting.payouts == {"requested": 1, "review": 1, "processing": 0, "stuck": 0}
    assert waiting.oldest == {"requested": 61.0, "review": 61.0, "processing": 0.0, "stuck": 0.0}
    assert waiting.money == {"USD": 70}
    await books.payouts.resume()
    waiting = await books.later(DAY_MS)
    assert waiting.payouts == {"requested": 1, "review": 1, "processing": 0, "stuck": 0}
    assert waiting.oldest["requested"] == 61 + DAY_MS / 1000, "to ask in vain makes it no younger"
    books.payer.answers = True
    await books.payouts.resume()
    await books.later(ASK_EVERY + 1)
    await books.payouts.resume()
    waiting = await books.later(EVERY)
    assert waiting.payouts == {"requested": 0, "review": 1, "processing": 0, "stuck": 0}
    assert waiting.money == {"USD": 20}
    (left,) = await waiting.open_payouts(books.world.clock[0])
    await books.world.ledger.payouts.decide(left.id, books.world.clock[0], "op", rejected=True)
    waiting = await books.later(EVERY)
    assert (waiting.payouts.total(), waiting.money) == (0, {"USD": 0})


async def test_one_that_was_asked_for_first_is_told_first_and_each_is_told_of_once_a_minute(books: Books) -> None:
    first = await books.ask(20_000, "review")
    await books.later(1)
    second = await books.ask(20_000)
    waiting = await books.later(1)
    assert [one.id for one in await waiting.open_payouts(books.world.clock[0])] == [first.id, second.id]
    assert waiting.payouts["requested"] == 0, "it was read a moment ago"
    assert (await books.later(EVERY)).payouts["requested"] == 1


async def test_payers_that_fail_are_counted(books: Books) -> None:
    await books.ask(50_000)
    for rounds in (1, 2):
        await books.later(SEND_AGAIN)
        await books.payouts.resume()
        assert books.payouts.failures == {"sandbox": rounds}


async def test_reversals_and_cases_are_counted_with_the_age_of_the_oldest(books: Books) -> None:
    waiting = await books.later(EVERY)
    assert (waiting.reversals, waiting.reversals_age, waiting.cases, waiting.cases_age) == (0, 0.0, 0, 0.0)
    redis, keys, now = books.world.redis, books.world.ledger.keys, books.world.clock[0]
    for number, base in enumerate(keys.bases):
        await redis.zadd(f"{base}:reversals", {f"ann\n{number}": now - number * 1000})
    await redis.zadd(keys.open_cases, {"ann\n1": now - 5000, "ann\n2": now})
    waiting = await books.later(EVERY)
    assert (waiting.reversals, waiting.reversals_age) == (len(keys.bases), 60 + len(keys.bases) - 1)
    assert (waiting.cases, waiting.cases_age) == (2, 65.0)


async def test_what_is_on_its_way_waits_since_it_was_taken_and_what_is_stuck_since_it_is(books: Books) -> None:
    made = replace(await books.ask(50_000), sending_at=5_000)
    assert waits_for(made) == ("requested", made.created)
    assert waits_for(replace(made, sent_at=7_000)) == ("processing", 7_000)
    assert waits_for(replace(made, sent_at=7_000, stuck_at=9_000)) == ("stuck", 9_000)
