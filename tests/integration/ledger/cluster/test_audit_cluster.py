"""The audit of a real cluster: while gifts flow, and after its masters were killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.exceptions import RedisError

from gifting.errors import GiftingError
from gifting.ledger.audit import AuditReport, audit
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.tasks import end
from tests.support.clusters import be_patient, own_cluster
from tests.support.tampering import PLAIN, STREAKABLE, World, a_world

USERS = [f"u{number}" for number in range(12)]
HOSTS = [f"h{number}" for number in range(6)]
COINS = 10**9
"""More than anybody gives, however long an audit takes."""


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with own_cluster(node_timeout=1.0) as cluster:
        yield cluster


@asynccontextmanager
async def giving(world: World) -> AsyncIterator[list[int]]:
    """Everybody gives for as long as it lasts; how many gifts were taken."""
    taken = [0]

    async def give(user: str, at: int) -> None:
        while True:
            room = HOSTS[at % len(HOSTS)]
            at += 1
            try:
                await world.send(user, room, PLAIN if at % 5 else STREAKABLE, 1 + at % 3)
                taken[0] += 1
            except GiftingError:
                await asyncio.sleep(0.05)

    tasks = [asyncio.create_task(give(user, at)) for at, user in enumerate(USERS)]
    try:
        yield taken
    finally:
        await end(tasks)


async def until(taken: list[int], more: int) -> None:
    goal = taken[0] + more
    async with asyncio.timeout(60):
        while taken[0] < goal:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def a_cluster_world(url: str) -> AsyncIterator[World]:
    async with a_world(url) as world:
        for host in HOSTS:
            await world.open(host, host)
        for user in USERS:
            await world.grant(user, COINS)
        yield world


async def test_books_are_clean_while_gifts_flow(cluster: EmbeddedCluster) -> None:
    reports: list[AuditReport] = []
    await be_patient(cluster)
    async with a_cluster_world(cluster.url) as world:
        async with giving(world) as taken:
            for _ in range(10):
                await until(taken, 20)
                reports.append(await audit(world.redis, world.ledger.keys))
        await world.ledger.batcher.drain()
        reports.append(await audit(world.redis, world.ledger.keys))
    assert [one.lines() for one in reports if not one.clean] == []
    assert any(one.crossed and (one.crossed.gifts or one.crossed.between) for one in reports)


@pytest.mark.parametrize("partition", [0, 9])
async def test_books_are_clean_after_a_master_was_killed(cluster: EmbeddedCluster, partition: int) -> None:
    async with a_cluster_world(cluster.url) as world:
        async with giving(world) as taken:
            await until(taken, 100)
            master = await cluster.owner(slot_of(world.ledger.keys.bases[partition]))
            await cluster.kill(master.id)
            await until(taken, 10)
            report = await audit_again(world)
            assert report.clean, report.lines()
            await cluster.restart(master.id)
            await until(taken, 300)
            report = await audit_again(world)
            assert report.clean, report.lines()
        assert report.crossed is not None
        assert (report.crossed.fenced_gifts, report.crossed.open) == (0, 0)


async def audit_again(world: World) -> AuditReport:
    """While a master is being replaced nobody can be asked for what it has."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await audit(world.redis, world.ledger.keys)
            except (RedisError, OSError):
                await asyncio.sleep(0.1)
