"""What providers settled comes into the archive by itself, beside the archiver."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from redis.asyncio import Redis

from gifting import config, settlements
from gifting.archive.schema import collected
from gifting.archive.schema import settlements as rows
from gifting.archive.store import open_store
from gifting.config import Settings
from gifting.economy.providers.registry import Parts
from gifting.economy.providers.sandbox import checkout as checkouts
from gifting.economy.providers.sandbox.cards import CARDS
from gifting.economy.providers.sandbox.provider import Sandbox
from gifting.model.prices import load_prices
from gifting.settlements import keep_taking_in
from tests.support.archive import rows_of
from tests.support.orders import anyone, draft
from tests.support.waiting import WITHIN
from tests.support.world import World, a_world


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(settlements, "RETRY_MIN", 0.05)
    yield


async def buy(world: World) -> None:
    """Now, by the clock of this machine: what providers tell is asked for by that."""
    world.clock[0] = int(time.time() * 1000) - 60_000
    order = await world.ledger.orders.open(draft("ann", world.key()), anyone)
    parts = Parts(config.load({}, environ={}), world.ledger, lambda: ["s"], lambda: load_prices("", ["DE"]))
    sandbox = Sandbox(parts)
    sandbox._now = lambda: world.clock[0]
    await sandbox.create(order, "https://here.example")
    checkout = checkouts.checkout_id(order.id)
    await sandbox.change(checkout, lambda known, now: checkouts.pay(known, CARDS[0].number, now))


def settings(archive_url: str, redis_url: str, **more: Any) -> Settings:
    flags = {"archive": archive_url, "redis": redis_url, "providers": "sandbox, google", "settlements_interval": 0.2}
    google = {"google_package": "a.b", "google_service_account": "/nowhere"}
    return config.load(flags | google | more, environ={})


async def test_it_is_taken_in_as_soon_as_there_are_tables_and_once_by_two(
    archive_url: str, redis_client: Redis, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    stop, store = asyncio.Event(), open_store(archive_url)
    async with a_world(redis_url, like_interval=0) as world:
        await buy(world)
        wanted = settings(archive_url, redis_url, providers="sandbox")
        tasks = [asyncio.create_task(keep_taking_in(wanted, redis_url, stop)) for _ in range(2)]
        async with asyncio.timeout(WITHIN):
            while "sandbox settled is not taken in now" not in caplog.text:
                await asyncio.sleep(0.02)
            await store.upgrade()
            while not await rows_of(store, collected):
                await asyncio.sleep(0.02)
        assert [row[3] for row in await rows_of(store, rows)] == ["payment"]
        stop.set()
        async with asyncio.timeout(WITHIN):
            await asyncio.gather(*tasks)
    await store.close()


async def test_a_provider_that_can_not_be_made_is_said_and_stops_nothing_else(
    archive_url: str, redis_client: Redis, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        await keep_taking_in(settings(archive_url, redis_url), redis_url, asyncio.Event())
    assert "no settlements are taken in" in caplog.text


async def test_it_may_be_switched_off(archive_url: str, redis_client: Redis, redis_url: str) -> None:
    await keep_taking_in(settings(archive_url, redis_url, settlements_interval=0), redis_url, asyncio.Event())
