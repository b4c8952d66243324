"""What rooms say before a debit: for how long it counts, and what waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from gifting import errors
from gifting.ledger.cluster import asked
from gifting.ledger.cluster.asked import KEPT, AskedRooms
from gifting.ledger.cluster.batcher import ClusterBatcher
from gifting.ledger.connect import connect
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.model.house import PersonChange
from gifting.model.values import Result
from tests.support.clusters import session_cluster, told_when_credited
from tests.support.keys import new_key
from tests.support.shop import WITHIN, Shop, shop_at
from tests.support.waiting import until

pytestmark = pytest.mark.attack


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedCluster]:
    with session_cluster() as cluster:
        yield cluster


@pytest.fixture
async def shop(cluster: EmbeddedCluster) -> AsyncIterator[Shop]:
    async with connect(cluster.url, 5.0) as redis:
        await redis.flushall()
    async with shop_at(cluster.url) as shop:
        with told_when_credited():
            yield shop


def asked_by(shop: Shop) -> AskedRooms:
    assert isinstance(shop.ledger.batcher, ClusterBatcher)
    return shop.ledger.batcher.rooms


async def give(shop: Shop, sender: int = 0, room: int = 0) -> Result:
    return await shop.ledger.gifts.send(shop.senders[sender], shop.rooms[room], "spark", new_key())


async def last_taken(shop: Shop, room: int, refusal: type[errors.GiftingError]) -> float:
    """Give until it is refused; when the last gift that was taken was sent, 0.0 if none was."""
    last = 0.0
    async with asyncio.timeout(WITHIN):
        while True:
            sent = time.monotonic()
            try:
                await give(shop, 0, room)
            except refusal:
                return last
            last = sent


async def test_what_another_node_decides_holds_within_a_second(shop: Shop, cluster: EmbeddedCluster) -> None:
    async with shop_at(cluster.url, 0) as other:
        with pytest.MonkeyPatch.context() as patch:  # however long it takes to end the room
            for name in ("KEPT", "RENEWED"):
                patch.setattr(asked, name, WITHIN)
            await give(shop)
            await other.ledger.rooms.end(shop.rooms[0])
            taken = await give(shop)
            assert taken.seq > 1, "it was asked before the room had ended: it is paid, so it is logged"
        ended = time.monotonic()
        assert await last_taken(shop, 0, errors.RoomEnded) < ended + KEPT
        await give(shop, 0, 1)
        await other.ledger.people.decide(shop.rooms[1], "u0", PersonChange(blocked=True))
        decided = time.monotonic()
        assert await last_taken(shop, 1, errors.Blocked) < decided + KEPT
        await shop.ledger.flush(5)
        await shop.check()


async def test_what_is_asked_while_it_changes_is_not_kept(shop: Shop) -> None:
    """An answer that was on its way when the room ended here says what was, not what is."""
    rooms = asked_by(shop)
    await give(shop)
    rooms._rooms.clear()
    key = shop.send(0, 0)
    await until(lambda: rooms._asking, pause=0)
    rooms.forget([shop.ledger.keys.room(shop.rooms[0].host, shop.rooms[0].id)])
    assert list(rooms._asking.values()) == [False]
    forgotten = time.monotonic()
    await shop.everyone()
    assert isinstance(shop.told[key], Result)
    assert all(known.asked_at >= forgotten for known in rooms._rooms.values()), "it was asked once more"


async def test_what_is_remembered_has_a_bound(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "ROOMS_MAX", 3)
    monkeypatch.setattr(asked, "PERSONS_MAX", 3)
    await shop.ledger.people.decide(shop.rooms[0], "somebody", PersonChange(blocked=True))
    shop.all_to_all()
    await shop.everyone()
    assert len(shop.results()) == 64
    rooms = asked_by(shop)
    assert len(rooms._rooms) <= 3
    assert len(rooms._persons) <= 3
    assert not rooms._asking
    assert not rooms._wanted


async def test_what_one_sender_gives_is_debited_in_that_order_whatever_rooms_are_known(shop: Shop) -> None:
    """The last coin goes to the gift that was sent first, though its room had to be asked."""
    await give(shop, 0, 1)
    left = (await shop.ledger.wallets.read("u0")).coins
    for _ in range(3):
        asked_by(shop)._rooms.pop(next(iter(asked_by(shop)._rooms)), None)
        await give(shop, 0, 1)
        await give(shop, 0, 1)
        left -= 2
    asked_by(shop)._rooms = {
        keys: known for keys, known in asked_by(shop)._rooms.items() if b"r1" in keys
    }  # r0 is not known
    first, second = list[object](), list[object]()
    sender = shop.senders[0]
    shop.ledger.gifts.submit(sender, shop.rooms[0], "spark", new_key(), left, None, first.append)
    shop.ledger.gifts.submit(sender, shop.rooms[1], "spark", new_key(), 1, None, second.append)
    await shop.ledger.batcher.drain()
    assert isinstance(first[0], Result)
    assert first[0].coins == 0
    assert isinstance(second[0], errors.InsufficientCoins)
