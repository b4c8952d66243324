"""How nodes become a cluster, and when they agree."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from redis.exceptions import RedisError

from gifting.errors import NoRedis
from gifting.ledger.cluster.slots import SLOTS
from gifting.ledger.embedded.datadir import POLL
from gifting.ledger.embedded.node import Node, Peer, View
from gifting.ledger.embedded.ports import HOST

SETTLE_TIMEOUT: Final = 30.0
"""Longest wait until all nodes agree, seconds."""


async def form(masters: Sequence[Node], replicas: Sequence[Node]) -> None:
    """Share the slots evenly among ``masters``, and ``replicas`` in turn; returns once all agree.

    Each meets each, as word of mouth takes seconds; epochs differ from the start, so that none has to give way.

    Raises:
        NoRedis: they did not within ``SETTLE_TIMEOUT``.
    """
    for epoch, node in enumerate(masters, 1):
        first, end = (SLOTS * share // len(masters) for share in (epoch - 1, epoch))
        await node.call("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
        await node.call("CLUSTER", "SET-CONFIG-EPOCH", epoch)
    every = [*masters, *replicas]
    for place, node in enumerate(every):
        await meet(node, every[place + 1 :])
    for place, node in enumerate(replicas):
        master = masters[place % len(masters)]
        async with within(f"{node.id} did not hear of its master"):
            while (peer := (await node.view()).peers.get(master.id)) is None or peer.fails:
                await asyncio.sleep(POLL)
        await node.call("CLUSTER", "REPLICATE", master.id)
    await settle(every)


async def meet(node: Node, others: Iterable[Node]) -> None:
    for other in others:
        await node.call("CLUSTER", "MEET", HOST, other.port, other.bus)


async def settle(nodes: Iterable[Node], bound: float = SETTLE_TIMEOUT) -> None:
    """Until every node that runs says that all is well, all see the same, and masters count the replicas they have.

    Raises:
        NoRedis: they don't within ``bound`` seconds.
    """
    alive = {node.id: node for node in nodes if node.alive}
    async with within("The nodes of the cluster did not agree", bound):
        while not await _settled(alive):
            await asyncio.sleep(POLL)


async def _settled(alive: Mapping[str, Node]) -> bool:
    views: list[View] = []
    with suppress(RedisError, OSError):
        views = await asyncio.gather(*(node.view() for node in alive.values()))
    if not views or not all(view.ok and view.linked for view in views):
        return False
    roles = _roles(views[0])
    if roles.keys() != alive.keys() or any(_roles(view) != roles for view in views):
        return False
    counts = {id: view.counts for id, view in zip(alive, views, strict=True)}
    return all(node.port in counts.get(roles[id].master, ()) for id, node in alive.items() if roles[id].master)


def _roles(view: View) -> dict[str, Peer]:
    """Of the nodes that do not fail: whom they follow, or which slots they have."""
    return {id: peer for id, peer in view.peers.items() if not peer.fails}


@asynccontextmanager
async def within(complaint: str, bound: float = SETTLE_TIMEOUT) -> AsyncIterator[None]:
    """Raises NoRedis: what is done took more than ``bound`` seconds."""
    try:
        async with asyncio.timeout(bound):
            yield
    except TimeoutError:
        raise NoRedis(f"{complaint} within {bound:.0f} s.") from None
