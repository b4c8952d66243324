"""Whose guardian somebody is: the wards' records decide, and the guardian's list finds them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from gifting import errors
from gifting.ledger.protections import Rule
from gifting.ledger.wards import WARDS_MAX, Ward
from gifting.model.limits import accept, invite, unlink
from gifting.model.protection import Protection
from tests.support.world import World, a_world


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url) as made:
        yield made


async def link(world: World, user: str, rule: Rule) -> Protection:
    world.clock[0] += 1
    return await world.ledger.wards.link(user, rule, what="guardian", value="a test", by=user)


async def ask(world: World, user: str, guardian: str) -> Protection:
    return await link(world, user, lambda record, _: invite(record, guardian))


async def agree(world: World, user: str, guardian: str) -> Protection:
    return await link(world, user, lambda record, _: accept(record, guardian))


async def listed(world: World, guardian: str) -> set[bytes]:
    """What the list has, borne out or not."""
    return set(await world.ledger.redis.zrange(world.ledger.keys.wards(guardian), 0, -1))


async def test_who_asks_is_listed_until_it_is_over(world: World) -> None:
    of = world.ledger.wards.of
    assert await of("mum") == []
    await ask(world, "bea", "mum")
    await ask(world, "ann", "mum")
    await agree(world, "ann", "mum")
    assert await of("mum") == [Ward("ann", True), Ward("bea", False)]
    await ask(world, "bea", "dad")
    await link(world, "ann", lambda record, _: unlink(record))
    assert (await listed(world, "mum"), await listed(world, "dad")) == (set(), {b"bea"})
    assert (await of("mum"), await of("dad")) == ([], [Ward("bea", False)])


async def test_what_is_refused_lists_nobody(world: World) -> None:
    await ask(world, "ann", "mum")
    await agree(world, "ann", "mum")
    with pytest.raises(errors.Conflict):
        await ask(world, "ann", "dad")
    with pytest.raises(errors.Forbidden):
        await agree(world, "bea", "dad")
    assert await listed(world, "dad") == set()


async def test_a_list_that_was_not_written_is_by_doing_it_again(world: World) -> None:
    """A node was killed between the record and the list."""
    for step, accepted in ((ask, False), (agree, True)):
        await step(world, "ann", "mum")
        await world.ledger.redis.delete(world.ledger.keys.wards("mum"))
        assert await world.ledger.wards.of("mum") == []
        await step(world, "ann", "mum")
        assert await world.ledger.wards.of("mum") == [Ward("ann", accepted)]


async def test_what_is_so_no_longer_is_struck_off_unless_it_was_noted_meanwhile(world: World) -> None:
    key, now = world.ledger.keys.wards("mum"), world.clock[0]
    await world.ledger.redis.zadd(key, {"bea": now - 1, "cy": now, "dov": now + 1})
    assert await world.ledger.wards.of("mum") == []
    assert await listed(world, "mum") == {b"cy", b"dov"}


async def test_one_is_asked_by_so_many_only(world: World) -> None:
    users = [f"u{number}" for number in range(WARDS_MAX)]
    for user in users:
        await world.ledger.wards.check_room("mum")
        await ask(world, user, "mum")
    with pytest.raises(errors.ListFull):
        await world.ledger.wards.check_room("mum")
    await world.ledger.wards.check_room("dad")
    await world.ledger.protections.change(
        "u7", lambda record, _: unlink(record), what="guardian", value="", by="u7"
    )  # and the node was killed then
    world.clock[0] += 1
    await world.ledger.wards.check_room("mum")
    assert b"u7" not in await listed(world, "mum")


async def test_asked_by_many_at_once_each_is_on_the_list_of_the_last(world: World) -> None:
    users = [f"u{number}" for number in range(20)]

    async def change_mind(user: str) -> None:
        for guardian in ("dad", "mum", "dad", "mum"):
            await ask(world, user, guardian)

    await asyncio.gather(*map(change_mind, users))
    assert {ward.user for ward in await world.ledger.wards.of("mum")} == set(users)
    assert await world.ledger.wards.of("dad") == []


async def test_a_user_who_asks_two_at_once_is_on_the_list_of_one(world: World) -> None:
    for _ in range(10):
        await asyncio.gather(*(ask(world, "ann", guardian) for guardian in ("mum", "dad", "gran")))
        chosen = (await world.ledger.protections.read("ann")).invited
        found = {guardian: await world.ledger.wards.of(guardian) for guardian in ("mum", "dad", "gran")}
        assert {guardian for guardian, wards in found.items() if wards} == {chosen}
