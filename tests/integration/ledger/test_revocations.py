"""Revocations in the ledger: which there may be, how long they last, how nodes learn of them."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from gifting import config, errors
from gifting.ledger import revocations
from gifting.ledger.ledger import Ledger
from gifting.ledger.overlays import ROOMS_OF_A_HOST
from gifting.ledger.revocations import CUTOFF_LIFE, KEPT_BEYOND
from gifting.model.catalog import load_catalog
from gifting.model.values import RoomRef
from gifting.wire.tokens import Identity, make_token_id

ROOM_MAX = 5
DAY = 86_400.0


class World:
    """Any number of nodes on one Redis, whose clock (seconds) is that of the test."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self.now = float(int(time.time()))
        self._url = url
        self._stack = stack

    async def node(self, **settings: Any) -> Ledger:
        settings = {"room_overlay_tokens": ROOM_MAX, **settings}
        made = Ledger(self._url, config.load(settings, {}), load_catalog(""), lambda: str(round(self.now * 1000)))
        self._stack.push_async_callback(made.stop)
        await made.start()
        return made

    def identity(self, token_id: str = "some", user: str = "ann", issued: float = 0.0) -> Identity:
        return Identity(user, "viewer", token_id, self.now + DAY, issued=issued or self.now)

    async def overlay(self, ledger: Ledger, room: RoomRef, ttl: float = DAY) -> str:
        token_id = make_token_id(room.id)
        await ledger.overlays.note(room, token_id, ttl)
        return token_id


@pytest.fixture
async def world(redis_url: str, redis_client: Redis) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        yield World(redis_url, stack)


async def test_one_token_is_revoked_here_at_once_and_there_when_it_asks(world: World) -> None:
    one, two = await world.node(), await world.node()
    await one.revocations.revoke_token("x")
    assert one.revocations.covers(world.identity("x"))
    assert not one.revocations.covers(world.identity("y"))
    assert not two.revocations.covers(world.identity("x"))
    assert await two.revocations.sync()
    assert two.revocations.covers(world.identity("x"))
    assert not await two.revocations.sync()
    assert (await world.node()).revocations.covers(world.identity("x")), "a node that has just started knows"


async def test_a_user_is_revoked_up_to_now(world: World) -> None:
    one, two = await world.node(), await world.node()
    world.now += 0.123
    assert await one.revocations.revoke_user("ann") == round(world.now, 3)
    await two.revocations.sync()
    for node in (one, two):
        assert node.revocations.covers(world.identity(issued=round(world.now, 3)))
        assert node.revocations.covers(world.identity(issued=world.now - 365 * DAY))
        assert not node.revocations.covers(world.identity(issued=world.now + 0.001))
        assert not node.revocations.covers(world.identity(user="bob", issued=world.now - DAY))
    world.now -= 100
    await one.revocations.revoke_user("ann")  # by a clock that went back
    assert (await world.node()).revocations.covers(world.identity(issued=world.now + 99))


async def test_everybody_is_revoked_up_to_now_and_in_one_entry(world: World, redis_client: Redis) -> None:
    one, two = await world.node(), await world.node()
    for number in range(30):
        await one.revocations.revoke_user(f"u{number}")
    await one.revocations.revoke_token("x")
    world.now += 1
    await one.revocations.revoke_everybody()
    await two.revocations.sync()
    world.now += 1
    for node in (one, two, await world.node()):
        for user in ("ann", "u7"):
            assert node.revocations.covers(world.identity(user=user, issued=world.now - 1.1))
            assert not node.revocations.covers(world.identity(user=user))
        assert node.revocations.covers(world.identity("x"))
    assert await redis_client.zcard(one.keys.revoked("u")) == 1
    assert await redis_client.zcard(one.keys.revisions) == 3, "everybody, x and the last number"


async def test_a_revocation_outlives_every_token_it_is_of(world: World, redis_client: Redis) -> None:
    node = await world.node(token_ttl_max=DAY)
    room = await node.rooms.open("r1", "host", "", "")
    overlay = await world.overlay(node, room, ttl=100)
    await node.revocations.revoke_overlay(overlay, await node.overlays.expires(room, overlay))
    await node.revocations.revoke_token("x")
    await node.revocations.revoke_user("ann")
    begin = world.now

    async def known(age: float) -> list[bool]:
        world.now = begin + age
        await node.revocations.revoke_token("another")  # which forgets what is over, of its kind
        await node.revocations.revoke_overlay("another", world.now + DAY)
        fresh = (await world.node()).revocations
        ids = [world.identity(overlay), world.identity("x"), world.identity(issued=begin - 1)]
        return [fresh.covers(one) for one in ids]

    for age, expected in (
        (99 + KEPT_BEYOND, [True, True, True]),
        (DAY, [False, True, True]),
        (DAY + KEPT_BEYOND + 299, [False, True, True]),
        (DAY + KEPT_BEYOND + 301, [False, False, True]),
        (CUTOFF_LIFE - 1, [False, False, True]),
    ):
        assert await known(age) == expected, age
    world.now = begin + CUTOFF_LIFE + 1
    await node.revocations.revoke_user("bob")
    assert await redis_client.zscore(node.keys.revoked("u"), "ann") is None


