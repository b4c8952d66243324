"""Books of one Redis are moved to a cluster: all of them, exactly, and there they go on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gifting.config import Settings, load
from gifting.ledger.audit import audit
from gifting.ledger.cluster.slots import tags
from gifting.ledger.connect import connect
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.keys import Keys
from gifting.ledger.moving import names
from gifting.ledger.moving.copies import CHUNK, FIELDS, ITEMS_MOST
from gifting.ledger.moving.crossing import TOGETHER, Crossing, Tally, keys_of_books
from gifting.ledger.moving.mover import mover
from tests.support.everything import live_through_everything, shape, table
from tests.support.plain import content, plain, tags_in, with_epochs
from tests.support.shop import shop_at
from tests.support.world import World, a_world

pytestmark = pytest.mark.one_redis("it is moved from there")

PARTITIONS = 4


@pytest.fixture
def cluster(empty_cluster: EmbeddedCluster) -> EmbeddedCluster:
    return empty_cluster


@pytest.fixture
async def there(cluster: EmbeddedCluster) -> AsyncIterator[Any]:
    async with connect(cluster.url, 20.0) as client:
        yield client


def settings(cluster: EmbeddedCluster, **flags: Any) -> Settings:
    return load({"redis": cluster.url, **flags}, environ={})


def quiet(*_: object) -> None:
    """Nobody is told how far it is."""


async def cross(world: World, there: Any) -> Tally:
    here = world.ledger.keys
    return await Crossing(world.redis, here, there, keys_there(here), quiet).run()


@pytest.fixture
async def world(redis_client: Any, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, partitions=PARTITIONS, like_interval=0, diamonds_per_coin="1/3") as made:
        yield made


async def test_every_kind_of_key_is_copied_exactly_whenever_it_is_looked_at(world: World, there: Any) -> None:
    """Each crossing makes of what the one before has left what there is now, and the next has nothing to do."""
    here = world.ledger.keys
    kinds: set[str] = set()

    async def look() -> None:
        await cross(world, there)
        again = await cross(world, there)
        assert again.alike, again
        source = await plain(world.redis, here)
        assert await plain(there, here) == with_epochs(source)
        kinds.update([shape(key.decode()) async for key in keys_of_books(world.redis, here)])

    await world.redis.zadd(f"{here.bases[1]}:peaks", {"1": 2**53 - 1, "2": 0.1})
    await live_through_everything(world, look, halves=False)
    copied = {names.Names(here, here).place(key.encode()) for key in map(unshaped, kinds)}
    assert {place.kind for place in copied if place is not None} == names.COPIED.keys()
    every = [await content(there, key) async for key in there.scan_iter()]
    assert not tags_in(every), "the names of keys are those of the cluster wherever they are"


async def test_what_is_large_goes_in_chunks_and_what_differs_is_mended(world: World, there: Any) -> None:
    here, redis = world.ledger.keys, world.redis
    first, last = here.bases[0], here.bases[-1]
    await redis.hset(f"{first}:references", mapping={f"order {n}": "x" * (n % 70) for n in range(5 * FIELDS)})
    await redis.zadd(f"{first}:banned", {f"user{n}": n / 3 for n in range(5 * FIELDS)})
    pipe = redis.pipeline(transaction=False)
    for number in range(1, 2 * ITEMS_MOST):
        pipe.xadd(f"{last}:ledger", {"e": b"e" * (number % 9)}, id=f"{number}-{number % 3}")
    for number in range(5 * TOGETHER):
        pipe.hset(f"{last}:orders:user{number}", mapping={"v": 1, "o": "x"})
    pipe.xadd(f"{last}:held:long", {"e": bytes(2 * CHUNK)})
    await pipe.execute()
    tally = await cross(world, there)
    assert tally.keys >= 5 * TOGETHER
    assert await plain(there, here) == with_epochs(await plain(redis, here))
    copies = {
        name: names.Names(here, keys_there(here)).name(name.encode())
        for name in (
            f"{first}:references",
            f"{first}:banned",
            f"{last}:ledger",
            f"{last}:orders:user7",
            f"{last}:archived",
        )
    }
    references, banned, ledger, orders, archived = copies.values()
    await there.hset(references, mapping={"order 7": "else", "more": "x"})
    await there.zadd(banned, {"user7": 7, "more": 7})
    await there.xdel(ledger, "500-2")
    await there.xadd(ledger, {"e": "more"})
    await there.pexpire(orders, 10**9)
    await there.set(archived, "7-7")
    await there.hset(f"{keys_there(here).bases[0]}:cases", "nobody's", "x")
    assert not (await cross(world, there)).alike
    assert (await cross(world, there)).alike
    assert await plain(there, here) == with_epochs(await plain(redis, here))


def keys_there(here: Keys) -> Keys:
    return Keys("gifting", len(here.bases), tags(len(here.bases)))


def unshaped(key: str) -> str:
    """One such key, as the table writes them."""
    return key.replace("{pNN}", "gifting:{p00}")


def test_what_is_moved_and_what_is_left_is_what_there_is() -> None:
    """A key that is new in keys.py is moved, or it is said why not."""
    place = names.Names(Keys("gifting", 1), Keys("gifting", 1, tags(1))).place
    cluster_only = {"outbox", "line", "marks", "park/S", "fenced", "waited"}
    known = {shape for shape in table() if shape.partition(":")[2] not in cluster_only}
    moved = {found.kind for key in known if (found := place(unshaped(key).encode())) is not None}
    assert moved == names.COPIED.keys()
    assert len(known) == len(moved) + len(names.LEFT)


async def test_books_go_on_where_they_were_moved_to(
    redis_client: Any, redis_url: str, cluster: EmbeddedCluster
) -> None:
    async with shop_at(redis_url) as shop:
        shop.all_to_all(3)
        await shop.everyone()
        before = await audit(shop.ledger.redis, shop.ledger.keys)
        assert before.clean
    async with mover(redis_url, settings(cluster)) as one:
        assert await one.find()
        tally = await one.move(quiet)
        assert tally.alike and tally.keys
        assert not await one.find()
    async with shop_at(cluster.url, 0) as there:
        after = await there.check()
        assert before.counts() == after.counts()
        there.senders, there.rooms = shop.senders, shop.rooms
        there.all_to_all(1)
        await there.everyone()
        await there.check()
