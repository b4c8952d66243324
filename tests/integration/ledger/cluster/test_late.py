"""A gift that was told as pending, and whose credit nobody told its sender's partition: who asks again is told all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from gifting.ledger import lookup
from gifting.ledger.cluster import late
from gifting.ledger.cluster.batcher import ClusterBatcher
from gifting.ledger.cluster.late import Credited
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.model.money import parse_key
from gifting.model.reversals import Given
from gifting.model.values import Result
from tests.support.clusters import be_patient, own_cluster, told_when_credited
from tests.support.shop import Shop, shop_at
from tests.support.waiting import until

pytestmark = [pytest.mark.attack, pytest.mark.timeout(400)]


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with own_cluster() as cluster:
        yield cluster


def batcher_of(shop: Shop) -> ClusterBatcher:
    assert isinstance(shop.ledger.batcher, ClusterBatcher)
    return shop.ledger.batcher


def forget_results(shop: Shop) -> None:
    """As a node that dies before it has told them."""
    for lane in batcher_of(shop)._debits:
        lane.errands.note = lambda parcel, completions: None  # type: ignore[method-assign]


async def again(shop: Shop, sender: int, room: int, key: str) -> Result:
    found = await shop.ledger.gifts.send(shop.senders[sender], shop.rooms[room], "spark", key)
    assert found.duplicate
    return found


async def known(shop: Shop, sender: int, room: int, key: str) -> Result:
    async with asyncio.timeout(20):
        while (found := await again(shop, sender, room, key)).pending:
            await asyncio.sleep(0.05)
    return found


async def test_who_asks_again_is_told_what_was_credited_and_it_is_kept(cluster: EmbeddedCluster) -> None:
    async with shop_at(cluster.url, 4) as shop:
        forget_results(shop)
        shop.all_to_all(3)
        with told_when_credited():
            told = await shop.everyone()
        for (user, room), keys in shop.sent.items():
            for key in keys[1:]:
                found = await known(shop, int(user[1:]), int(room[1:]), key)
                first = told[key]
                assert (found.seq, found.repeat_count, found.streak) == (first.seq, first.repeat_count, first.streak)
        assert len({told[keys[2]].repeat_count for keys in shop.sent.values()}) == 1 < told[keys[2]].repeat_count
        await batcher_of(shop).drain()
        batcher_of(shop).late.use(nothing)
        for (user, room), keys in shop.sent.items():
            assert not (await again(shop, int(user[1:]), int(room[1:]), keys[1])).pending, "it is kept"
            assert (await again(shop, int(user[1:]), int(room[1:]), keys[0])).pending, "nobody has asked for it"
        assert (await shop.check()).gifts == 48


async def nothing(user: str, key: bytes) -> None:
    return None


async def test_what_a_replica_may_not_have_is_not_told(cluster: EmbeddedCluster) -> None:
    """The room's master has credited it, and no replica hears of anything since."""
    async with shop_at(cluster.url, 4, ledger_timeout=6.0) as shop:
        forget_results(shop)
        shop.all_to_all()
        await shop.everyone()
        sender, room = await apart(cluster, shop)
        key = shop.sent[shop.senders[sender].id, shop.rooms[room].id][0]
        (replica,) = await cluster.replicas(await cluster.owner(slot_of(shop.rooms[room].base)))
        await cluster.cut(replica.id)
        await asyncio.sleep(late.SKEW / 1000)
        assert (await again(shop, sender, room, key)).pending
        await cluster.join(replica.id)
        assert not (await known(shop, sender, room, key)).pending


async def test_who_asks_while_the_room_stands_still_is_told_in_time_and_costs_it_nothing(
    cluster: EmbeddedCluster,
) -> None:
    async with shop_at(cluster.url, 4, ledger_timeout=15.0) as shop:
        forget_results(shop)
        shop.all_to_all()
        await shop.everyone()
        sender, room = await apart(cluster, shop)
        (key, *_) = shop.sent[shop.senders[sender].id, shop.rooms[room].id]
        (other, *_) = shop.sent[shop.senders[sender].id, shop.rooms[sender].id]
        master = await cluster.owner(slot_of(shop.rooms[room].base))
        await be_patient(cluster)
        master.pause()
        try:
            began = time.monotonic()
            both = await asyncio.gather(again(shop, sender, room, key), again(shop, sender, sender, other))
            assert [each.pending for each in both] == [True, True]
            assert time.monotonic() - began < shop.ledger.settings.ledger_timeout + late.PATIENCE + 1
        finally:
            master.resume()
        assert not (await known(shop, sender, room, key)).pending


async def apart(cluster: EmbeddedCluster, shop: Shop) -> tuple[int, int]:
    """A sender and a room on two masters, of which the room's is not asked for the time."""
    home = await cluster.owner(slot_of(shop.ledger.keys.bases[0]))
    owners = [await cluster.owner(slot_of(room.base)) for room in shop.rooms]
    payers = [await cluster.owner(slot_of(sender.base)) for sender in shop.senders]
    every = ((sender, room) for sender, one in enumerate(payers) for room, other in enumerate(owners)
             if other is not one and other is not home)  # fmt: skip
    return next(every)


async def test_what_a_failover_may_have_numbered_anew_is_not_told(cluster: EmbeddedCluster) -> None:
    """The ledger says something else behind the write that replicas hold."""
    async with shop_at(cluster.url, 4) as shop:
        ledger = shop.ledger
        forget_results(shop)
        key = shop.send(0, 1)
        await shop.everyone()
        seqs = [1, 2]

        class Replaced(lookup.Lookup):
            async def given(self, user: str, key: bytes) -> Given | None:
                found = await super().given(user, key)
                assert found is not None
                return msgspec.structs.replace(found, seq=seqs.pop(0))

        place = Replaced(ledger.redis, ledger.keys, ledger.settings, ledger.meta)
        find = late.finder(ledger.redis, ledger.keys, place, ledger.rooms)

        async def looked_twice() -> bool:
            seqs[:] = 1, 2
            assert await find("u0", parse_key(key)) is None
            return not seqs

        await until(looked_twice)
        seqs[:] = 1, 1
        assert await find("u0", parse_key(key)) == Credited(1, 1, 1)


async def test_what_is_credited_long_after_it_was_paid_is_found(
    cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By ``gift_status``, which looks about the debit first."""
    async with shop_at(cluster.url, 4) as shop:
        monkeypatch.setattr(lookup, "MARGIN", 1)
        forget_results(shop)
        kept: list[object] = []
        for lane in batcher_of(shop)._credits:
            monkeypatch.setattr(lane, "append", kept.append)
        key = shop.send(0, 1)
        async with asyncio.timeout(20):
            while not kept:
                await asyncio.sleep(0.02)
        assert (await shop.ledger.gifts.status("u0", key)).pending
        await shop.everyone() if key in shop.told else None
        async with asyncio.timeout(30):
            while (found := await shop.ledger.gifts.status("u0", key)).pending:
                await asyncio.sleep(0.05)
        assert found.seq == 1
