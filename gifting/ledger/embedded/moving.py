"""Slots that move to another master while the cluster is used: key by key, or all at once where the engine can."""

from __future__ import annotations

import asyncio
from typing import Final

from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.datadir import POLL
from gifting.ledger.embedded.forming import within
from gifting.ledger.embedded.node import Node
from gifting.ledger.embedded.ports import HOST

KEYS_AT_ONCE: Final = 100
"""Keys that one ``MIGRATE`` takes."""

MIGRATE_TIMEOUT: Final = 10.0
"""Longest ``MIGRATE``, seconds: a large key stalls both masters while it is packed and unpacked."""

MOVE_TIMEOUT: Final = 60.0
"""Longest move all at once, seconds."""


class Move:
    """One slot's way from the master that has it to another one, step by step; ``whole`` takes all steps."""

    def __init__(self, cluster: EmbeddedCluster, slot: int, source: Node, target: Node) -> None:
        self._cluster, self.slot = cluster, slot
        self.source, self.target = source, target

    async def whole(self) -> None:
        await self.open()
        while await self.some_keys():
            pass
        await self.close()

    async def open(self) -> None:
        """From now on the source answers ASK for keys that it has not, and TRYAGAIN where it has a part of them."""
        await self._set(self.target, "IMPORTING", self.source.id)
        await self._set(self.source, "MIGRATING", self.target.id)

    async def some_keys(self, count: int = KEYS_AT_ONCE) -> int:
        """Move ``count`` keys at most; returns how many there were to move."""
        names = await self.source.call("CLUSTER", "GETKEYSINSLOT", self.slot, count)
        if names:
            secret = self._cluster.password
            auth = ["AUTH", secret] if secret else []
            silence = round(1000 * MIGRATE_TIMEOUT)
            words = ("MIGRATE", HOST, self.target.port, "", 0, silence, *auth, "KEYS", *names)
            await self.source.call(*words, timeout=MIGRATE_TIMEOUT)
        return len(names)

    async def close(self) -> None:
        """Once no key is left: the target says first that the slot is its own, as else it could be nobody's."""
        await self._set(self.target, "NODE", self.target.id)
        await self._set(self.source, "NODE", self.target.id)
        for master in await self._cluster.masters():
            if master not in (self.source, self.target):
                await self._set(master, "NODE", self.target.id)

    async def _set(self, node: Node, what: str, id: str) -> None:
        await node.call("CLUSTER", "SETSLOT", self.slot, what, id)


async def move_of(cluster: EmbeddedCluster, slot: int, target: str) -> Move:
    """The way of a slot to the node ``target``, a master, from where it is now; nothing is done yet."""
    return Move(cluster, slot, await cluster.owner(slot), cluster.nodes[target])


async def move(cluster: EmbeddedCluster, first: int, last: int, target: str) -> None:
    """Slots ``first`` to ``last`` key by key, one slot after the other."""
    for slot in range(first, last + 1):
        way = await move_of(cluster, slot, target)
        if way.source is not way.target:
            await way.whole()


async def moves_at_once(cluster: EmbeddedCluster) -> bool:
    """Whether the engine moves slots at once (Valkey 9 and newer)."""
    node = next(iter(await cluster.masters()))
    return any(line.startswith(b"MIGRATESLOTS") for line in await node.call("CLUSTER", "HELP"))


async def move_at_once(cluster: EmbeddedCluster, first: int, last: int, target: str) -> None:
    """Slots ``first`` to ``last``, which one master has, by ``CLUSTER MIGRATESLOTS``; done when this returns."""
    source = await cluster.owner(first)
    await source.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", first, last, "NODE", target)
    async with within(f"Slots {first} to {last} did not move", MOVE_TIMEOUT):
        while (await cluster.owner(first)).id != target:
            await asyncio.sleep(POLL)
