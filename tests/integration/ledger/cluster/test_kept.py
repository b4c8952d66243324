"""What is credited is kept for a while, and given again to a destination that went back behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.model.values import Result
from tests.support.clusters import UNGUARDED, own_cluster
from tests.support.lagging import let_one_lag
from tests.support.outboxes import uncredited
from tests.support.shop import WITHIN, Shop, shop_at

pytestmark = pytest.mark.attack


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


async def test_a_destination_that_is_rolled_back_is_given_again_what_it_lost(
    cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One replica confirms credits and dies with the master; the other, which has lacked them, takes over."""
    monkeypatch.setattr("gifting.ledger.cluster.trimmer.SLACK", 0)
    async with shop_at(cluster.url, ledger_timeout=20.0, streak_window=60) as shop:
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


async def test_what_is_credited_and_old_is_trimmed(cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    async with shop_at(cluster.url) as shop:
        shop.all_to_all(2)
        await shop.everyone()
        await all_is_credited(shop)
        for _ in range(3):
            await shop.relay.round()
        assert await kept(shop) == shop.relay.items > 0
        assert shop.relay.seconds == 0
        shop.relay._keeping.ms = 0
        monkeypatch.setattr("gifting.ledger.cluster.trimmer.SLACK", 0)
        async with asyncio.timeout(WITHIN):
            while await kept(shop) > len(shop.ledger.keys.bases):
                await asyncio.sleep(0.05)
        assert (await shop.check()).gifts == 128
