"""A destination comes back without credits that no outbox has any more: what is missing is credited from the ledger."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gifting.ledger.audit import audit
from gifting.ledger.cluster.relay import PART
from gifting.ledger.cluster.said import Said
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.mending import mender as mending
from gifting.ledger.mending.mender import Mender
from gifting.model.catalog import load_catalog
from gifting.model.values import Result, RoomRef
from tests.support.clusters import own_cluster, told_when_credited
from tests.support.commands import run_command
from tests.support.lagging import let_one_lag
from tests.support.outboxes import uncredited
from tests.support.relays import keep_nothing
from tests.support.shop import WITHIN, Shop, shop_at
from tests.support.waiting import until

pytestmark = [pytest.mark.attack, pytest.mark.timeout(400)]

ROUNDS = 20
"""Calls that are lost of each sender, more than one call of ``credit`` takes."""


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with own_cluster(replicas=2) as cluster:
        yield cluster


@pytest.fixture
async def shop(cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    """Whose outboxes keep nothing."""
    keep_nothing(monkeypatch)
    async with shop_at(
        cluster.url, redis=cluster.url, durability="replica", ledger_timeout=20.0, streak_window=3.0
    ) as shop:
        yield shop


def a_mender(shop: Shop, cluster: EmbeddedCluster) -> AbstractAsyncContextManager[Mender]:
    return mending.mender(cluster.url, shop.ledger.settings, load_catalog(), 0)


class Lost:
    """What a master and the replica that confirmed it had: gifts of ``senders`` to ``rooms``, all told as credited."""

    def __init__(self, shop: Shop, rooms: list[int], senders: list[int]) -> None:
        self.shop, self.rooms, self.senders = shop, rooms, senders
        self.keys: list[str] = []

    def send(self) -> list[str]:
        return [self.shop.send(sender, room) for sender in self.senders for room in self.rooms]

    @property
    def at(self) -> list[RoomRef]:
        return [self.shop.rooms[room] for room in self.rooms]

    async def diamonds(self) -> Counter[str]:
        found = Counter[str]()
        for room in self.at:
            found[room.host] = int(await self.shop.ledger.redis.hget(f"{room.base}:diamonds", room.host) or 0)
        return found


async def lose(shop: Shop, cluster: EmbeddedCluster) -> Lost:
    """The lagging replica of a master takes over when outboxes keep nothing any more."""
    shop.all_to_all()
    await shop.everyone()
    await shop.ledger.flush(5)
    master = await cluster.owner(slot_of(shop.rooms[0].base))
    rooms = [at for at, room in enumerate(shop.rooms) if await cluster.owner(slot_of(room.base)) is master]
    others = [at for at, one in enumerate(shop.senders) if await cluster.owner(slot_of(one.base)) is not master]
    lagging = await let_one_lag(cluster, slot_of(shop.rooms[0].base))
    lost = Lost(shop, rooms, others)
    for _ in range(ROUNDS):
        lost.keys += lost.send()
        with told_when_credited():
            await shop.everyone()
    assert all(isinstance(shop.told[key], Result) and shop.told[key].seq for key in lost.keys), "told as credited"
    before = await lost.diamonds()
    elsewhere = next(room for room in range(len(shop.rooms)) if room not in rooms)
    for sender in others:
        shop.send(sender, elsewhere)  # the last item stays
    await shop.everyone()
    async with asyncio.timeout(WITHIN):
        while max([await shop.ledger.redis.xlen(f"{shop.senders[one].base}:outbox") for one in others]) > 1:
            await asyncio.sleep(0.05)
    await lagging.takes_over()
    assert await lost.diamonds() < before
    return lost


async def named(shop: Shop) -> None:
    """What waits is known to."""
    await until(lambda: any(" wait, as numbers " in hole.text for hole in shop.relay.holes.values()))


async def all_goes_on(shop: Shop, lost: Lost) -> None:
    """Nothing stands still, what waited is credited, and so is what is new; to the coin."""
    lost.send()
    shop.all_to_all()
    await shop.everyone()
    await shop.ledger.flush(5)
    async with asyncio.timeout(WITHIN):
        while shop.relay.holes or await uncredited(shop.ledger):
            await asyncio.sleep(0.05)
    report = await shop.check()
    assert report.crossed is not None
    assert report.crossed.debited == report.crossed.credited == len(shop.told)
    assert report.crossed.fenced_gifts == 0
    sent = Counter(room for (_, room), keys in shop.sent.items() for _ in keys)
    rate, _ = shop.ledger.settings.diamond_rate()
    assert await lost.diamonds() == {room.host: rate * sent[room.id] for room in lost.at}


async def causes(shop: Shop) -> set[str]:
    report = await audit(shop.ledger.redis, shop.ledger.keys)
    return {group.name for group in report.groups}


async def test_what_is_missing_is_named_credited_once_and_all_goes_on(
    cluster: EmbeddedCluster, shop: Shop, tmp_path: Path
) -> None:
    lost = await lose(shop, cluster)
    behind = lost.send()
    await shop.everyone()
    await named(shop)
    assert await causes(shop) == {"outbox_hole"}
    typed = partial(
        run_command, "partitions", "mend", "--redis", cluster.url, cwd=tmp_path, GIFTING_ALLOW_UNSAFE_REDIS="1"
    )
    asked = await typed()
    assert asked.status == 2
    assert "not_confirmed" in asked.complaints
    assert {key for key in lost.keys if key.replace("-", "") in asked.out} >= set(lost.keys[: -len(behind)])
    assert not any(key.replace("-", "") in asked.out for key in behind)
    assert await causes(shop) == {"outbox_hole"}, "nothing was done"
    done = await typed("--yes")
    assert done.status == 0, done
    assert "gifts are credited" in done.out
    again = await typed("--yes")
    assert (again.status, again.out) == (0, "Nothing is missing between partitions.\n")
    await all_goes_on(shop, lost)


async def test_a_hole_is_named_though_nothing_is_given_behind_it(cluster: EmbeddedCluster, shop: Shop) -> None:
    lost = await lose(shop, cluster)
    async with a_mender(shop, cluster) as mender:
        gaps = await mender.find()
        pairs = {(gap.source, gap.destination): gap.last for gap in gaps}
        await until(lambda: shop.relay.holes.keys() == pairs.keys())
        for (source, destination), last in pairs.items():
            text = f"Gifts of partition {source} to {destination} are missing, up to number {last}: "
            assert shop.relay.holes[source, destination].text.startswith(text)
        assert shop.relay.seconds < WITHIN
        await until(lambda: "are missing" in shop.ledger._vital.health.degraded.get(PART, ""))
        for gap in gaps:
            await mender.mend(gap)
    await until(lambda: not shop.relay.holes)
    await all_goes_on(shop, lost)


async def test_a_run_that_dies_anywhere_is_done_again_beside_gifts_and_another_run(
    cluster: EmbeddedCluster, shop: Shop
) -> None:
    lost = await lose(shop, cluster)
    for dies_after in (1, 2, 3, 4, 6):
        async with a_mender(shop, cluster) as mender:
            gaps = await mender.find()
            mender._said = Dying(mender._said, dies_after)  # type: ignore[assignment]
            with pytest.raises(Died):
                for gap in gaps:
                    await mender.mend(gap)
        lost.send()
        assert await causes(shop) == {"outbox_hole"}, "nothing is credited twice"
    async with a_mender(shop, cluster) as mender, a_mender(shop, cluster) as other:
        gaps, others = await mender.find(), await other.find()
        counts = await asyncio.gather(
            *(one.mend(gap) for one, some in ((mender, gaps), (other, others)) for gap in some)
        )
        gifts = sum(len(gap.gifts()) for gap in gaps)
        assert sum(counts) >= gifts > 0
        assert await mender.find() == []
    await all_goes_on(shop, lost)


class Died(Exception):
    pass


class Dying:
    """Calls, the last of which is heard, and its answer is not."""

    def __init__(self, said: Said, calls: int) -> None:
        self._said, self._left = said, calls

    async def credit(self, *words: Any) -> Any:
        return await self._last(self._said.credit(*words))

    async def debit(self, *words: Any) -> Any:
        return await self._last(self._said.debit(*words))

    async def _last(self, call: Awaitable[Any]) -> Any:
        said = await call
        self._left -= 1
        if not self._left:
            raise Died
        return said
