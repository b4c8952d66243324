"""Limits under load: many gifts at once, by two nodes, against one limit that is changed meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from gifting import errors
from gifting.config import load
from gifting.ledger.account import Frozen
from gifting.ledger.audit import audit
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.model.protection import Protection, read_protection, write_protection
from gifting.model.terms import UNBOUND, Terms
from gifting.model.values import Result
from tests.support.accounts import account_of
from tests.support.keys import new_key
from tests.support.waiting import until
from tests.support.world import START

pytestmark = pytest.mark.attack

GIFTS, PRICE = 50, 3


class Nodes:
    """Two nodes over one Redis, whose clock stands, however long a flood takes; ann sends, and what each gift was told
    is kept.
    """

    def __init__(self, ledgers: list[Ledger]) -> None:
        self.ledgers = ledgers
        self.room: Any = None

    async def send(self, node: int, terms: Terms = UNBOUND) -> Any:
        ledger = self.ledgers[node]
        sender = ledger.gifts.sender("ann", {"id": "ann", "name": "", "picture": "", "level": 0}, terms)
        try:
            return await ledger.gifts.send(sender, self.room, "spark", new_key(START), PRICE)
        except errors.Protected as error:
            return error

    async def flood(self, terms: Terms = UNBOUND) -> list[Any]:
        """As many on each node, all at once."""
        return await asyncio.gather(*(self.send(node, terms) for node in range(2) for _ in range(GIFTS)))

    async def limit(self, **limits: int) -> None:
        stored = (await self.ledgers[1].accounts.read("ann")).record
        record = Protection(v=read_protection(stored).v, limits=dict(limits))
        await self.ledgers[1].accounts.put("ann", write_protection(record), what="limits", value="", by="ann")

    async def spent(self) -> int:
        return (await account_of(self.ledgers[0].redis, self.ledgers[0].keys.base("ann"), "ann")).sent


@pytest.fixture
async def nodes(redis_client: Redis, redis_url: str) -> AsyncIterator[Nodes]:
    async with AsyncExitStack() as stack:
        settings, catalog = load({"batch_max": 16}, environ={}), load_catalog()
        ledgers = [Ledger(redis_url, settings, catalog, lambda: str(START)) for _ in range(2)]
        made = Nodes(ledgers)
        for ledger in ledgers:
            await ledger.start()
            stack.push_async_callback(ledger.stop)
        made.room = await ledgers[0].rooms.open("r1", "host", "Host", "")
        await ledgers[0].wallets.grant("ann", 10_000, new_key(START), "test", "op")
        yield made
        report = await audit(redis_client, ledgers[0].keys)
        assert report.clean, report.lines()


@pytest.mark.parametrize(
    ("limits", "terms"),
    [
        ({"h24": 100}, UNBOUND),
        ({"d30": 1_000, "month": 100}, UNBOUND),
        ({}, Terms(day_cap=100)),
        ({}, Terms(streak_cap=100)),
        ({}, Terms(velocity_rate=1, velocity_burst=99)),
    ],
)
async def test_a_limit_is_never_passed_by_a_coin(nodes: Nodes, limits: dict[str, int], terms: Terms) -> None:
    await nodes.limit(**limits)
    told = await nodes.flood(terms)
    accepted = [each for each in told if isinstance(each, Result)]
    assert len(accepted) == 100 // PRICE
    assert await nodes.spent() == PRICE * len(accepted)
    assert all(isinstance(each, errors.Protected) for each in told if each not in accepted)
    marks = [each.notice for each in accepted if each.notice]
    assert sorted(marks) == ([50, 80] if limits else [])  # 99 of 100 are no 100 %


async def test_a_limit_lowered_in_mid_load_holds_from_its_reply_on(nodes: Nodes) -> None:
    await nodes.limit(h24=10_000)
    flood = asyncio.create_task(nodes.flood())
    await until(nodes.spent, pause=0)  # some are through, others wait
    await nodes.limit(h24=30)
    held = await nodes.spent()
    told = await flood
    after = await nodes.flood()
    assert await nodes.spent() <= max(held, 30)
    assert any(isinstance(each, errors.SpendingLimit) for each in (*told, *after))
    assert not any(isinstance(each, Result) for each in after)


async def test_who_is_frozen_in_mid_load_sends_nothing_after_its_reply(nodes: Nodes) -> None:
    flood = asyncio.create_task(nodes.flood())
    await until(nodes.spent, pause=0)
    await nodes.ledgers[1].accounts.freeze("ann", Frozen.BANNED, what="ban", value="", by="operator")
    held = await nodes.spent()
    await flood
    assert await nodes.spent() == held
    assert all(isinstance(each, errors.Banned) for each in await nodes.flood())


async def test_of_twenty_changes_at_once_one_is_made_of_each_version(nodes: Nodes) -> None:
    async def change(number: int) -> bool:
        try:
            await nodes.limit(h24=100 + number)
        except errors.Conflict:
            return False
        return True

    made = await asyncio.gather(*(change(number) for number in range(20)))
    stored = (await nodes.ledgers[0].accounts.read("ann")).record
    assert read_protection(stored).v == sum(made) >= 1