async def test_what_one_node_learns_is_forgotten_by_redis_clock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own clock says nothing: a node whose clock is a year ahead forgets nothing."""
    node = await world.node()
    await node.revocations.revoke_token("x")
    monkeypatch.setattr(revocations, "PRUNE_EVERY", 0.0)
    monkeypatch.setattr(time, "time", lambda: world.now + 1000 * DAY)
    await node.revocations.sync()
    assert node.revocations.covers(world.identity("x"))
    node.revocations._learn("t", "old", world.now - 10)
    await node.revocations.sync()
    assert not node.revocations.covers(world.identity("old"))


async def test_nothing_is_missed_over_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocations, "PAGE", 3)
    one, two = await world.node(), await world.node()
    made: list[str] = []
    for count in (1, 2, 3, 4, 5, 6, 7, 11):
        for _ in range(count):
            made.append(f"t{len(made)}")
            await one.revocations.revoke_token(made[-1])
        await two.revocations.sync()
        fresh = await world.node()
        for node, name in itertools.product((one, two, fresh), made):
            assert node.revocations.covers(world.identity(name))


async def test_a_redis_that_lost_data_is_read_from_its_beginning(world: World, redis_client: Redis) -> None:
    one, two = await world.node(), await world.node()
    for number in range(5):
        await one.revocations.revoke_token(f"t{number}")
    await two.revocations.sync()
    await redis_client.delete(one.keys.revisions, one.keys.revoked("t"))
    await one.revocations.revoke_token("new")
    await two.revocations.sync()
    assert all(two.revocations.covers(world.identity(name)) for name in ("t0", "t4", "new"))


async def test_a_room_revokes_what_it_issued_and_nothing_else(world: World) -> None:
    node = await world.node()
    rooms = [await node.rooms.open(f"r{number}", "host", "", "") for number in range(2)]
    others = await node.rooms.open("r9", "somebody", "", "")
    token_id = await world.overlay(node, rooms[0])
    assert await node.overlays.expires(rooms[0], token_id) == world.now + DAY
    for room, name in ((rooms[1], token_id), (others, token_id), (rooms[0], "r0~made-up"), (rooms[0], "made-up")):
        with pytest.raises(errors.NotFound):
            await node.overlays.expires(room, name)
    world.now += DAY + KEPT_BEYOND - 1  # a clock that was ahead for so long forgets none
    await world.overlay(node, rooms[0])
    assert await node.overlays.expires(rooms[0], token_id)


@pytest.mark.attack
async def test_a_creator_fills_nothing_but_what_is_its_own(world: World, redis_client: Redis) -> None:
    """Issue and revoke in a loop, in one room and in many: what is kept is bounded, and others go on."""
    node = await world.node(creator_rooms=ROOMS_OF_A_HOST + 2)
    kept = 0
    for number in range(ROOMS_OF_A_HOST + 2):
        room = await node.rooms.open(f"r{number}", "host", "", "")
        for _ in range(ROOM_MAX + 2):
            try:
                token_id = await world.overlay(node, room)
            except errors.TooManyTokens:
                continue
            kept += 1
            for _ in range(3):
                await node.revocations.revoke_overlay(token_id, await node.overlays.expires(room, token_id))
    assert kept == ROOM_MAX * ROOMS_OF_A_HOST
    assert await redis_client.zcard(node.keys.revoked("o")) == kept
    assert await redis_client.zcard(node.keys.revisions) == kept + 1
    other = await node.rooms.open("s1", "another", "", "")
    await world.overlay(node, other)
    world.now += DAY + KEPT_BEYOND + 1
    await world.overlay(node, await node.rooms.find("r0"))
    await node.revocations.revoke_token("x")
    assert await redis_client.zcard(node.keys.overlays("host")) == 1


@pytest.mark.attack
async def test_whoever_filled_a_hosts_list_does_not_lock_it(world: World) -> None:
    node = await world.node()
    room = await node.rooms.open("r1", "host", "", "")
    with pytest.raises(errors.TooManyTokens):
        for _ in range(ROOM_MAX + 1):
            await world.overlay(node, room, ttl=366 * DAY)
    await node.revocations.revoke_user("host")
    await node.overlays.forget("host")
    await world.overlay(node, room)


@pytest.mark.attack
@pytest.mark.parametrize("full", ["t", "u", "o"])
async def test_a_full_list_leaves_a_way_to_revoke(world: World, monkeypatch: pytest.MonkeyPatch, full: str) -> None:
    monkeypatch.setattr(revocations, "REVOKED_MAX", 3)
    monkeypatch.setattr(revocations, "OVERLAYS_MAX", 3)
    node = await world.node()
    revoke: dict[str, Callable[[str], Any]] = {
        "t": node.revocations.revoke_token,
        "u": node.revocations.revoke_user,
        "o": lambda name: node.revocations.revoke_overlay(name, world.now + DAY),
    }
    for number in range(3):
        await revoke[full](f"n{number}")
    with pytest.raises(errors.TooManyTokens):
        await revoke[full]("one-more")
    await revoke[full]("n1")  # again is no more
    for kind in revoke.keys() - {full}:
        await revoke[kind]("n0")
    world.now += 1
    await node.revocations.revoke_everybody()
    assert node.revocations.covers(world.identity(issued=world.now - 0.5))
    if full == "u":
        await revoke["u"]("one-more")


@pytest.mark.attack
async def test_a_redis_without_memory_still_revokes(world: World, redis_client: Redis) -> None:
    node = await world.node()
    await redis_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(errors.GiftingError):
            await node.rooms.open("r1", "host", "", "")
        await node.revocations.revoke_token("x")
        await node.revocations.revoke_user("ann")
    finally:
        await redis_client.config_set("maxmemory", 0)
    assert (await world.node()).revocations.covers(world.identity("x"))


@pytest.mark.attack
async def test_a_flood_of_revocations_is_learnt_in_a_moment(world: World) -> None:
    one, two = await world.node(), await world.node()
    for number in range(3000):
        await one.revocations.revoke_token(f"{number:0128}")
    begin = time.thread_time()
    await two.revocations.sync()
    assert len(two.revocations) == 3000
    assert time.thread_time() - begin < 2
    begin = time.thread_time()
    await two.revocations.sync()
    assert time.thread_time() - begin < 0.2
