"""The archive of a cluster: it follows through failovers, and never has what the books can still lose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import RedisError

from gifting.archive.archiver import Archiver
from gifting.archive.audited import audit_archived
from gifting.archive.room_logs import RoomLogs
from gifting.archive.store import Store, open_store
from gifting.errors import ArchiveNeeded, BadArchive, GiftingError
from gifting.ledger import audit as audit_module
from gifting.ledger.audit import audit
from gifting.ledger.cluster.confirmed import confirmation
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.confirmed import ONE_REDIS, Confirmation
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.node import Node
from gifting.ledger.meta import ARCHIVE
from gifting.ledger.trimming import trim
from tests.support.archive import assert_whole
from tests.support.clusters import UNGUARDED, steady_cluster
from tests.support.tampering import STREAKABLE, World, a_world

pytestmark = pytest.mark.timeout(400)

WAIT = 60.0
USERS = [f"u{number}" for number in range(16)]


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    """Masters take writes of which no replica hears: what waits for these is the archive alone. Who takes over is asked
    to.
    """
    async with steady_cluster(settings=UNGUARDED) as cluster:
        yield cluster


@pytest.fixture
async def world(cluster: EmbeddedCluster) -> AsyncIterator[World]:
    async with a_world(cluster.url, ledger_timeout=3.0, allow_unsafe_redis=True) as world:
        await world.open("r1", "hal")
        yield world


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = open_store(f"sqlite:///{tmp_path / 'archive.db'}")
    await store.upgrade()
    yield store
    await store.close()


class Following:
    """An archiver with its rooms, round by round."""

    def __init__(self, world: World, store: Store, held: Confirmation) -> None:
        keys = world.ledger.keys
        logs = RoomLogs(world.redis, keys, store, monotonic=lambda: 0.0, confirmation=held)
        self.archiver = Archiver(world.redis, keys, "gifting", store, [logs.follow], held)
        self.world, self.store = world, store

    async def round(self) -> bool:
        """Whether it went through, and there was nothing more."""
        try:
            return not await self.archiver.round()
        except (RedisError, OSError):
            self.archiver.forget()
            return False

    async def whole(self) -> int:
        """Follow until all is there; how many items that is."""
        async with asyncio.timeout(WAIT):
            while not await self.round():
                await asyncio.sleep(0.05)
        return await assert_whole(self.store, self.world.redis, self.world.ledger.keys)


@pytest.fixture
def held(world: World) -> Confirmation:
    return confirmation(world.redis, world.ledger.keys, 1)


async def grant_all(world: World, coins: int) -> None:
    """To everybody; what is not confirmed by a replica is told so."""
    for user in USERS:
        with suppress(GiftingError):
            await world.grant(user, coins)


async def send_all(world: World) -> None:
    for user in USERS:
        await world.send(user, "r1", STREAKABLE)


async def lose_a_master(cluster: EmbeddedCluster, world: World, following: Following) -> Node:
    """With what its replica has not heard of, which is archived as far as the archiver dares to."""
    master = await cluster.owner(slot_of(world.ledger.keys.bases[0]))
    (replica,) = await cluster.replicas(master)
    await cluster.cut(replica.id)
    await grant_all(world, 7)
    for _ in range(3):
        await following.round()
    await cluster.kill(master.id)
    await cluster.promote(replica.id, "TAKEOVER")
    await cluster.join(replica.id)
    return master


async def test_the_archive_is_not_ahead_of_a_replica_that_takes_over(
    cluster: EmbeddedCluster, world: World, store: Store, held: Confirmation
) -> None:
    following = Following(world, store, held)
    await grant_all(world, 100)
    await send_all(world)
    before = await following.whole()
    master = await lose_a_master(cluster, world, following)
    await cluster.restart(master.id)
    await cluster.settle()
    await send_all(world)
    assert await following.whole() > before
    assert (await audit(world.redis, world.ledger.keys)).clean


async def test_an_archive_that_trusts_masters_is_ahead_and_refused(
    cluster: EmbeddedCluster, world: World, store: Store
) -> None:
    """What the rule is for."""
    following = Following(world, store, ONE_REDIS)
    await grant_all(world, 100)
    await following.whole()
    master = await lose_a_master(cluster, world, following)
    await cluster.restart(master.id)
    await cluster.settle()
    following.archiver.forget()
    with pytest.raises(BadArchive, match=r"ahead|another in Redis"):
        await following.whole()


async def test_an_archive_follows_through_failovers_and_is_trimmed(
    cluster: EmbeddedCluster, world: World, store: Store, held: Confirmation
) -> None:
    following = Following(world, store, held)
    await grant_all(world, 100)
    for partition in (0, 9):
        await send_all(world)
        master = await cluster.owner(slot_of(world.ledger.keys.bases[partition]))
        (replica,) = await cluster.replicas(master)
        following_on = asyncio.create_task(following.whole())
        await cluster.promote(replica.id)
        await cluster.settle()
        await following_on
        await send_all(world)
    whole = await following.whole()
    keys = world.ledger.keys
    assert 0 < (await trim(world.redis, keys, keep=0.0)).items < whole
    await send_all(world)
    async with asyncio.timeout(WAIT):
        while not await following.round():
            await asyncio.sleep(0.05)
    with pytest.raises(ArchiveNeeded):
        await audit(world.redis, keys)
    books = (await world.redis.hget(keys.meta, ARCHIVE)).decode()
    url, nothing = f"sqlite:///{store.engine.url.database}", Path("none")
    report = await audit_archived(world.redis, keys, url, books, nothing, nothing)
    assert report.clean, report.lines()


async def test_an_audit_that_a_failover_takes_something_back_from_begins_again(
    cluster: EmbeddedCluster, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cut has what only a master knew, and the ledger is read of the replica that took over."""
    taken: Callable[..., Any] = audit_module.take_cut  # type: ignore[attr-defined]
    cuts = 0

    async def before_a_failover(*args: Any) -> Any:
        nonlocal cuts
        cuts += 1
        if cuts > 1:
            return await taken(*args)
        master = await cluster.owner(slot_of(world.ledger.keys.bases[0]))
        (replica,) = await cluster.replicas(master)
        await cluster.cut(replica.id)
        await grant_all(world, 7)
        cut = await taken(*args)
        await cluster.kill(master.id)
        await cluster.promote(replica.id, "TAKEOVER")
        await cluster.join(replica.id)
        await cluster.restart(master.id)
        await cluster.settle()
        return cut

    await grant_all(world, 100)
    monkeypatch.setattr(audit_module, "take_cut", before_a_failover)
    report = await audit(world.redis, world.ledger.keys)
    assert (report.problems, cuts) == ([], 2)
