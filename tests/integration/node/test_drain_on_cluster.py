"""A node that stops while a master is dead is gone within its drain time-out; what is paid is left to others."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import httpx
import pytest

from gifting.client import Client
from gifting.errors import GiftingError
from gifting.ledger.cluster.slots import slot_of, tags
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.keys import Keys
from gifting.tasks import end
from tests.support.clusters import own_cluster
from tests.support.keys import new_key
from tests.support.server import Server
from tests.support.waiting import until

pytestmark = pytest.mark.slow

DRAIN: float = 3.0
"""Seconds a node may take."""

STOPPING: float = 10.0
"""Seconds that a process needs beside, on a busy machine."""

LATE: float = 30.0
"""Seconds that a call to a dead master takes: a node that waited for one would be later, however busy the machine."""

KEYS = Keys("gifting", 16, tags(16))
USERS = [f"u{number}" for number in range(12)]
ROOMS = [f"r{number}" for number in range(6)]


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    """No replica takes over."""
    never = {"min-replicas-to-write": "0", "cluster-replica-no-failover": "yes"}
    async with own_cluster(settings=never) as cluster:
        yield cluster


async def fill(server: Server) -> None:
    for room in ROOMS:
        await server.room(room, f"host-{room}")
    for user in USERS:
        grant = {"coins": 5_000, "key": new_key(), "reason": "a test"}
        await server.operator.call("POST", f"/v1/users/{user}/grants", grant)


async def give(client: Client) -> None:
    """For ever, to all rooms in turn."""
    while True:
        for room in ROOMS:
            with suppress(GiftingError, OSError):
                await client.send_gift(room, "spark")


async def ask(server: Server, user: str) -> None:
    with suppress(Exception):
        await server.operator.call("GET", f"/v1/users/{user}/wallet")


async def until_least(server: Server, metric: str, least: int) -> None:
    """Until a metric of the server is so much."""

    async def found() -> bool:
        async with httpx.AsyncClient() as web:
            text = (await web.get(f"{server.url}/metrics")).text
        (value,) = re.findall(rf"^{metric}\{{.*\}} (\S+)$", text, re.MULTILINE)
        return float(value) >= least

    await until(found)


@pytest.mark.parametrize("how", ["paused", "killed"])
async def test_a_node_that_stops_does_not_wait_for_a_dead_master(
    cluster: EmbeddedCluster, tmp_path: Path, how: str
) -> None:
    url = cluster.url
    async with Server(
        tmp_path / "data", url, drain_timeout=DRAIN, ledger_timeout=LATE, allow_unsafe_redis=True
    ) as server:
        await fill(server)
        node = await cluster.owner(slot_of(KEYS.base(USERS[0])))
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(Client(server.url, server.token(user), queue=0, deadline=2.0))
                for user in USERS
            ]
            work = [asyncio.create_task(give(client)) for client in clients]
            try:
                await until_least(server, "gifting_ledger_items_total", len(USERS))
                node.pause() if how == "paused" else await cluster.kill(node.id)
                await until_least(server, "gifting_ledger_queue", 1)
                work += [asyncio.create_task(ask(server, USERS[0])) for _ in USERS]
                await until_least(server, "gifting_sockets", 2 * len(USERS))
                began = time.monotonic()
                status = await server.stop()
                took = time.monotonic() - began
            finally:
                await end(work)
                node.resume() if how == "paused" else await cluster.restart(node.id)
        assert status == 0
        assert took < DRAIN + STOPPING
