"""What was begun on one Redis goes on on the cluster that its books were moved to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gifting.archive.archiver import Archiver
from gifting.archive.audited import audit_archived
from gifting.archive.room_logs import RoomLogs
from gifting.archive.schema import events
from gifting.archive.service import follow
from gifting.archive.store import Store, open_store
from gifting.config import load
from gifting.errors import BooksMoved, KeyExpired, KeyReused
from gifting.ledger.audit import audit
from gifting.ledger.cluster.confirmed import confirmation
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.meta import ARCHIVE
from gifting.ledger.moving.mover import mover
from gifting.ledger.payouts import Hold
from gifting.ledger.trimming import trim
from gifting.model.payout_table import PAYOUT
from tests.support.archive import rows_of
from tests.support.archiver import is_caught_up
from tests.support.orders import anyone, draft, paid
from tests.support.world import STREAK, WINDOW, World, a_world

pytestmark = pytest.mark.one_redis("it is moved from there")


@pytest.fixture
def cluster(empty_cluster: EmbeddedCluster) -> EmbeddedCluster:
    return empty_cluster


FLAGS: dict[str, Any] = {"partitions": 4, "like_interval": 0, "diamonds_per_coin": "1/3"}


async def move(redis_url: str, cluster: EmbeddedCluster) -> None:
    async with mover(redis_url, load({"redis": cluster.url}, environ={})) as one:
        await one.move(lambda *_: None)


async def test_keys_streaks_orders_and_payouts_go_on(
    redis_client: Any, redis_url: str, cluster: EmbeddedCluster
) -> None:
    async with a_world(redis_url, **FLAGS) as world:
        keys = [world.key(), world.key(WINDOW), world.key()]
        await world.grant("ann", 1000, keys[0])
        given = await world.send("ann", "spark", 3, key=keys[1])
        order = await world.ledger.orders.open(draft("bob", world.key()), anyone)
        await world.ledger.payouts.request(replace(PAYOUT, host="host", diamonds=1), Hold(0), lambda _: None)
        held = await world.ledger.payouts.of_host("host")
        before, clock = await audit(world.redis, world.ledger.keys), world.clock[0]
    await move(redis_url, cluster)
    async with a_world(cluster.url, **FLAGS) as there:
        there.clock[0] = clock
        after = await audit(there.redis, there.ledger.keys)
        assert (after.problems, after.counts()) == ([], before.counts())
        assert await there.grant("ann", 1000, keys[0]) == (1000, True)
        again = await there.send("ann", "spark", 3, key=keys[1])
        assert again == replace(given, duplicate=True)
        with pytest.raises(KeyReused):
            await there.send("ann", "spark", 4, key=keys[1])
        assert await there.ledger.payouts.of_host("host") == held
        there.clock[0] += STREAK - 1
        more = await there.send("ann", "spark", 2, key=keys[2])
        assert (more.coins, more.repeat_count, more.seq) == (given.coins - 2, 5, given.seq + 1)
        there.clock[0] += STREAK + 1
        assert (await there.ledger.sweeper.sweep())[0] == 1
        await there.ledger.orders.apply(paid(order))
        assert (await there.ledger.wallets.read("bob")).coins == 120
        there.clock[0] += 3 * WINDOW
        await there.forget()
        assert await there.buckets() == []
        with pytest.raises(KeyExpired):
            await there.send("ann", "spark", 3, key=keys[1])
        assert [event["seq"] for event in await there.log()] == list(range(1, more.seq + 2))
        last = await audit(there.redis, there.ledger.keys)
        assert (last.problems, last.gifts) == ([], before.gifts + 1)


async def test_a_room_has_one_history_on_both(redis_client: Any, redis_url: str, cluster: EmbeddedCluster) -> None:
    """Its log until then is of the first epoch there; the next event begins another behind it."""
    async with a_world(redis_url, **FLAGS) as world:
        await world.grant("ann", 1000)
        seq = (await world.send("ann")).seq
        clock = world.clock[0]
    await move(redis_url, cluster)
    async with a_world(cluster.url, **FLAGS) as there:
        there.clock[0] = clock
        rooms = there.ledger.rooms
        assert (await rooms.snapshot(there.room)).epoch == 1
        lineage = (await rooms.page(there.room, 0, 1000)).lineage
        assert (lineage.epochs, lineage.has(1, seq)) == (((1, 0),), True)
        await there.send("ann")
        page = await rooms.page(there.room, seq, 1000)
        (first, second) = page.lineage.epochs
        assert (first, second[1], second[0] > 10**12) == ((1, 0), seq, True)
        assert page.lineage.keeps(1, seq)
        assert not page.lineage.keeps(1, seq + 1), "there was none of that number in that epoch"
        assert [batch.epoch for batch in page.batches] == [second[0]]


@pytest.mark.parametrize("trimmed", [False, True])
async def test_the_archive_follows_the_books_to_where_they_are(
    redis_client: Any, redis_url: str, cluster: EmbeddedCluster, tmp_path: Path, trimmed: bool
) -> None:
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    store = open_store(url)
    try:
        async with a_world(redis_url, **FLAGS) as world:
            await live(world)
            await archive(world, store)
            if trimmed:
                assert (await trim(world.redis, world.ledger.keys, 0, str(2**45))).items
            await live(world)  # which is not archived there any more
            gifts, clock = 12, world.clock[0]
        await move(redis_url, cluster)
        async with a_world(cluster.url, **FLAGS) as there:
            there.clock[0] = clock + 1
            await live(there)
            await archive(there, store)
            keys = there.ledger.keys
            books = (await there.redis.hget(keys.meta, ARCHIVE)).decode()
            report = (await audit_archived(there.redis, keys, url, books, tmp_path, tmp_path)).report
            assert (report.problems, report.gifts) == ([], gifts + 6)
            seqs = [row[1] for row in await rows_of(store, events)]
            assert seqs == list(range(1, len(seqs) + 1))
            assert (await trim(there.redis, keys, 0, str(2**45))).items
    finally:
        await store.close()


async def test_an_archiver_of_the_old_books_ends(
    redis_client: Any, redis_url: str, cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    """The one that was left running, and one that is started."""
    flags = {"archive": f"sqlite:///{tmp_path / 'archive.db'}", "data_dir": str(tmp_path), "redis": redis_url}
    settings, stop = load(flags, environ={}), asyncio.Event()
    async with a_world(redis_url, **FLAGS) as world:
        await live(world)
        left = asyncio.create_task(follow(settings, redis_url, stop))
        async with asyncio.timeout(60):
            while not await is_caught_up(world.redis, world.ledger.keys):
                await asyncio.sleep(0.05)
    await move(redis_url, cluster)
    for archiver in (left, follow(settings, redis_url, stop)):
        with pytest.raises(BooksMoved):
            await asyncio.wait_for(archiver, 60)


async def live(world: World) -> None:
    for user in ("ann", "bob", "cat"):
        await world.grant(user, 100)
        await world.send(user, count=3)
        await world.send(user)
    world.clock[0] += 1000


async def archive(world: World, store: Store) -> None:
    keys = world.ledger.keys
    held = confirmation(world.redis, keys, 1)
    logs = RoomLogs(world.redis, keys, store, monotonic=lambda: 0.0, confirmation=held)
    archiver = Archiver(world.redis, keys, "gifting", store, [logs.follow], held)
    while await archiver.round():
        pass
    await logs.follow()
