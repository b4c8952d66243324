"""Gifts on a cluster: debited in one partition, credited in another, told once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gifting import errors
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.model.house import PersonChange
from gifting.model.values import Result
from tests.support.clusters import UNGUARDED, own_cluster, told_when_credited
from tests.support.keys import new_key
from tests.support.outboxes import uncredited
from tests.support.shop import COINS, shop_at

pytestmark = pytest.mark.attack


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with own_cluster(settings=UNGUARDED) as cluster:
        with told_when_credited():
            yield cluster


async def test_a_gift_is_told_with_all_that_one_redis_tells(cluster: EmbeddedCluster) -> None:
    async with shop_at(cluster.url) as shop:
        sender, room = shop.senders[0], shop.rooms[3]
        key = new_key()
        assert await shop.ledger.gifts.send(sender, room, "spark", key) == Result(False, 1, COINS - 1, 1, 1)
        assert await shop.ledger.gifts.send(sender, room, "spark", new_key(), 2) == Result(False, 2, COINS - 3, 3, 1)
        await shop.ledger.flush(5)
        assert await shop.ledger.gifts.send(sender, room, "spark", key) == Result(True, 1, COINS - 1, 1, 1)
        with pytest.raises(errors.KeyReused):
            await shop.ledger.gifts.send(sender, room, "spark", key, 2)
        with pytest.raises(errors.InsufficientCoins):
            await shop.ledger.gifts.send(sender, room, "spark", new_key(), COINS)
        assert (await shop.ledger.wallets.read(room.host)).diamonds == 1500
        assert (await shop.ledger.gifts.status(sender.id, key)).seq == 1
        assert (await shop.post(3)).seq == 3
        await shop.check()


async def test_all_senders_to_all_rooms_at_once(cluster: EmbeddedCluster) -> None:
    async with shop_at(cluster.url, batch_max=32) as shop:
        shop.all_to_all(20)
        await shop.everyone()
        results = shop.results()
        assert len(results) == 20 * 8 * 8
        assert not any(result.pending for result in results)
        assert shop.in_order()
        for room in shop.rooms:
            seqs = [shop.told[key].seq for (_, to), keys in shop.sent.items() if to == room.id for key in keys]
            assert sorted(seqs) == list(range(1, 161)), "no seq twice, none missing"
        await shop.ledger.flush(5)
        report = await shop.check()
        assert report.gifts == 1280
        assert await uncredited(shop.ledger) == 0


async def test_what_a_room_and_its_host_refuse(cluster: EmbeddedCluster) -> None:
    async with shop_at(cluster.url) as shop:
        sender, room, other = shop.senders[0], shop.rooms[0], shop.rooms[1]
        await shop.ledger.gifts.send(sender, room, "spark", new_key())
        await shop.ledger.people.decide(room, sender.id, PersonChange(blocked=True))
        with pytest.raises(errors.Blocked):
            await shop.ledger.gifts.send(sender, room, "spark", new_key())
        with pytest.raises(errors.Blocked):
            masked = shop.ledger.gifts.masked(sender, room)
            await shop.ledger.gifts.send(masked, room, "spark", new_key())
        await shop.ledger.gifts.send(shop.senders[1], room, "spark", new_key())
        await shop.ledger.gifts.send(sender, other, "spark", new_key())
        await shop.ledger.rooms.end(other)
        with pytest.raises(errors.RoomEnded):
            await shop.ledger.gifts.send(sender, other, "spark", new_key())
        with pytest.raises(errors.OwnRoom):
            host = shop.ledger.gifts.sender(room.host, {"id": room.host, "name": "", "picture": "", "level": 0})
            await shop.ledger.gifts.send(host, room, "spark", new_key())
        with pytest.raises(errors.RoomNotFound):
            await shop.ledger.gifts.send(sender, room._replace(id="none"), "spark", new_key())
        await shop.check()
