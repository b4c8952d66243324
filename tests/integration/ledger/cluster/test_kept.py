"""What is credited is kept for a while, and given again to a destination that went back behind it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from gifting.ledger.cluster.keeping import Keeping
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.cluster.trimmer import Due
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.model.values import Result
from tests.support.clusters import UNGUARDED, own_cluster, told_when_credited
from tests.support.lagging import let_one_lag
from tests.support.outboxes import gifts_in_outboxes, uncredited
from tests.support.relays import nobody_credits
from tests.support.shop import WITHIN, Shop, shop_at
from tests.support.waiting import until, until_is

pytestmark = pytest.mark.attack


KEPT = 5.0
"""Seconds, where a test waits for it."""


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with own_cluster(replicas=2, settings=UNGUARDED) as cluster:
        yield cluster


async def all_is_credited(shop: Shop) -> None:
    async with asyncio.timeout(20):
        while await uncredited(shop.ledger):
            await asyncio.sleep(0.05)


async def kept(shop: Shop) -> int:
    return sum([await shop.ledger.redis.xlen(f"{base}:outbox") for base in shop.ledger.keys.bases])


def keep(shop: Shop, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever nodes ask for."""
    monkeypatch.setattr(Keeping, "learn", lambda *_: None)
    monkeypatch.setattr("gifting.ledger.cluster.trimmer.SLACK", 0)
    shop.relay._keeping.ms = round(1000 * seconds)


async def test_a_destination_that_is_rolled_back_is_given_again_what_it_lost(
    cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One replica confirms credits and dies with the master; the other, which has lacked them, takes over."""
    monkeypatch.setattr("gifting.ledger.cluster.trimmer.SLACK", 0)
    flags: dict[str, Any] = {"redis": cluster.url, "durability": "replica", "ledger_timeout": 20.0}
    async with shop_at(cluster.url, **flags) as shop:
        shop.all_to_all()
        await shop.everyone()
        await shop.ledger.flush(5)
        master = await cluster.owner(slot_of(shop.rooms[0].base))
        rooms = [at for at, room in enumerate(shop.rooms) if await cluster.owner(slot_of(room.base)) is master]
        others = [at for at, one in enumerate(shop.senders) if await cluster.owner(slot_of(one.base)) is not master]
        lagging = await let_one_lag(cluster, slot_of(shop.rooms[0].base))
        keys = []
        for _ in range(4):
            keys += [shop.send(sender, room) for sender in others for room in rooms]
            with told_when_credited():
                await shop.everyone()
        assert all(isinstance(shop.told[key], Result) and shop.told[key].seq for key in keys), "told as credited"
        await shop.ledger.flush(5)
        for _ in range(3):
            await shop.relay.round()
        await lagging.takes_over()
        await all_is_credited(shop)
        for room in rooms:
            assert (await shop.ledger.rooms.snapshot(shop.rooms[room])).seq == 8 + 4 * len(others)
        assert (await shop.check()).gifts == 64 + len(keys)
        shop.all_to_all()
        await shop.everyone()
        await shop.ledger.flush(5)
        assert (await shop.check()).gifts == 128 + len(keys), "nothing stands still"
        assert not shop.relay.holes


async def leave(shop: Shop, senders: list[int], rooms: list[int]) -> None:
    """A gift of each to each, in calls of their own; all nodes are dead after their debits, for longer than is kept."""
    with nobody_credits(shop):
        for sender in senders:
            there = await gifts_in_outboxes(shop.ledger)
            for room in rooms:
                shop.send(sender, room)
            await until_is(lambda: gifts_in_outboxes(shop.ledger), there + len(rooms))
        debited = time.monotonic()
        await until(lambda: time.monotonic() > debited + KEPT)


async def test_what_is_credited_late_is_kept_from_then(
    cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then a master dies, and what takes over lacks what it was credited late."""
    async with shop_at(cluster.url, redis=cluster.url, durability="replica", ledger_timeout=20.0) as shop:
        keep(shop, KEPT, monkeypatch)
        shop.all_to_all()
        await shop.everyone()
        await all_is_credited(shop)
        lagging = await let_one_lag(cluster, slot_of(shop.rooms[0].base))
        rooms = [at for at, room in enumerate(shop.rooms) if await cluster.owner(slot_of(room.base)) is lagging.master]
        others = [
            at for at, one in enumerate(shop.senders) if await cluster.owner(slot_of(one.base)) is not lagging.master
        ]
        await leave(shop, others[:1] * 3, rooms)
        await all_is_credited(shop)
        for _ in range(3):
            await shop.relay.round()
        keep(shop, WITHIN, monkeypatch)  # however long it takes to replace a master
        await lagging.takes_over()
        await all_is_credited(shop)
        assert not shop.relay.holes
        assert (await shop.check()).gifts == 64 + 3 * len(rooms)
        keep(shop, KEPT, monkeypatch)
        async with asyncio.timeout(WITHIN):
            while await kept(shop) > len(shop.ledger.keys.bases):
                await asyncio.sleep(0.05)
        assert (await shop.check()).gifts == 64 + 3 * len(rooms)


async def test_what_is_credited_and_old_is_trimmed(cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    async with shop_at(cluster.url) as shop:
        shop.all_to_all(2)
        await shop.everyone()
        await all_is_credited(shop)
        for _ in range(3):
            await shop.relay.round()
        assert await kept(shop) == shop.relay.items > 0
        assert shop.relay.seconds == 0
        keep(shop, 0, monkeypatch)
        async with asyncio.timeout(WITHIN):
            while await kept(shop) > len(shop.ledger.keys.bases):
                await asyncio.sleep(0.05)
        assert (await shop.check()).gifts == 128


async def test_what_goes_by_itself_was_credited_then_and_is_now_and_is_held(cluster: EmbeddedCluster) -> None:
    async with shop_at(cluster.url) as shop:
        shop.all_to_all()
        await shop.everyone()
        await all_is_credited(shop)
        await shop.relay.round()
        trimmer, looks = shop.relay._trimmer, shop.relay._looks
        note = trimmer._notes.take((), looks.last, looks.marks, frozenset())
        none = replace(note, marks={number: {} for number in note.marks})
        there = await kept(shop)
        for then, now, held in ((none, note, note), (note, none, note), (note, note, none)):
            await trimmer._pick(Due(0, then, frozenset()), now.marks, held.marks)
            assert await kept(shop) == there
        epoch = looks.last[0].stand.epoch
        assert await trimmer._confirm({0: epoch - 1}) == none.marks, "that is another history"
        assert await trimmer._confirm({0: epoch}) == none.marks | {0: note.marks[0]}
        await trimmer._pick(Due(0, note, frozenset()), note.marks, note.marks)
        assert await kept(shop) < there
