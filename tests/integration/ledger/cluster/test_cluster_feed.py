"""What a cluster publishes is heard wherever its slots are: through failovers, moves, silence, and viewers who go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from gifting.errors import Unavailable
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.cluster.topology import Node as Place
from gifting.ledger.cluster.topology import Topology
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.moving import move_of
from gifting.ledger.embedded.node import Node
from tests.support.cluster_ears import BASES, SILENCE, cluster_ears, listeners
from tests.support.clusters import be_patient, steady_cluster
from tests.support.waiting import until, until_is

pytestmark = pytest.mark.attack

NODE_TIMEOUT = 1.0
"""Seconds, where a test waits for an election."""
BASE, OTHER = BASES[7], BASES[15]
MANY = 40
"""Who wait together for a second each."""


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    """Nobody is replaced by itself."""
    async with steady_cluster() as cluster:
        yield cluster


async def heard_at(node: Node, base: str) -> None:
    """Wait until it is; before that it may be heard at another one, from which the feed will part."""
    await until_is(lambda: listeners(node, base), 1)


async def test_it_hears_what_is_watched_as_long_as_it_is(cluster: EmbeddedCluster) -> None:
    async with cluster_ears(cluster) as ears:
        assert (ears.feed.reconnects, ears.feed.healthy) == (0, True)
        await ears.publish(BASES[0], b"12", "balances")
        await until(lambda: ears.beside == [b"12"])
        owner = await cluster.owner(slot_of(BASE))
        assert await listeners(owner, BASE) == 0
        await ears.feed.watch(BASE)
        await ears.feed.watch(BASE)
        assert await listeners(owner, BASE) == 1
        await ears.publish(OTHER, b"of no interest")
        await ears.hears(BASE)
        ears.feed.unwatch(BASE)
        await ears.hears(BASE)
        ears.feed.unwatch(BASE)
        await until_is(lambda: listeners(owner, BASE), 0)
        await ears.feed.watch(BASE)
        await ears.hears(BASE)
        assert ears.feed.reconnects == 0


async def test_once_it_has_ended_nobody_is_heard_and_none_is_left(cluster: EmbeddedCluster) -> None:
    before = asyncio.all_tasks()
    async with cluster_ears(cluster, timeout=1.0) as ears:
        await ears.feed.watch(BASE)
    ears.feed.unwatch(BASE)
    with pytest.raises(Unavailable):
        await ears.feed.watch(OTHER)
    assert asyncio.all_tasks() == before


async def test_one_connection_for_each_master_that_has_something(cluster: EmbeddedCluster) -> None:
    async def clients() -> list[int]:
        return sorted(
            [(await node.call("CLIENT", "LIST", "TYPE", "PUBSUB")).count(b"\n") for node in await cluster.masters()]
        )

    async with cluster_ears(cluster) as ears:
        assert await clients() == [0, 0, 1]
        for base in BASES:
            await ears.feed.watch(base)
        assert await clients() == [1, 1, 1]
        for base in BASES:
            await ears.hears(base)
        for base in BASES:
            ears.feed.unwatch(base)
        await until_is(clients, [0, 0, 1])
        await asyncio.sleep(3 * SILENCE)
        assert (ears.feed.reconnects, ears.feed.healthy) == (0, True)


@pytest.mark.parametrize("how", ["killed", "stopped", "in order", "takeover"])
async def test_a_failover_is_followed_and_its_rooms_look_into_their_logs(cluster: EmbeddedCluster, how: Any) -> None:
    async with cluster_ears(cluster) as ears:
        for base in BASES:
            await ears.feed.watch(base)
        ears.resynced.clear()
        master = await cluster.owner(slot_of(BASE))
        (replica,) = await cluster.replicas(master)
        its = {base for base in BASES if await cluster.owner(slot_of(base)) is master}
        if how in ("killed", "stopped"):
            await be_patient(cluster, NODE_TIMEOUT)
        if how == "killed":
            await master.kill()
        elif how == "stopped":
            master.pause()
        else:
            await cluster.promote(replica.id, "TAKEOVER" if how == "takeover" else "")
        await until(lambda: its <= set(ears.resynced))
        await cluster.settle()
        for base in its:
            await heard_at(replica, base)
            await ears.hears(base)
        await until(lambda: ears.feed.healthy)
        assert its == set(ears.resynced)


async def test_a_slot_that_moves_is_followed(cluster: EmbeddedCluster) -> None:
    async with cluster_ears(cluster) as ears:
        await ears.feed.watch(BASE)
        await ears.feed.watch(BASES[8])
        for _ in range(3):
            ears.resynced.clear()
            source = await cluster.owner(slot_of(BASE))
            target = next(node for node in await cluster.masters() if node is not source)
            way = await move_of(cluster, slot_of(BASE), target.id)
            await way.open()
            await ears.hears(BASE)
            await way.whole()
            await until(lambda: ears.resynced == [BASE])
            await ears.hears(BASE)
            assert await listeners(target, BASE) == 1
        await ears.hears(BASES[8])
        assert ears.feed.healthy


async def test_who_comes_while_a_slot_is_elsewhere_than_the_map_says_hears_it_too(cluster: EmbeddedCluster) -> None:
    async with cluster_ears(cluster) as ears:
        source = await cluster.owner(slot_of(BASE))
        target = next(node for node in await cluster.masters() if node is not source)
        await (await move_of(cluster, slot_of(BASE), target.id)).whole()
        await ears.feed.watch(BASE)
        await ears.hears(BASE)


async def test_a_replica_that_is_taken_for_a_master_is_left(cluster: EmbeddedCluster) -> None:
    """It would tell what the bus brings, and nobody would notice if it brought nothing."""
    async with cluster_ears(cluster) as ears:
        master = await cluster.owner(slot_of(BASE))
        (replica,) = await cluster.replicas(master)
        true = ears.map.topology
        wrong = Place(replica.id, "127.0.0.1", replica.port)
        ranges = (each._replace(master=wrong) if wrong in each.replicas else each for each in true.ranges)
        ears.map.topology = Topology(true.epoch, tuple(ranges))
        await ears.feed.watch(BASE)
        assert await listeners(replica, BASE) == 1
        await until(lambda: ears.resynced.count(BASE) == 2)
        assert await listeners(master, BASE) == 1
        await ears.hears(BASE)


async def test_who_can_not_be_heard_keeps_nobody_waiting(cluster: EmbeddedCluster) -> None:
    async with cluster_ears(cluster, timeout=1.0) as ears:
        master = await cluster.owner(slot_of(BASE))
        (replica,) = await cluster.replicas(master)
        await replica.kill()
        await master.kill()
        begin = time.monotonic()
        refused = await asyncio.gather(*(ears.feed.watch(BASE) for _ in range(MANY)), return_exceptions=True)
        assert {type(error) for error in refused} == {Unavailable}
        assert 0.9 < time.monotonic() - begin < MANY / 2, "not one after the other"
        assert not any(BASE in channel for channel in map(str, ears.feed._partitions))
        await cluster.restart(master.id)

        async def watched() -> bool:
            with suppress(Unavailable):
                await ears.feed.watch(BASE)
                return True
            return False

        await until(watched)
        await ears.hears(BASE)
        assert ears.feed.healthy


async def test_a_deaf_partition_is_told(cluster: EmbeddedCluster) -> None:
    async with cluster_ears(cluster) as ears:
        await ears.feed.watch(BASE)
        master = await cluster.owner(slot_of(BASE))
        (replica,) = await cluster.replicas(master)
        await replica.kill()
        await master.kill()
        await until(lambda: not ears.feed.healthy)
        await cluster.restart(master.id)
        await until(lambda: ears.feed.healthy)
        await ears.hears(BASE)


async def test_what_can_not_be_read_makes_its_partition_look(cluster: EmbeddedCluster, caplog: Any) -> None:
    async with cluster_ears(cluster) as ears:
        await ears.feed.watch(BASE)
        ears.resynced.clear()
        await ears.publish(BASE, b"garbage")
        await ears.hears(BASE)
        assert ears.resynced == [BASE]
        assert "can't be read" in caplog.text
