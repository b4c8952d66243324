"""What a cluster has credited and lost the debit of is archived, and named by who has the archive alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from gifting.archive.archiver import Archiver
from gifting.archive.fences import FenceLog, told_fences
from gifting.archive.schema import entries
from gifting.archive.store import Store
from gifting.ledger.confirmed import OneRedis, Unsettled
from tests.support.scene import Scene, a_scene
from tests.support.world import START

pytestmark = pytest.mark.one_redis("books of a cluster are played on one server, whose halves are broken by hand")


@pytest.fixture
async def scene(redis_url: str, redis_client: Any) -> AsyncIterator[Scene]:
    async with a_scene(redis_url) as scene:
        yield scene


async def test_what_is_fenced_is_named_by_who_has_the_archive_alone(scene: Scene, store: Store) -> None:
    fences = FenceLog(scene.redis, scene.keys, store)
    archiver = Archiver(scene.redis, scene.keys, "gifting", store, [fences.follow])
    await archiver.round()
    saved = await scene.save()
    for room in (0, 1, 0):
        await scene.give(room)
    await scene.roll_back(saved)
    await scene.give(0)
    while await archiver.round():
        pass
    await add_credit_of_another(store)
    await scene.redis.xadd(f"{scene.base(0)}:fenced", {"noted": 1})
    assert await fences.follow() == 0, "neither what is there nor what can't be read"
    await scene.redis.delete(f"{scene.base(0)}:fenced")
    source, destination = scene.keys.bases.index(scene.source), scene.number(0)
    async with store.engine.connect() as connection:
        told, unpaid = await told_fences(connection)
    noted = f"partition {destination} has credited numbers 4 to 5 of partition {source}, noted at {START + 1}"
    assert told.startswith(noted)
    assert unpaid == "of that pair 2 gifts have no debit: 2 coins and 1000 milli-diamonds"


async def add_credit_of_another(store: Store) -> None:
    """Whose debit is not known either."""
    async with store.writing() as connection:
        credit = (await connection.execute(select(entries).where(entries.c.kind == "credit"))).first()
        assert credit is not None
        other = {**credit._mapping, "key": bytes(16), "keeper": credit.keeper + 1}
        await store.insert(connection, entries, [tuple(other.values())])


class Unheld(OneRedis):
    async def hold(self) -> None:
        raise Unsettled


async def test_a_note_of_a_fence_that_may_be_lost_is_not_archived(scene: Scene, store: Store) -> None:
    note = {"source": 1, "from": 1, "to": 2, "had": 1, "lost": 2, "at": START}
    await scene.redis.xadd(f"{scene.base(0)}:fenced", note)
    with pytest.raises(Unsettled):
        await FenceLog(scene.redis, scene.keys, store, Unheld()).follow()
    assert await FenceLog(scene.redis, scene.keys, store).follow() == 1


async def test_notes_of_fences_are_archived_from_where_they_were(scene: Scene, store: Store) -> None:
    fences, note = FenceLog(scene.redis, scene.keys, store), {"source": 1, "had": 1, "lost": 2, "at": START}
    for at, name in enumerate(("5-9", "5-10", "6-0", "16-0")):
        await scene.redis.xadd(f"{scene.base(0)}:fenced", note | {"from": at, "to": at}, id=name)
        assert await fences.follow() == 1
    await scene.redis.xadd(f"{scene.base(1)}:fenced", note | {"from": 9, "to": 9}, id="1-0")
    assert await FenceLog(scene.redis, scene.world.ledger.keys, store).follow() == 0, "one Redis has none"
    assert (await fences.follow(), await fences.follow()) == (1, 0)
    async with store.engine.connect() as connection:
        told = await told_fences(connection)
    assert len(told) == 7
