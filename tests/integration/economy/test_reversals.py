"""A gift is reversed by its key alone, by operators: found in Redis or the archive, once for ever, and told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from redis.asyncio import Redis

from gifting import errors
from gifting.archive.archiver import Archiver
from gifting.archive.gifts import find_gift
from gifting.archive.reading import Archive
from gifting.archive.store import Store, open_store
from gifting.economy.economy import Economy
from gifting.ledger.audit import audit
from gifting.model.packing import unpack
from gifting.model.protection import Protection, write_protection
from gifting.model.reversals import Given, Returned, Taken
from gifting.rulebook import Rulebook
from tests.support.accounts import account_of
from tests.support.keys import new_key, session_keys
from tests.support.server import Server
from tests.support.waiting import WITHIN
from tests.support.world import World


@pytest.fixture
async def economy(world: World) -> AsyncIterator[Economy]:
    world.clock[0] = time.time_ns() // 1_000_000  # the ids of the ledger's items are Redis' own time
    settings = world.ledger.settings
    made = Economy(world.ledger, settings, Rulebook(settings, lambda: None), lambda: ["secret"])
    yield made
    await made.close()
    assert (await audit(world.redis, world.ledger.keys)).clean


async def given(world: World, coins: int = 50) -> str:
    await world.grant("ann", coins)
    key = world.key()
    await world.send(count=coins, key=key)
    return key


@pytest.mark.one_redis("it hears by a subscription to one server")
async def test_by_its_key_it_is_reversed_and_again_gives_the_same(world: World, economy: Economy) -> None:
    key = await given(world)
    async with world.redis.pubsub() as heard:
        await heard.ssubscribe(world.ledger.keys.balances)
        await heard.get_message(timeout=WITHIN)
        done = await economy.reversals.reverse("ann", key, "op", "a mistake", "case")
        told = await heard.get_message(ignore_subscribe_messages=True, timeout=WITHIN)
    assert unpack(told["data"])[:2] == ["ann", 50]
    assert (done.returned, done.taken, done.about) == (Returned(0, 50, 0), Taken(25_000), "case")
    assert (done.given.gift, done.given.count, done.given.room, done.given.host) == ("spark", 50, "r1", "host")
    before = await world.state()
    assert await economy.reversals.reverse("ann", key.upper(), "another", "another reason") == done
    assert await world.state() == before


async def test_what_was_never_given_is_refused_and_changes_nothing(world: World, economy: Economy) -> None:
    key = await given(world)
    before = await world.state()
    for user, wrong, error in (
        ("ann", world.key(), errors.GiftNotFound),
        ("bob", key, errors.GiftNotFound),
        ("ann", "x", errors.BadKey),
    ):
        with pytest.raises(error):
            await economy.reversals.reverse(user, wrong, "op", "a mistake")
    assert await world.state() == before


async def test_one_that_is_half_done_is_finished_by_asking_again(world: World, economy: Economy) -> None:
    key = await given(world)
    found = await economy.reversals.find("ann", UUID(key).bytes)
    half = await world.ledger.reversals.give_back(found, "op", "a mistake", "", world.clock[0])
    assert not half.done_at
    done = await asyncio.gather(*(economy.reversals.reverse("ann", key, "op", "a mistake") for _ in range(3)))
    assert {one.taken for one in done} == {Taken(25_000)}
    assert (await account_of(world.redis, world.base("ann"), "ann")).coins == 50


async def test_one_that_only_the_archive_has_is_found_there(
    world: World, economy: Economy, store: Store, archive_url: str
) -> None:
    key = await given(world)
    expected = await economy.reversals.find("ann", UUID(key).bytes)
    await Archiver(world.redis, world.ledger.keys, "gifting", store).round()
    archive = Archive(archive_url)
    older = partial(find_gift, archive, world.ledger.keys)
    assert await older("ann", UUID(key).bytes) == expected
    assert await older("bob", UUID(key).bytes) is None
    assert await older("ann", UUID(world.key()).bytes) is None
    asked = []

    async def gone(user: str, raw: bytes) -> Given | None:
        raise errors.OutcomeUnknown

    async def asked_for(user: str, raw: bytes) -> Given | None:
        asked.append(user)
        return await older(user, raw)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.ledger.lookup, "given", gone)
        with pytest.raises(errors.OutcomeUnknown):
            await economy.reversals.reverse("ann", key, "op", "a mistake")
        patch.setattr(economy.reversals, "_older", asked_for)
        assert (await economy.reversals.reverse("ann", key, "op", "a mistake")).taken == Taken(25_000)
    assert asked == ["ann"]
    await archive.close()


async def test_without_an_archive_nothing_is_older(redis_client: Redis, world: World) -> None:
    assert await find_gift(Archive(""), world.ledger.keys, "ann", UUID(world.key()).bytes) is None


@pytest.mark.slow
async def test_over_http_operators_only_and_in_their_log(tmp_path: Path, server_redis: str) -> None:
    async with Server(tmp_path / "data", server_redis) as server:
        await server.room("r1")
        operator, viewer = server.caller("op", "operator"), server.caller("ann", "viewer")
        await operator.call("POST", "/v1/users/ann/grants", {"coins": 100, "key": new_key(), "reason": "test"})
        key = new_key()
        await viewer.call("POST", "/v1/rooms/r1/gifts", {"gift": "spark", "count": 40, "key": key})
        path, body = f"/v1/users/ann/gifts/{key}/reverse", {"reason": "a mistake"}
        with pytest.raises(errors.Forbidden):
            await viewer.call("POST", path, body)
        done = await operator.call("POST", path, body)
        assert (done["bonus"], done["taken"], done["by"], done["done"]) == (40, 20_000, "op", True)
        assert await operator.call("POST", path, {"reason": "again"}) == done
        assert (await viewer.call("GET", "/v1/users/ann/wallet"))["coins"] == 100
        with pytest.raises(errors.GiftNotFound):
            await operator.call("POST", f"/v1/users/bob/gifts/{key}/reverse", body)
        assert "reversed a gift" in server.log_text()
    status, said = await server.audit()
    assert status == 0, said


@pytest.mark.slow
async def test_what_was_given_since_a_purchase_is_listed(tmp_path: Path, redis_url: str, redis_client: Redis) -> None:
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    store = open_store(url)
    await store.upgrade()
    await store.close()
    async with Server(tmp_path / "data", redis_url, archive=url, providers="sandbox") as server:
        await server.room("r1")
        await redis_client.hset(
            f"{session_keys(16).base('ann')}:accounts", "ann", write_protection(Protection(asked=1))
        )
        buyer, operator = server.caller("ann", "viewer", region="DE", age=30), server.caller("op", "operator")
        await server.operator.grant_each(["ann"], 100)
        keys = [new_key(), new_key()]
        await buyer.call("POST", "/v1/rooms/r1/gifts", {"gift": "spark", "key": new_key()})
        order = await buyer.call(
            "POST", "/v1/purchases", {"package": "coins-350", "provider": "sandbox", "key": new_key()}
        )
        for key in keys:
            await buyer.call("POST", "/v1/rooms/r1/gifts", {"gift": "spark", "count": 3, "key": key})
        await operator.call("POST", f"/v1/users/ann/gifts/{keys[0]}/reverse", {"reason": "a mistake"})
        path = f"/v1/purchases/{order['id']}/gifts"
        found = await operator.call("GET", path)
        assert [(one["key"], one["coins"], one["reversed"]) for one in found["gifts"]] == [
            (keys[1], 3, False),
            (keys[0], 3, True),
        ]
        first = await operator.call("GET", f"{path}?limit=1")
        second = await operator.call("GET", f"{path}?limit=1&cursor={first['next']}")
        assert first["gifts"] + second["gifts"] == found["gifts"]
        with pytest.raises(errors.Forbidden):
            await buyer.call("GET", path)
