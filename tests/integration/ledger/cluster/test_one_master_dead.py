"""While one master is dead, relays credit and trim what is between the others as ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import pytest

from gifting.ledger.cluster.batcher import ClusterBatcher
from gifting.ledger.cluster.owed import Owed, read_owed
from gifting.ledger.cluster.relay import Relay
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.node import Node
from gifting.ledger.engine import ClusterEngine
from tests.support.clusters import own_cluster
from tests.support.outboxes import gifts_in_outboxes, uncredited
from tests.support.shop import COINS, WITHIN, Shop, shop_at

T = TypeVar("T")

pytestmark = pytest.mark.attack

LATE: Final = 30.0
"""Seconds that a call to a dead master takes: who waits for it is later, however busy the machine."""


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    """No replica takes over."""
    never = {"min-replicas-to-write": "0", "cluster-replica-no-failover": "yes"}
    async with own_cluster(settings=never) as cluster:
        yield cluster


class Half:
    """The part of a shop that is not on the ``dead`` master; the node itself dies after each debit."""

    def __init__(self, shop: Shop, dead: Node, owners: dict[str, Node]) -> None:
        assert isinstance(shop.ledger.engine, ClusterEngine)
        assert isinstance(shop.ledger.batcher, ClusterBatcher)
        self.shop = shop
        self.relay: Relay = shop.ledger.engine.relay
        self.keys = shop.ledger.keys
        self.dead = {number for number, base in enumerate(self.keys.bases) if owners[base].id == dead.id}
        self.senders = [at for at, one in enumerate(shop.senders) if owners[one.base].id != dead.id]
        self.rooms = [at for at, one in enumerate(shop.rooms) if owners[one.base].id != dead.id]
        self.sent = 0
        """Gifts, of one coin each, that those senders have paid."""
        for lane in shop.ledger.batcher._credits:
            lane.append = lambda parcel: None  # type: ignore[method-assign]

    async def leave(self) -> float:
        """A gift from each sender to each room is debited and left. Returns when."""
        for sender in self.senders:
            for room in self.rooms:
                self.shop.send(sender, room)
        self.sent += len(self.senders) * len(self.rooms)
        return await until(self.paid, self.sent)

    async def paid(self) -> int:
        """Coins of senders, of which a gift costs one."""
        users = [self.shop.senders[at].id for at in self.senders]
        return sum([COINS - (await self.shop.ledger.wallets.read(user)).coins for user in users])

    async def credited(self) -> int:
        """Gifts that rooms have got."""
        hosts = [self.shop.rooms[at].host for at in self.rooms]
        return sum([(await self.shop.ledger.wallets.read(host)).diamonds // 500 for host in hosts])

    async def trimmed(self) -> bool:
        """Whether nothing is kept but what the dead master may lack."""
        return all(self.dead & {number for number, _ in one.blobs} for one in await self.kept())

    async def kept(self) -> list[Owed]:
        """Items of the outboxes that can be read."""
        alive = [base for number, base in enumerate(self.keys.bases) if number not in self.dead]
        return read_owed([item for base in alive for item in await self.shop.ledger.redis.xrange(f"{base}:outbox")])


async def until(look: Callable[[], Awaitable[T]], wanted: T) -> float:
    async with asyncio.timeout(WITHIN):
        while await look() != wanted:
            await asyncio.sleep(0.02)
    return time.monotonic()


@asynccontextmanager
async def dead(cluster: EmbeddedCluster, node: Node, how: str) -> AsyncIterator[None]:
    if how == "paused":
        node.pause()
    else:
        await cluster.kill(node.id)
    try:
        yield
    finally:
        if how == "paused":
            node.resume()
        else:
            await cluster.restart(node.id)


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("how", ["paused", "killed"])
async def test_what_is_between_others_is_credited_and_trimmed_as_ever(
    cluster: EmbeddedCluster, how: str, at: int, monkeypatch: pytest.MonkeyPatch, record_property: Callable[..., None]
) -> None:
    monkeypatch.setattr("gifting.ledger.cluster.trimmer.SLACK", 0)
    async with shop_at(cluster.url, ledger_timeout=LATE) as shop:
        node = list(await cluster.masters())[at]
        owners = {base: await cluster.owner(slot_of(base)) for base in shop.ledger.keys.bases}
        half = Half(shop, node, owners)
        relay, waiting = half.relay, pytest.MonkeyPatch()
        waiting.setattr(relay, "round", lambda: asyncio.sleep(0))
        shop.all_to_all()
        await until(lambda: gifts_in_outboxes(shop.ledger), 64)
        every, took = len(half.senders) * len(half.rooms), list[float]()
        half.sent = len(half.senders) * len(shop.rooms)
        async with dead(cluster, node, how):
            waiting.undo()  # not before: what the dead one's senders gave would be credited too
            began = time.monotonic()
            took.append(await until(half.credited, every) - began)
            for wave in range(2, 5):
                left = await half.leave()
                took.append(await until(half.credited, wave * every) - left)
            record_property("credited after", took)
            assert max(took) < LATE / 2
            relay._keeping.ms = 0
            await until(half.trimmed, True)
            assert any(half.dead & {number for number, _ in one.blobs} for one in await half.kept())
        await until(lambda: uncredited(shop.ledger), 0)
        assert (await shop.check()).gifts == 64 + 3 * every
