"""The hub's promises to subscribers that are behind, on a real ledger; only the socket is a recorder."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gifting import errors
from gifting.config import load
from gifting.hub import room as rooms
from gifting.hub.counters import Counters
from gifting.hub.hub import Hub
from gifting.hub.lane import Shared
from gifting.hub.pacer import Pacer
from gifting.hub.replays import Replays
from gifting.hub.room import Room
from gifting.hub.subscription import Subscription
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.model.events import encode_post
from gifting.model.money import make_key
from gifting.model.packing import unpack
from gifting.wire.batch import Page
from gifting.wire.close import CloseCode
from gifting.wire.codec import MSGPACK
from tests.support.subscriber import Socket


class World:
    """A ledger under a clock of ours, and one room of a hub that is fed from its log."""

    def __init__(self, ledger: Ledger, room: Room, clock: list[int]) -> None:
        self.ledger = ledger
        self.room = room
        self._clock = clock

    async def send(self, user: str, gift: str) -> None:
        sender = self.ledger.gifts.sender(user, {"id": user, "name": user, "picture": "", "level": 0})
        key = make_key(self._clock[0], os.urandom(10))
        await self.ledger.gifts.send(sender, await self.ledger.rooms.find("r1"), gift, key)

    async def end_streaks(self) -> None:
        self._clock[0] += 3001
        await self.ledger.sweeper.sweep()

    async def feed(self) -> None:
        """What pub/sub would bring, and one pass of every lane."""
        async for batch in self.ledger.rooms.batches(await self.ledger.rooms.find("r1"), self.room.history.seq):
            self.room.receive(batch)
        for lane in self.room.lanes.values():
            lane.flush(0.0)

    def join(self, lane: str, position: int = 0, socket: Socket | None = None) -> tuple[Socket, Subscription]:
        socket = socket or Socket()
        subscription = Subscription(socket, self.room.id, self.room.lanes[lane], position, True)  # type: ignore[index]
        self.room.subscribe(subscription)
        return socket, subscription


@pytest.fixture
async def world(redis_url: str, redis_client: Any) -> AsyncIterator[World]:
    clock = [int(time.time() * 1000)]
    settings = load({"live_top": 1, "live_interval": 0.0, "recent_max": 4096}, environ={})
    ledger = Ledger(redis_url, settings, load_catalog(), lambda: str(clock[0]))
    await ledger.start()
    ref = await ledger.rooms.open("r1", "host", "Host", "")
    for user in ("ann", "bob", "cleo"):
        await ledger.wallets.grant(user, 1_000_000, make_key(clock[0], os.urandom(10)), "test", "op")
    shared = Shared(settings, Pacer(0.05), Replays(settings), Counters())
    room = Room(ref, ledger.rooms, shared, 0.0)
    await room.open()
    yield World(ledger, room, clock)
    room.close()
    shared.pacer.stop()
    await shared.replays.stop()
    await ledger.stop()


class Deaf:
    """A source that hears of no partition, as while its Redis does not answer; ``asked`` once it should."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.parted = False

    async def watch(self, base: str) -> None:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.parted = True

    def unwatch(self, base: str) -> None:
        raise AssertionError("it was not watched")


async def test_a_room_is_not_opened_any_more_at_the_end(world: World) -> None:
    hub = Hub(world.ledger.rooms, load(environ={}), "test")
    hub.source = source = Deaf()
    joining = asyncio.create_task(hub.open_room("r1"))
    await source.asked.wait()
    await hub.stop()
    assert source.parted
    with pytest.raises(asyncio.CancelledError):
        await joining
    assert not hub.rooms


async def until_level(world: World, subscription: Subscription) -> None:
    """Until a subscriber that catches up from the log has done so."""
    async with asyncio.timeout(10):
        while subscription.loading:
            await asyncio.sleep(0)


async def test_a_full_socket_is_skipped_and_then_gets_exactly_what_it_missed(world: World) -> None:
    slow, subscription = world.join("all")
    quick, _ = world.join("all")
    await world.send("ann", "spark")
    await world.feed()
    slow.paused = True
    subscription.lane.hold(subscription)
    for _ in range(5):
        await world.send("ann", "spark")
        await world.feed()
    assert (slow.seqs, quick.seqs) == ([1], [1, 2, 3, 4, 5, 6])
    slow.paused = False
    subscription.lane.catch_up(subscription)
    assert slow.seqs == quick.seqs
    await world.send("ann", "spark")
    await world.feed()
    assert slow.seqs == quick.seqs == list(range(1, 8))


