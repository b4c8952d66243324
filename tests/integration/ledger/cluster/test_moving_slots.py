"""Slots move to other masters while scripts run: none runs on half of its keys, or half."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from redis.exceptions import ResponseError

from gifting.ledger import scripts
from gifting.ledger.cluster.awaited import AtLeast
from gifting.ledger.cluster.client import ClusterRedis
from gifting.ledger.cluster.slots import slot_of, tags
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.moving import Move, move, move_at_once, move_of, moves_at_once
from gifting.ledger.embedded.node import Node
from tests.support.waiting import until

BASE = f"test:{{{tags(16)[3]}}}"
SLOT = slot_of(BASE)
PURSE, SHELF, BOOK = KEYS = [f"{BASE}:{part}" for part in ("purse", "shelf", "book")]
PAY = """#!lua
local left = redis.call('HINCRBY', KEYS[1], 'coins', -1)
redis.call('HINCRBY', KEYS[2], 'coins', 1)
if left % 50 == 0 then
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[2], 'coins', 10000 - left)
end
redis.call('XADD', KEYS[3], '*', 'id', ARGV[1])
return left
"""
"""Coins go from one key to another, which now and then is made anew, and each step is noted in a third."""


async def other_than(cluster: EmbeddedCluster, owner: Node) -> Node:
    return next(node for node in await cluster.masters() if node is not owner)


async def turned_away(source: Node, code: str) -> int:
    """How often a node has said so."""
    found = (await source.call("INFO", "errorstats")).get(f"errorstat_{code}", {"count": 0})
    return int(found["count"])


@asynccontextmanager
async def half_moved(cluster: EmbeddedCluster) -> AsyncIterator[Move]:
    """One of three keys has moved; afterwards all have."""
    source = await cluster.owner(SLOT)
    way = await move_of(cluster, SLOT, (await other_than(cluster, source)).id)
    await way.open()
    assert await way.some_keys(1) == 1
    try:
        yield way
    finally:
        while await way.some_keys():
            pass
        await way.close()
        await cluster.settle()


@pytest.fixture
def cluster(module_cluster: EmbeddedCluster) -> EmbeddedCluster:
    """Nobody is replaced there."""
    return module_cluster


@pytest.fixture
async def paid(client: BinaryRedis) -> BinaryRedis:
    """All keys are there, and beside them those that only WAIT needs are not."""
    await client.hset(PURSE, "coins", 10_000)
    await client.eval(PAY, 3, *KEYS, "first")
    client.router.awaited = AtLeast(0)
    await client.delete(f"{BASE}:waited")
    return client


async def test_a_script_waits_until_all_its_keys_are_in_one_place(paid: BinaryRedis, cluster: EmbeddedCluster) -> None:
    async with half_moved(cluster) as way:
        before = await turned_away(way.source, "TRYAGAIN")
        paying = asyncio.create_task(paid.eval(PAY, 3, *KEYS, "second"))
        await until(lambda: _more(way.source, before))
        assert not paying.done()
    assert await paying == 9998
    assert await paid.hget(SHELF, "coins") == b"2"
    assert await paid.xlen(BOOK) == 2


async def _more(source: Node, before: int) -> bool:
    return await turned_away(source, "TRYAGAIN") > before + 1


async def test_none_of_a_transaction_runs_either(paid: BinaryRedis, cluster: EmbeddedCluster) -> None:
    async with half_moved(cluster) as way:
        before = await refusals(way.source)
        pipe = paid.pipeline(transaction=True)
        for name in KEYS[:2]:
            pipe.hset(name, "note", 1)
        pipe.xadd(BOOK, {"id": "whole"})
        writing = asyncio.create_task(pipe.execute())
        await until(lambda: _refused(way.source, before))
        assert not writing.done()
    assert (await writing)[:2] == [1, 1]
    assert await paid.xlen(BOOK) == 2


async def refusals(source: Node) -> int:
    """Engines count a transaction that is turned away as one or the other."""
    return sum([await turned_away(source, code) for code in ("ASK", "TRYAGAIN", "EXECABORT")])


async def _refused(source: Node, before: int) -> bool:
    return await refusals(source) > before


async def test_without_the_names_that_never_exist_a_script_breaks_off(
    paid: BinaryRedis, cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its keys are still there when it begins, and one that it deletes is not when it is made anew."""
    monkeypatch.setattr(scripts, "never", lambda key: ())
    monkeypatch.setattr(scripts, "for_cluster", lambda text: text)
    await paid.set(f"{BASE}:another", 1)  # what moves first
    text = PAY.replace("% 50", "% 1")
    source = await cluster.owner(SLOT)
    way = await move_of(cluster, SLOT, (await other_than(cluster, source)).id)
    await way.open()
    with pytest.raises(ResponseError, match="script"):
        await paid.eval(text, 3, *KEYS, "second")
    await way.whole()
    await cluster.settle()
    assert await paid.hget(PURSE, "coins") == b"9998"
    assert await paid.hget(SHELF, "coins") is None, "paid, and not received"


