"""A case whose gift is reversed: decided first, then done, once, and finished by the same request after a failure."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.asyncio import Redis

from gifting import errors
from gifting.economy.reversals import Reversals
from gifting.economy.support import Support
from gifting.model.cases import Case, Decision
from tests.support.world import a_world


async def tell(_: str) -> None:
    pass


async def test_a_gift_is_reversed_once_and_what_broke_off_is_finished(redis_client: Redis, redis_url: str) -> None:
    async with a_world(redis_url) as world:
        world.clock[0] = time.time_ns() // 1_000_000  # by which the ledger is searched
        await world.grant("ann", 100)
        gift = world.key()
        await world.send("ann", "spark", 5, key=gift)
        cases, support = world.ledger.cases, Support(world.ledger, Reversals(world.ledger, tell))
        case = await cases.open(Case(id=world.key(), user="ann", kind="unauthorised", at=world.clock[0], gift=gift))
        decision = Decision("reversed", "It was stolen.", "op", world.clock[0])
        half = await cases.decide(case.id, decision)  # and there it broke off
        assert (half.outcome, half.closed) == ("reversed", False)
        assert (await cases.page(0, 10))[0] == [half]
        with pytest.raises(errors.CaseClosed):
            await support.resolve(case.id, Decision("refused", "No.", "other", world.clock[0]))
        told = await asyncio.gather(*(support.resolve(case.id, decision) for _ in range(3)), return_exceptions=True)
        done = await support.resolve(case.id, decision)
        assert done.closed
        assert all(one.closed for one in told if isinstance(one, Case))
        assert (await cases.page(0, 10))[0] == []
        assert (await world.send("ann", "spark", 1)).coins == 99
        order = await cases.open(Case(id=world.key(), user="ann", kind="other", at=1, order=world.key()))
        before = await world.state()
        with pytest.raises(errors.NotReversible):
            await support.resolve(order.id, decision)
        assert await support.resolve(case.id, decision) == done
        assert await world.state() == before