async def test_a_socket_that_is_filled_by_a_frame_is_skipped_from_then_on(world: World) -> None:
    class Narrow(Socket):
        def write_frame(self, data: bytes) -> None:
            super().write_frame(data)
            self.paused = True
            subscription.lane.hold(subscription)  # as a transport says it: while it is being written to

    socket, subscription = world.join("all", socket=Narrow())
    for _ in range(3):
        await world.send("ann", "spark")
        await world.feed()
    assert socket.seqs == [1]
    socket.paused = False
    subscription.lane.catch_up(subscription)
    assert socket.seqs == [1, 2, 3]


async def test_nothing_is_made_for_a_lane_that_all_have_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _, subscription = world.join("all")
    await world.send("ann", "spark")
    await world.feed()
    world.room.unsubscribe(subscription, 0.0)
    lane, made = world.room.lanes["all"], []
    monkeypatch.setattr(lane, "message", lambda *about: made.append(about))
    await world.send("ann", "spark")
    await world.feed()
    assert not made
    assert lane.position == world.room.history.seq == 2


async def test_what_memory_no_longer_has_comes_from_the_log(world: World) -> None:
    slow, subscription = world.join("all")
    subscription.lane.hold(subscription)
    slow.paused = True
    for _ in range(40):  # recent_max has room for some ten
        await world.send("ann", "spark")
        await world.feed()
    slow.paused = False
    subscription.lane.catch_up(subscription)
    await until_level(world, subscription)
    assert slow.seqs == list(range(1, 41))
    assert slow.closed is None


async def test_one_that_leaves_while_its_past_is_read_is_gone(world: World) -> None:
    for _ in range(40):
        await world.send("ann", "spark")
        await world.feed()
    left, subscription = world.join("all")
    assert subscription.loading
    world.room.unsubscribe(subscription, 0.0)
    stays, _ = world.join("all", 40)
    await until_level(world, subscription)
    await world.send("ann", "spark")
    await world.feed()
    assert (left.seqs, left.closed, stays.seqs) == ([], None, [41])
    assert len(world.room) == 1


async def test_a_past_that_is_gone_closes_with_a_code_that_says_come_back(world: World) -> None:
    for _ in range(40):
        await world.send("ann", "spark")
    await world.feed()
    await world.ledger.redis.delete(world.ledger.keys.log("host", "r1"))
    world.room.history._recent.clear()
    slow, subscription = world.join("all", 3)
    await until_level(world, subscription)
    assert slow.closed is CloseCode.RESYNC


@pytest.mark.parametrize("behind", [False, True])
async def test_lane_live_ends_every_streak_that_it_has_shown(world: World, behind: bool) -> None:
    """Also to one that was behind when it ended, and though dearer gifts fill the frame."""
    reader, subscription = world.join("live")
    await world.send("ann", "spark")
    await world.feed()
    shown = {event["streak_id"] for event in reader.events if event["type"] == "gift"}
    assert shown == {"r1.1"}
    if behind:
        reader.paused = True
        subscription.lane.hold(subscription)
    await world.send("bob", "crown")
    await world.end_streaks()
    await world.send("cleo", "galaxy")
    await world.feed()
    if behind:
        assert [event["streak_id"] for event in reader.events if event["type"] == "gift"] == ["r1.1"]
        reader.paused = False
        subscription.lane.catch_up(subscription)
    ended = {event["streak_id"] for event in reader.events if event.get("repeat_end")}
    assert "r1.1" in ended


async def test_one_that_comes_back_sees_the_end_of_what_it_was_shown_meanwhile(world: World) -> None:
    """Its catch-up shows it a streak that the others' frame left out; that streak's end must reach it."""
    other, _ = world.join("live")
    await world.send("ann", "spark")
    await world.send("bob", "crown")
    await world.feed()
    assert [event["user"]["id"] for event in other.events if event["type"] == "gift"] == ["bob"]
    late, _ = world.join("live", 0)
    late_shown = {event["streak_id"] for event in late.events if event.get("repeat_end") is False}
    await world.end_streaks()
    await world.send("cleo", "galaxy")
    await world.feed()
    assert late_shown <= {event["streak_id"] for event in late.events if event.get("repeat_end")}


async def test_what_a_lane_remembers_to_end_is_only_what_is_open(world: World) -> None:
    reader, subscription = world.join("live")
    reader.paused = True
    subscription.lane.hold(subscription)
    for user in ("ann", "bob", "cleo"):
        await world.send(user, "spark")
        await world.feed()
    await world.end_streaks()
    await world.feed()
    reader.paused = False
    subscription.lane.catch_up(subscription)
    assert world.room.lanes["live"]._shown == frozenset()


