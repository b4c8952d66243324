"""What nodes have debited and left is credited by relays: of any node, side by side, and killed at any moment."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest
from redis.exceptions import RedisError

from gifting.health import Health
from gifting.ledger.cluster import credits, relay
from gifting.ledger.cluster.debit_call import NOTHING_RIDES
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.model.values import Result
from gifting.tasks import end
from tests.support.clusters import UNGUARDED, own_cluster
from tests.support.keys import new_key
from tests.support.outboxes import uncredited
from tests.support.relays import another_relay, die_after_debits, engine_of
from tests.support.shop import COINS, Shop, shop_at
from tests.support.waiting import WITHIN, until, until_is

pytestmark = pytest.mark.attack


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with own_cluster(settings=UNGUARDED) as cluster:
        yield cluster


async def owed(shop: Shop) -> int:
    return await uncredited(shop.ledger)


async def credited(shop: Shop) -> int:
    return sum([(await shop.ledger.wallets.read(room.host)).diamonds // 500 for room in shop.rooms])


async def known(shop: Shop, key: str) -> Any:
    """What u0 is told who sends it again to r3, once it is known: what is credited is kept a moment later."""
    again = await shop.ledger.gifts.send(shop.senders[0], shop.rooms[3], "spark", key)
    return None if isinstance(again, Result) and again.pending else again


async def test_what_a_dead_node_has_left_is_credited_and_known_by_its_key(cluster: EmbeddedCluster) -> None:
    async with shop_at(cluster.url) as shop:
        die_after_debits(shop)
        shop.all_to_all(2)
        await until_is(lambda: credited(shop), 128)
        await until_is(lambda: owed(shop), 0)
        for key in shop.sent["u0", "r3"]:
            again = await until(partial(known, shop, key))
            assert isinstance(again, Result)
            assert (again.duplicate, again.pending) == (True, False)
            assert again.seq > 0
            assert (await shop.ledger.gifts.status("u0", key)).seq == again.seq
        assert (await shop.check()).gifts == 128
        for room in shop.rooms:
            assert (await shop.ledger.rooms.snapshot(room)).seq == 16


async def test_relays_side_by_side_and_killed_credit_each_gift_once(cluster: EmbeddedCluster) -> None:
    chance = random.Random(11)
    async with shop_at(cluster.url) as shop:
        die_after_debits(shop)
        relays = [another_relay(shop) for _ in range(3)]
        for _ in range(12):
            shop.all_to_all()
            tasks = [asyncio.create_task(each.run(Health())) for each in relays]
            for each in relays:
                for source in range(len(shop.ledger.keys.bases)):
                    each.hurry(source, 0)
            await asyncio.sleep(chance.uniform(0.1, 0.3))  # any moment
            await end(tasks)
        await until_is(lambda: credited(shop), 12 * 64)
        assert await owed(shop) == 0
        assert (await shop.check()).gifts == 12 * 64


async def test_what_no_replica_has_is_not_relayed(cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    async with shop_at(cluster.url, ledger_timeout=5) as shop:
        die_after_debits(shop)
        base = shop.senders[0].base
        master = await cluster.owner(slot_of(base))
        owners = [await cluster.owner(slot_of(room.base)) for room in shop.rooms]
        replicas = await cluster.replicas(master)
        for replica in replicas:
            replica.pause()
        try:
            shop.send(0, next(room for room, owner in enumerate(owners) if owner.id != master.id))
            await until_is(lambda: owed(shop), 1)
            with pytest.raises(RedisError):
                await engine_of(shop).relay._said.debit(shop.ledger.keys.bases.index(base), NOTHING_RIDES)
            await another_relay(shop).round()
            assert await credited(shop) == 0
        finally:
            for replica in replicas:
                replica.resume()
        await until_is(lambda: credited(shop), 1)


async def test_a_hole_is_named_and_halts_its_pair_only(cluster: EmbeddedCluster) -> None:
    async with shop_at(cluster.url) as shop, AsyncExitStack() as stack:
        engine, redis = engine_of(shop), shop.ledger.redis
        relaying = stack.enter_context(pytest.MonkeyPatch.context())
        relaying.setattr(engine.relay, "round", lambda: asyncio.sleep(0))
        die_after_debits(shop)
        base = shop.senders[0].base
        for count in (1, 2):
            shop.send(0, 3)
            await until_is(lambda: redis.xlen(f"{base}:outbox"), count)
        ((first, _), _) = await redis.xrange(f"{base}:outbox")
        await redis.xdel(f"{base}:outbox", first)
        shop.send(0, 2)
        await until_is(lambda: redis.xlen(f"{base}:outbox"), 2)
        relaying.undo()
        health, another = Health(), another_relay(shop)
        running = asyncio.create_task(another.run(health))
        try:
            await until_is(lambda: relay.PART in health.degraded, True)
            assert "wait, as numbers 1 to 1 are missing" in health.degraded[relay.PART]
            await until_is(lambda: credited(shop), 1 if shop.rooms[2].base != shop.rooms[3].base else 0)
            assert await redis.xlen(f"{base}:outbox") >= 1
        finally:
            await end([running])


async def test_a_gift_is_told_in_time_where_one_before_it_was_left(
    cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is parked behind the gift of a dead node is told with its seq, once a relay was called: none comes by
    itself, and however long that takes here, it is not told as pending before.
    """
    monkeypatch.setattr(relay, "LEFT", round(1000 * WITHIN))
    monkeypatch.setattr(credits, "PENDING_AFTER", WITHIN)
    async with shop_at(cluster.url) as dead:
        die_after_debits(dead)
        engine_of(dead).relay.round = lambda: asyncio.sleep(0)  # type: ignore[method-assign]
        dead.send(0, 3)
        await until_is(lambda: owed(dead), 1)
        async with shop_at(cluster.url, 0) as alive:
            result = await alive.ledger.gifts.send(dead.senders[0], dead.rooms[3], "spark", new_key())
            assert result == Result(False, 2, COINS - 2, 2, 1)
