"""What tests of payments share."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from gifting.ledger.audit import audit
from gifting.model.creator import Destination
from tests.support.world import World, a_world

if TYPE_CHECKING:  # they need the extra stripe
    from tests.support.stripe_books import Books
    from tests.support.stripe_connect import Connect


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url) as made:
        yield made


@pytest.fixture
async def connect(world: World) -> AsyncIterator[Connect]:
    from tests.support.stripe_connect import Connect

    world.clock[0] = time.time_ns() // 1_000_000
    made = Connect(lambda: world.clock[0] / 1000)
    made.balance["USD"] = 1_000
    async with made.server:
        yield made


@pytest.fixture
async def books(world: World, connect: Connect) -> AsyncIterator[Books]:
    """The host has earned, and may be paid; whatever a test does, the books hold after it, and no money is lost."""
    from tests.support.stripe_books import EARNED, books_of, known
    from tests.support.stripe_connect import ACCOUNT

    await world.grant("ann", 1_000)
    await world.send(count=EARNED // 500)
    await known(world, kyc="verified", destination=Destination("stripe", ACCOUNT, 0, 0))
    async with books_of(world, connect) as made:
        yield made
    report = await audit(world.redis, world.ledger.keys)
    assert report.clean, report.lines()