async def test_a_log_that_cannot_be_read_is_tried_until_it_can(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "HEAL_PAUSE", 0.0)
    reader, _ = world.join("all")
    await world.send("ann", "spark")
    read, failures = world.ledger.rooms.page, iter(range(3))

    async def fail_at_first(*args: Any) -> Page:
        if next(failures, None) is not None:
            raise errors.OutcomeUnknown
        return await read(*args)

    monkeypatch.setattr(world.ledger.rooms, "page", fail_at_first)
    world.room.heal()
    async with asyncio.timeout(10):
        while not reader.seqs:
            await asyncio.sleep(0)
    assert reader.seqs == [1]


async def test_deliveries_are_counted_as_they_are_made(world: World) -> None:
    world.join("all")
    world.join("all")
    await world.send("ann", "spark")
    await world.feed()
    world.join("all")
    made = world.room._shared.counters
    # Two readers got a frame with the gift and the rank, the third, in its own, the gift.
    assert (made.frames, made.events) == (3, 5)


async def test_more_than_can_be_held_is_read_from_the_log(world: World) -> None:
    reader, _ = world.join("all")
    for _ in range(40):
        await world.send("ann", "spark")
    batches = [batch async for batch in world.ledger.rooms.batches(await world.ledger.rooms.find("r1"), 0)]
    for batch in batches[1:]:  # the first is lost, the rest come while the gap is being filled
        world.room.receive(batch)
    held = sum(len(batch.events) for batch in world.room._held)
    assert (
        held
        <= world.room._shared.settings.recent_max + len(batches[0].events)
        < sum(len(batch.events) for batch in batches)
    )
    async with asyncio.timeout(10):
        while len(reader.seqs) < 40:
            await asyncio.sleep(0)
    assert reader.seqs == list(range(1, 41))


async def test_each_is_told_of_the_snapshot_it_joins_with(world: World) -> None:
    """One who waits for the log joins with an older snapshot than those who come meanwhile."""
    older = await world.room.snapshots.get(0.0)
    await world.send("ann", "spark")
    newer = await world.room.snapshots.get(1.0)
    assert (older.seq, newer.seq) == (0, 1)
    for found in (older, newer, newer, older, newer):
        assert unpack(bytes(world.room.snapshots.encode(found, MSGPACK)))["seq"] == found.seq


async def test_one_that_joined_ahead_of_the_feed_comes_back_without_a_gap(world: World) -> None:
    """The feed broke; who joined then has a snapshot that is newer than what the node has heard."""
    await world.send("ann", "spark")
    newest = (await world.room.snapshots.get(0.0)).seq
    assert (world.room.history.seq, newest) == (0, 1)
    assert world.room.history.reaches(1, newest)
    assert not world.room.history.reaches(2, newest)
    socket, _ = world.join("all", 1)
    await world.send("ann", "spark")
    await world.feed()
    assert socket.seqs == [2]


async def test_a_lane_that_fails_fails_alone_and_leaves_no_hole(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Its readers come back for what they lack; the other lane, which is flushed after it, has its turn."""
    lost, subscription = world.join("all")
    fed, _ = world.join("live")

    def fail(data: bytes) -> None:
        raise RuntimeError("no frame")

    for group in world.room.lanes["all"]._sharing.values():
        group[subscription] = fail
    await world.send("ann", "spark")
    async for batch in world.ledger.rooms.batches(await world.ledger.rooms.find("r1"), 0):
        world.room.receive(batch)
    async with asyncio.timeout(10):
        while not fed.seqs:
            await asyncio.sleep(0)
    assert (lost.closed, fed.closed) == (CloseCode.RESYNC, None)
    assert "no frame" in caplog.text


async def test_what_is_removed_is_given_to_nobody_any_more(world: World) -> None:
    """Neither what is at hand for who comes late, nor what has come and has not gone out yet."""

    async def say(text: str) -> int:
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        event = encode_post("comment", world.ledger.gifts.sender("ann", {"id": "ann"}).user, text)
        world.ledger.free.post(world.room.ref, event, waiting.set_result, user="ann", spoken=True)
        return int((await waiting).seq)

    def told(socket: Socket) -> list[str]:
        return [event.get("text", event["type"]) for event in socket.events]

    quick, _ = world.join("all")
    live, _ = world.join("live")
    first = await say("rude")
    await world.feed()
    for seq in (first, await say("ruder")):
        await world.ledger.comments.remove(world.room.ref, seq)
    published, _ = await world.ledger.rooms.log_page(world.room.ref, first, 4096)
    for batch in published:  # as they come by pub/sub, all before the lanes write
        world.room.receive(batch)
    await world.feed()
    late, _ = world.join("all")
    assert told(quick) == ["rude", "", "comment_removed", "comment_removed"]
    assert told(live) == ["rude", "", "comment_removed", "comment_removed"]
    assert told(late) == ["", "", "comment_removed", "comment_removed"]
