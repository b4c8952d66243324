"""A destination comes back without credits that no outbox has any more: what is missing is credited from the ledger."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import pytest

from gifting.ledger.audit import audit
from gifting.ledger.cluster import reach
from gifting.ledger.cluster.relay import Relay
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.engine import ClusterEngine
from gifting.ledger.mending import mender as mending
from gifting.ledger.mending.mender import Mender
from gifting.model.catalog import load_catalog
from gifting.model.values import Result
from tests.support.clusters import own_cluster
from tests.support.shop import WITHIN, Shop, shop_at

pytestmark = pytest.mark.attack

ROUNDS = 20
"""Calls that are lost of each sender, more than one call of ``credit`` takes."""


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with own_cluster(replicas=2) as cluster:
        yield cluster


def relay_of(shop: Shop) -> Relay:
    assert isinstance(shop.ledger.engine, ClusterEngine)
    return shop.ledger.engine.relay


def a_mender(shop: Shop, cluster: EmbeddedCluster) -> AbstractAsyncContextManager[Mender]:
    return mending.mender(cluster.url, shop.ledger.settings, load_catalog(), 0)


class Lost:
    """What a master and the replica that confirmed it had: gifts of ``senders`` to ``rooms``, all told as credited."""

    def __init__(self, shop: Shop, rooms: list[int], senders: list[int]) -> None:
        self.shop, self.rooms, self.senders = shop, rooms, senders
        self.keys: list[str] = []

    def send(self) -> list[str]:
        return [self.shop.send(sender, room) for sender in self.senders for room in self.rooms]

    async def diamonds(self) -> Counter[str]:
        found = Counter[str]()
        for room in self.rooms:
            ref = self.shop.rooms[room]
            found[ref.host] = int(await self.shop.ledger.redis.hget(f"{ref.base}:diamonds", ref.host) or 0)
        return found


async def lose(shop: Shop, cluster: EmbeddedCluster) -> Lost:
    """The lagging replica of a master takes over when outboxes keep nothing any more."""
    shop.all_to_all()
    await shop.everyone()
    await shop.ledger.flush(5)
    master = await cluster.owner(slot_of(shop.rooms[0].base))
    rooms = [at for at, room in enumerate(shop.rooms) if await cluster.owner(slot_of(room.base)) is master]
    others = [at for at, one in enumerate(shop.senders) if await cluster.owner(slot_of(one.base)) is not master]
    confirming, lagging = await cluster.replicas(master)
    offset = (await master.call("INFO", "replication"))["master_repl_offset"]
    async with asyncio.timeout(WITHIN):
        while (await lagging.call("INFO", "replication"))["slave_repl_offset"] < offset:
            await asyncio.sleep(0.02)
    await cluster.cut(lagging.id)
    lost = Lost(shop, rooms, others)
    for _ in range(ROUNDS):
        lost.keys += lost.send()
        await shop.everyone()
    assert all(isinstance(shop.told[key], Result) and shop.told[key].seq for key in lost.keys), "told as credited"
    before = await lost.diamonds()
    async with asyncio.timeout(WITHIN):
        while max([await shop.ledger.redis.xlen(f"{shop.senders[one].base}:outbox") for one in others]) > 1:
            await asyncio.sleep(0.05)
    await cluster.kill(confirming.id)
    await cluster.kill(master.id)
    await cluster.promote(lagging.id, "TAKEOVER")
    await cluster.join(lagging.id)
    await cluster.restart(confirming.id)
    await cluster.restart(master.id)
    await cluster.settle()
    assert await lost.diamonds() < before
    return lost


async def named(shop: Shop) -> None:
    async with asyncio.timeout(WITHIN):
        while not relay_of(shop).holes:
            await asyncio.sleep(0.05)


async def causes(shop: Shop) -> set[str]:
    report = await audit(shop.ledger.redis, shop.ledger.keys)
    return {group.name for group in report.groups}


async def test_a_hole_is_mended(cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gifting.ledger.cluster.relay.SLACK", 0)
    monkeypatch.setattr(reach, "KEEP", 0)
    async with shop_at(cluster.url, ledger_timeout=20.0) as shop:
        lost = await lose(shop, cluster)
        lost.send()
        await shop.everyone()
        await named(shop)
        assert await causes(shop) == {"outbox_hole"}
        async with a_mender(shop, cluster) as mender:
            gaps = await mender.find()
            assert gaps
            gifts = [gift.key.hex() for gap in gaps for gift in gap.gifts()]
            assert sorted(gifts) == sorted(key.replace("-", "") for key in lost.keys)
            for gap in gaps:
                assert await mender.mend(gap) >= len(gap.gifts())
            assert await mender.find() == []
        monkeypatch.undo()
        lost.send()
        shop.all_to_all()
        await shop.everyone()
        await shop.ledger.flush(5)
        async with asyncio.timeout(WITHIN):
            while relay_of(shop).holes or relay_of(shop).seconds:
                await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        report = await shop.check()
        print(report.lines())
        raise SystemExit
