"""Where slots are, asked of real nodes: of which some are dead, and by many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import ClusterDownError, RedisError

from gifting.ledger.cluster import map as slot_map
from gifting.ledger.cluster.address import ClusterAddress
from gifting.ledger.cluster.exchange import Exchange
from gifting.ledger.cluster.map import REFRESH_EVERY, Map
from gifting.ledger.cluster.topology import Node, Topology
from tests.support.redis_server import kept_port
from tests.support.waiting import WITHIN


@pytest.fixture
def nobody() -> Iterator[str]:
    """Where no node listens."""
    with kept_port() as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture
def address(nobody: str, cluster_redis_url: str) -> ClusterAddress:
    """A dead node is named first."""
    where = cluster_redis_url.removeprefix("redis://")
    return ClusterAddress(f"redis+cluster://{nobody},{where}")


async def test_what_nodes_say_is_known_and_told(address: ClusterAddress, cluster_redis_url: str) -> None:
    slots, told = Map(address), list[Topology]()
    slots.changed.append(told.append)
    with pytest.raises(ClusterDownError, match="slot 7"):
        slots.master_of(7)
    found = await slots.refresh()
    async with Redis.from_url(cluster_redis_url) as client:
        own = (await client.execute_command("CLUSTER MYID")).decode()
    assert slots.master_of(7) == slots.master_of(16383) == Node(own, *address.seeds[1])
    assert found is slots.topology
    await slots.refresh()
    assert told == [found]


async def test_who_comes_while_somebody_looks_gets_what_that_one_finds(address: ClusterAddress) -> None:
    slots, asked, loop = Map(address), list[Node](), asyncio.get_running_loop()

    async def ask(node: Node, exchange: Exchange) -> Topology | Exception:
        asked.append(node)
        return await Map._ask(slots, node, exchange)

    slots._ask = ask  # type: ignore[method-assign]
    begin = loop.time()
    for _ in range(3):
        await asyncio.gather(*(slots.refresh() for _ in range(100)))
    assert loop.time() - begin >= 2 * REFRESH_EVERY
    assert len(asked) <= 3 * 2  # two nodes are named


async def test_who_is_cancelled_cancels_nobody_else(address: ClusterAddress) -> None:
    slots = Map(address)
    first, second = asyncio.create_task(slots.refresh()), asyncio.create_task(slots.refresh())
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).masters
    await slots.close()


async def test_a_node_that_moved_tells_of_is_asked_first(address: ClusterAddress, nobody: str) -> None:
    slots = Map(ClusterAddress(f"redis+cluster://{nobody}"))
    with pytest.raises((RedisError, OSError)):
        await slots.refresh()
    found = await slots.refresh(Node("", *address.seeds[1]))
    assert found.masters
    assert await slots.refresh() is found  # by the node that is known now: the seed is dead still


async def test_a_node_that_hangs_holds_nobody_up(address: ClusterAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot_map, "ANSWER_WITHIN", 3600.0)
    came, left = asyncio.Event(), asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        while await reader.read(1000):
            pass
        writer.close()
        left.set()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        slots = Map(address)
        await slots.refresh()
        async with asyncio.timeout(WITHIN):
            assert (await slots.refresh(Node("", *silent.sockets[0].getsockname()[:2]))).masters
            if came.is_set():
                await left.wait()