@pytest.mark.parametrize("at_once", [False, True], ids=["key by key", "at once"])
async def test_under_calls_slots_move_to_and_fro(client: BinaryRedis, cluster: EmbeddedCluster, at_once: bool) -> None:
    if at_once and not await moves_at_once(cluster):
        pytest.skip("this engine moves slots key by key only")
    await client.hset(PURSE, "coins", 10_000)
    for number in range(200):
        await client.set(f"{BASE}:{number}", "x" * 1000)
    acked, ended = set[str](), asyncio.Event()

    async def pay(caller: int) -> None:
        made = 0
        while not ended.is_set():
            made += 1
            await client.eval(PAY, 3, *KEYS, f"{caller}-{made}")
            acked.add(f"{caller}-{made}")

    callers = [asyncio.create_task(pay(caller)) for caller in range(8)]
    for _ in range(6):
        target = await other_than(cluster, await cluster.owner(SLOT))
        await (move_at_once if at_once else move)(cluster, SLOT, SLOT, target.id)
        await cluster.settle()
        before = len(acked)
        await until(lambda before=before: _grown(acked, before))  # type: ignore[misc]
    ended.set()
    await asyncio.gather(*callers)
    noted = [fields[b"id"].decode() for _, fields in await client.xrange(BOOK)]
    assert sorted(noted) == sorted(acked)
    assert int(await client.hget(PURSE, "coins")) == 10_000 - len(noted)
    assert int(await client.hget(SHELF, "coins")) == len(noted)


async def _grown(acked: set[str], before: int) -> bool:
    return len(acked) > before


async def test_who_is_told_of_a_move_asks_once_for_all(client: BinaryRedis, cluster: EmbeddedCluster) -> None:
    await client.set(f"{BASE}:k", 1)
    source = await cluster.owner(SLOT)
    await move(cluster, SLOT, SLOT, (await other_than(cluster, source)).id)
    before = await turned_away(source, "MOVED")
    assert await asyncio.gather(*(client.get(f"{BASE}:k") for _ in range(20))) == [b"1"] * 20
    assert await client.get(f"{BASE}:k") == b"1"
    assert await turned_away(source, "MOVED") <= before + 20
    moved = await turned_away(source, "MOVED")
    await client.get(f"{BASE}:k")
    assert await turned_away(source, "MOVED") == moved
    with suppress(ResponseError):
        await cluster.settle()


async def test_a_url_of_one_node_is_enough(client: BinaryRedis, cluster: EmbeddedCluster) -> None:
    await client.set(f"{BASE}:k", 1)
    for node in cluster.nodes.values():
        one: BinaryRedis = ClusterRedis(f"redis+cluster://127.0.0.1:{node.port}", 5.0)
        assert await one.get(f"{BASE}:k") == b"1"
        await one.aclose()
