"""What redis-py does on one Redis the cluster's client does on 3 masters: to the letter, in one slot or in many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.exceptions import ClusterCrossSlotError, NoScriptError, ResponseError

from gifting.ledger import scripts
from gifting.ledger.cluster.exchange import Exchange
from gifting.ledger.cluster.slots import slot_of, tags
from gifting.ledger.connect import BinaryRedis, connect, keys_of
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.model.packing import pack

BASES = [f"test:{{{tag}}}" for tag in tags(16)]

CALLS: list[Callable[[BinaryRedis], Awaitable[Any]]] = [
    lambda redis: redis.hset("{a}:hash", mapping={"one": 1, "two": b"2"}),
    lambda redis: redis.hsetnx("{a}:hash", "one", 3),
    lambda redis: redis.hgetall("{a}:hash"),
    lambda redis: redis.hgetall("{a}:none"),
    lambda redis: redis.hmget("{a}:hash", "one", "three"),
    lambda redis: redis.hscan("{a}:hash", 0, count=10),
    lambda redis: redis.hexists("{a}:hash", "one"),
    lambda redis: redis.zadd("{b}:set", {"x": 1.5, "y": 2}, nx=True),
    lambda redis: redis.zrange("{b}:set", 0, -1, withscores=True),
    lambda redis: redis.zrange("{b}:set", "-inf", "(2", byscore=True, offset=0, num=10, withscores=True),
    lambda redis: redis.zrangebyscore("{b}:set", "-inf", "+inf", 0, 10, withscores=True),
    lambda redis: redis.zscore("{b}:set", "x"),
    lambda redis: redis.xadd("{c}:stream", {"f": "v"}, id="1-1"),
    lambda redis: redis.xrange("{c}:stream", "-", "+", 10),
    lambda redis: redis.xrevrange("{c}:stream", count=1),
    lambda redis: redis.mset({"{d}:1": 1, "{d}:2": 2}),
    lambda redis: redis.mget(["{d}:1", "{d}:2", "{d}:3"]),
    lambda redis: redis.delete("{d}:1", "{d}:3"),
    lambda redis: redis.exists("{d}:1", "{d}:2"),
    lambda redis: redis.set("{d}:4", "v", px=100_000, nx=True),
    lambda redis: redis.set("{d}:4", "v", nx=True),
    lambda redis: redis.eval("return {KEYS[1], #KEYS, ARGV[1], #ARGV, KEYS[2]}", 1, "{a}:hash", "arg"),
    lambda redis: redis.pipeline(transaction=False).hgetall("{a}:hash").zscore("{b}:set", "y").get("{d}:4").execute(),
    lambda redis: redis.pipeline(transaction=True).hset("{a}:hash", "z", 1).hgetall("{a}:hash").execute(),
    lambda redis: redis.pipeline(transaction=True).execute(),
    lambda redis: redis.pipeline().get("{a}:hash").hget("{a}:hash", "one").execute(raise_on_error=False),
]


@pytest.fixture
def cluster(module_cluster: EmbeddedCluster) -> EmbeddedCluster:
    """Nobody is replaced there."""
    return module_cluster


@pytest.fixture(scope="module")
def one_redis(cluster_redis_url: str) -> str:
    return cluster_redis_url


async def test_every_command_answers_as_from_one_redis(client: BinaryRedis, one_redis: str) -> None:
    one = connect(one_redis, 5.0)
    await one.flushall()
    for call in CALLS:
        expected, found = await call(one), await call(client)
        assert type(found) is type(expected)
        assert repr(found) == repr(expected)
    await one.aclose()


async def test_a_pipeline_goes_to_all_masters_and_its_replies_are_in_order(client: BinaryRedis) -> None:
    pipe = client.pipeline(transaction=False)
    for number, base in enumerate(BASES):
        pipe.hset(f"{base}:hash", "number", number).hget(f"{base}:hash", "number")
    assert await pipe.execute() == [reply for number in range(16) for reply in (1, b"%d" % number)]
    masters = {client.router.map.master_of(slot_of(base)) for base in BASES}
    assert masters == set(client.router.map.topology.masters)
    assert len(masters) == 3


async def test_a_transaction_is_in_one_slot(client: BinaryRedis) -> None:
    with pytest.raises(ClusterCrossSlotError):
        await client.pipeline().set(f"{BASES[0]}:a", 1).set(f"{BASES[9]}:a", 1).execute()
    assert not await client.exists(f"{BASES[0]}:a")
    with pytest.raises(ResponseError):
        await client.pipeline().set(f"{BASES[0]}:a", 1).execute_command("NOSUCH", f"{BASES[0]}:a").execute()
    assert not await client.exists(f"{BASES[0]}:a")


async def test_keys_of_all_masters_are_found(client: BinaryRedis) -> None:
    for base in BASES:
        await client.set(f"{base}:meta", 1)
    expected = sorted(f"{base}:meta".encode() for base in BASES)
    assert sorted([key async for key in client.scan_iter(match="*:meta", count=1)]) == expected
    assert sorted(await client.keys("*:meta")) == expected
    assert await client.dbsize() == 2 * 16  # beside each, what its WAIT covered
    await client.flushall()
    assert await client.dbsize() == 0
    assert await client.config_get("appendonly", "appendfsync") == {"appendonly": "yes", "appendfsync": "always"}


async def test_what_has_no_place_is_refused(client: BinaryRedis) -> None:
    for call in (client.execute_command("SLOWLOG"), client.eval("return 1", 0), client.scan(0)):
        with pytest.raises(ResponseError):
            await call
    with pytest.raises(NoScriptError):
        await client.evalsha("0" * 40, 1, "{a}:x")


async def test_a_script_of_ours_is_loaded_where_it_runs(client: BinaryRedis) -> None:
    keys = keys_of(client, "test", 16)
    assert keys.bases == BASES
    for base in BASES:
        await client.zadd(f"{base}:top", {"ann": 7})
        await client.hset(f"{base}:users", "ann", b"\x80")
        assert await scripts.call(client, "top", [f"{base}:top", f"{base}:users"], 3) == pack([[b"\x80", 7]])


async def test_calls_that_are_cancelled_hand_no_reply_to_others(client: BinaryRedis) -> None:
    await client.set("{a}:one", 1)
    await client.set("{a}:two", 2)
    for at in range(60):
        task = asyncio.create_task(client.get("{a}:one"))
        for _ in range(at % 6):
            await asyncio.sleep(0)
        task.cancel()
        assert await client.get("{a}:two") == b"2"


async def test_connections_to_a_node_are_bounded(client: BinaryRedis) -> None:
    node = client.router.map.topology.masters[0]
    exchange = Exchange(f"redis://{node.host}:{node.port}", 5.0, most=3)
    before = int((await client.router.at(node, "INFO", "clients")).split(b"connected_clients:")[1].split()[0])
    await asyncio.gather(*(exchange([("PING",)]) for _ in range(50)))
    after = int((await client.router.at(node, "INFO", "clients")).split(b"connected_clients:")[1].split()[0])
    assert after - before == 3
    await exchange.close()
