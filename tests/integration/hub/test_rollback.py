"""Events that were shown and then lost, as a failover may lose them: nobody misses what took their place.

A room is written back to how it was, under another replication id, as a replica that lagged has it when it takes over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from gifting.config import load
from gifting.hub.counters import Counters
from gifting.hub.lane import Shared
from gifting.hub.pacer import Pacer
from gifting.hub.replays import Replays
from gifting.hub.room import Room
from gifting.hub.subscription import Subscription
from gifting.ledger.keys import room_keys
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.wire.batch import RoomBatch
from gifting.wire.close import CloseCode
from tests.support.engine import Engine
from tests.support.keys import new_key
from tests.support.subscriber import Socket
from tests.support.waiting import until

ANOTHER_ID = "f" * 40


class World:
    """A room that knows its epochs, and one of a hub that hears of it when it is told to."""

    def __init__(self, redis: Any, ledger: Ledger, room: Room) -> None:
        self.redis, self.ledger, self.room = redis, ledger, room
        self.keys = room_keys(room.ref.base, room.id)

    async def send(self, count: int = 1, *, heard: bool = True) -> list[RoomBatch]:
        """Gifts, and the batches that told of them."""
        before = int(await self.redis.hget(self.keys[0], "seq"))
        for _ in range(count):
            sender = self.ledger.gifts.sender("ann", {"id": "ann", "name": "Ann", "picture": "", "level": 0})
            await self.ledger.gifts.send(sender, self.room.ref, "spark", new_key())
        made = [batch async for batch in self.ledger.rooms.batches(self.room.ref, before)]
        if heard:
            self.hear(made)
        return made

    def hear(self, batches: list[RoomBatch]) -> None:
        for batch in batches:
            self.room.receive(batch)
        self.flush()

    def flush(self) -> None:
        for lane in self.room.lanes.values():
            lane.flush(0.0)

    async def keep(self) -> dict[str, bytes]:
        return {key: await self.redis.dump(key) for key in self.keys if await self.redis.exists(key)}

    async def lose(self, kept: dict[str, bytes]) -> None:
        """All since then, under another replication id."""
        await self.redis.delete(*self.keys)
        for key, data in kept.items():
            await self.redis.restore(key, 0, data)
        await self.another_lineage()

    async def another_lineage(self) -> None:
        lineage = (await self.redis.hget(self.keys[0], "lineage")).decode()
        await self.redis.hset(self.keys[0], "lineage", ANOTHER_ID + lineage[40:])

    async def settled(self) -> None:
        await until(lambda: self.room._healing is None)
        self.flush()

    def join(self, lane: Any, position: int | None = None) -> Socket:
        socket = Socket()
        at = self.room.history.seq if position is None else position
        self.room.subscribe(Subscription(socket, self.room.id, self.room.lanes[lane], at, True))
        return socket

    async def epochs(self) -> list[tuple[int, int]]:
        return list((await self.ledger.rooms.page(self.room.ref, 0, 1)).lineage.epochs)


@pytest.fixture
async def world(redis_url: str, redis_client: Any) -> AsyncIterator[World]:
    # No streak ends while a test goes on, however long it takes: that would be an event more.
    settings = load({"live_interval": 0.0, "recent_max": 1_000_000, "streak_window": 60.0}, environ={})
    ledger = Ledger(redis_url, settings, load_catalog())
    await ledger.start()
    ref = await ledger.rooms.open("r1", "host", "Host", "")
    if not Engine.cluster:  # there it knows them from the start
        await redis_client.hset(ledger.keys.room("host", "r1"), "lineage", "")
    await ledger.wallets.grant("ann", 1_000_000, new_key(), "test", "op")
    shared = Shared(settings, Pacer(0.05), Replays(settings), Counters())
    room = Room(ref, ledger.rooms, shared, 0.0)
    await room.open()
    yield World(redis_client, ledger, room)
    room.close()
    shared.pacer.stop()
    await shared.replays.stop()
    await ledger.stop()


async def test_a_room_notes_its_epochs_and_its_batches_tell_them(world: World) -> None:
    first = await world.send(2)
    await world.settled()
    (one,) = await world.epochs()
    assert one[1] == 0
    assert {batch.epoch for batch in first} == {one[0]} == {world.room.history.epoch}
    assert one[0] >= time.time() * 1000 - 60_000
    await world.another_lineage()
    second = await world.send(1)
    assert await world.epochs() == [one, (second[0].epoch, 2)]
    assert second[0].epoch > one[0]
    for number in range(20):
        await world.another_lineage()
        await world.send(1)
        assert (await world.epochs())[-1][1] == 3 + number
    assert len(await world.epochs()) == 16


async def test_an_epoch_that_lost_nothing_goes_on(world: World) -> None:
    readers = [world.join("all"), world.join("live")]
    await world.send(2)
    await world.settled()
    await world.another_lineage()
    await world.send(2)
    await world.settled()
    await world.send(1)
    assert [reader.seqs for reader in readers] == [[1, 2, 3, 4, 5], [2, 4, 5]]
    assert not any(reader.closed for reader in readers)


@pytest.mark.parametrize("after", [0, 1, 3, 5])
async def test_who_has_seen_what_is_lost_comes_back_to_a_gap(world: World, after: int) -> None:
    """However much took its place, and whether the node hears of that or looks by itself."""
    readers = [world.join("all"), world.join("live")]
    await world.send(2)
    await world.settled()
    kept = await world.keep()
    await world.send(3)
    seen = world.room.history.epoch
    await world.lose(kept)
    told = await world.send(after, heard=False)
    if after:
        world.hear(told)
    else:
        world.room.heal()
    await world.settled()
    assert [reader.closed for reader in readers] == [CloseCode.RESYNC] * 2
    assert [reader.seqs for reader in readers] == [[1, 2, 3, 4, 5], [2, 5]]
    history = world.room.history
    assert history.seq == 2 + after
    snapshot = await world.room.snapshots.get(0.0)
    assert (snapshot.seq, snapshot.epoch) == (2 + after, history.epoch)
    for seq in (3, 4, 5):
        assert not (await history.log_reaches(seq, snapshot.seq, seen))[0]
    assert (await history.log_reaches(2, snapshot.seq, seen))[0]
    fresh = world.join("all", 2)
    await world.send(1)
    await world.settled()
    assert fresh.seqs == list(range(3, 4 + after))


async def test_what_comes_late_of_a_lost_history_is_not_shown(world: World) -> None:
    await world.send(2)
    await world.settled()
    kept = await world.keep()
    lost = await world.send(2, heard=False)
    await world.lose(kept)
    reader = world.join("all")
    told = await world.send(1)
    await world.settled()
    world.hear(lost)
    await world.settled()
    told += await world.send(1)
    assert reader.seqs == [3, 4]
    assert world.room.history.epoch == told[-1].epoch
    assert reader.closed is None


async def test_a_lost_history_that_is_newer_than_the_one_that_stays_is_not_asked_for_without_end(world: World) -> None:
    """A master took over, told of an event, and was lost with it before the first one wrote again."""
    await world.send(2)
    await world.settled()
    kept = await world.keep()
    await world.another_lineage()
    lost = await world.send(1, heard=False)
    for key, data in kept.items():
        await world.redis.restore(key, 0, data, replace=True)
    reads = 0
    page = world.ledger.rooms.page

    async def counted(*arguments: Any) -> Any:
        nonlocal reads
        reads += 1
        return await page(*arguments)

    world.ledger.rooms.page = counted  # type: ignore[assignment, method-assign]
    reader = world.join("all")
    world.hear(lost)
    await world.settled()
    assert reads == 1
    assert (reader.seqs, world.room.history.seq) == ([], 2)
    await world.another_lineage()
    await world.send(1)
    await world.settled()
    assert (reader.seqs, reader.closed) == ([3], None)


async def test_what_a_slow_reader_lacks_is_not_taken_from_two_histories(world: World) -> None:
    slow = world.join("all")
    await world.send(1)
    await world.settled()
    slow.paused = True
    (subscription,) = world.room.lanes["all"].subscriptions()
    world.room.lanes["all"].hold(subscription)
    kept = await world.keep()
    await world.send(2)
    await world.lose(kept)
    await world.send(2)
    await world.settled()
    slow.paused = False
    subscription.lane.catch_up(subscription)
    assert (slow.seqs, slow.closed) == ([1], CloseCode.RESYNC)


class Held:
    """Answers of the ledger's rooms that wait for a gate."""

    def __init__(self, world: World, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ask = getattr(world.ledger.rooms, name)
        self.answered, self.gate = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr(world.ledger.rooms, name, self._hold)

    async def _hold(self, *arguments: Any) -> Any:
        found = await self._ask(*arguments)
        self.answered.set()
        await self.gate.wait()
        return found


async def test_a_resync_while_a_room_is_opened_is_not_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(world, "snapshot", monkeypatch)
    room = Room(world.room.ref, world.ledger.rooms, world.room._shared, 0.0)
    opening = asyncio.create_task(room.open())
    await held.answered.wait()
    await world.send(1, heard=False)
    room.heal()
    held.gate.set()
    await opening
    await until(lambda: room.history.seq == 1)
    room.close()


async def test_a_resync_while_a_room_heals_is_not_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(world, "page", monkeypatch)
    world.room.heal()
    await held.answered.wait()
    await world.send(1, heard=False)
    world.room.heal()
    held.gate.set()
    await until(lambda: world.room.history.seq == 1)


async def test_frames_say_the_epoch_and_one_redis_says_none(world: World) -> None:
    (batch,) = await world.send(1)
    await world.settled()
    for lane in world.room.lanes.values():
        data = lane.message(1, [batch], [], frozenset()).data
        assert msgspec.msgpack.decode(data)["epoch"] == batch.epoch
        assert msgspec.msgpack.decode(lane.message(1, [], [b"\x80"], frozenset()).data)["epoch"] == batch.epoch
        plain = msgspec.structs.replace(batch, epoch=0)
        assert "epoch" not in msgspec.msgpack.decode(lane.message(1, [plain], [], frozenset()).data)
