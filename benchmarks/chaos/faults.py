"""The faults: what is done to nodes of the cluster, to their links, to the slots, and to our own nodes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Literal, NamedTuple

from redis.exceptions import RedisError

from gifting.bench.server import Server
from gifting.errors import NoRedis, StartError
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.moving import move, move_at_once
from gifting.ledger.embedded.node import Node

STALL_S: Final = (0.1, 0.8)
"""Of what is stopped and goes on before anybody gives it up."""

CUT_S: Final = (0.1, 1.0)
START_TRIES: Final = 50
START_AGAIN_S: Final = 0.2

Died = Callable[[Sequence[str]], None]
"""Told that the master of these partitions has just died."""


class Kind(NamedTuple):
    """One kind of fault, and how often it comes in a round."""

    name: str
    do: Callable[[], Awaitable[None]]
    weight: int


class Breakage:
    """What can be done to a cluster and to the nodes before it.

    Args:
        bases: the partitions.
        at_once: whether the engine moves slots at once.
        died: told of each master that dies, for good or until it is replaced.
    """

    def __init__(
        self,
        cluster: EmbeddedCluster,
        gateways: Sequence[Server],
        bases: Sequence[str],
        chance: random.Random,
        died: Died,
        *,
        at_once: bool,
    ) -> None:
        self._cluster, self._gateways, self._bases = cluster, gateways, bases
        self._chance, self._died, self._at_once = chance, died, at_once
        self.problems: list[str] = []

    def kinds(self) -> list[Kind]:
        """All of them, the quicker ones more often."""
        found = [
            Kind("gateway killed", self._kill_gateway, 1),
            Kind("gateway stalled", self._stall_gateway, 3),
            Kind("gateway drained, restarted", self._drain_gateway, 1),
            Kind("master killed", self._kill_master, 3),
            Kind("master stopped until replaced", self._stop_master, 2),
            Kind("master stalled", self._stall_master, 3),
            Kind("replica killed", self._kill_replica, 2),
            Kind("replica stalled", self._stall_replica, 3),
            Kind("replication cut", self._cut_replica, 3),
            Kind("replication cut, then master killed", self._cut_and_kill, 1),
            Kind("master and gateway killed", self._kill_both, 1),
            Kind("failover", lambda: self._fail_over(""), 2),
            Kind("failover, forced", lambda: self._fail_over("FORCE"), 1),
            Kind("failover, taken over", lambda: self._fail_over("TAKEOVER"), 1),
            Kind("partition moved key by key", self._move, 2),
            Kind("clients cut", self._cut_clients, 3),
            Kind("writes paused", self._pause_writes, 3),
            Kind("scripts forgotten", self._forget_scripts, 2),
        ]
        return [*found, Kind("partition moved at once", self._move_at_once, 2)] if self._at_once else found

    # Our own nodes.

    async def _kill_gateway(self) -> None:
        gateway = self._chance.choice(self._gateways)
        await gateway.die()
        await _start(gateway)

    async def _stall_gateway(self) -> None:
        gateway = self._chance.choice(self._gateways)
        gateway.pause()
        try:
            await self._wait(STALL_S)
        finally:
            gateway.resume()

    async def _drain_gateway(self) -> None:
        gateway = self._chance.choice(self._gateways)
        if status := await gateway.stop():
            self.problems.append(f"A node ended with {status} when it was stopped.")
        await _start(gateway)

    # Nodes of the cluster.

    async def _kill_master(self) -> None:
        await self._replace(await self._master(), lambda node: self._cluster.kill(node.id))

    async def _kill_both(self) -> None:
        master, gateway = await self._master(), self._chance.choice(self._gateways)
        await gateway.die()
        await self._replace(master, lambda node: self._cluster.kill(node.id))
        await _start(gateway)

    async def _cut_and_kill(self) -> None:
        """The replica that takes over has nothing of what came after the cut: so none of that was acked."""
        master = await self._master()
        replicas = await self._cluster.replicas(master)
        partitions = await self._partitions(master)
        for replica in replicas:
            await self._cluster.cut(replica.id)
        await self._wait(CUT_S)
        await self._cluster.kill(master.id)
        self._died(partitions)
        for replica in replicas:
            await replica.call("CONFIG", "SET", "masterauth", self._cluster.password)
        with suppress(NoRedis, RedisError, OSError):
            await self._cluster.promote(replicas[-1].id, "TAKEOVER")
        await self._cluster.settle()
        await self._cluster.restart(master.id)

    async def _stop_master(self) -> None:
        async def stop(node: Node) -> None:
            node.pause()

        master = await self._master()
        await self._replace(master, stop, restart=False)
        master.resume()

    async def _replace(self, master: Node, end: Callable[[Node], Awaitable[None]], *, restart: bool = True) -> None:
        partitions = await self._partitions(master)
        await end(master)
        self._died(partitions)
        await self._cluster.settle()
        if restart:
            await self._cluster.restart(master.id)

    async def _stall_master(self) -> None:
        await self._stall(await self._master())

    async def _kill_replica(self) -> None:
        replica = await self._replica()
        await self._cluster.kill(replica.id)
        await self._wait(CUT_S)
        await self._cluster.restart(replica.id)

    async def _stall_replica(self) -> None:
        await self._stall(await self._replica())

    async def _stall(self, node: Node) -> None:
        node.pause()
        try:
            await self._wait(STALL_S)
        finally:
            node.resume()

    async def _cut_replica(self) -> None:
        replica = await self._replica()
        await self._cluster.cut(replica.id)
        await self._wait(CUT_S)
        await self._cluster.join(replica.id)

    async def _fail_over(self, how: Literal["", "FORCE", "TAKEOVER"]) -> None:
        await self._cluster.promote((await self._replica()).id, how)

    # Slots.

    async def _move(self) -> None:
        slot, target = await self._way()
        await move(self._cluster, slot, slot, target.id)

    async def _move_at_once(self) -> None:
        slot, target = await self._way()
        await move_at_once(self._cluster, slot, slot, target.id)

    async def _way(self) -> tuple[int, Node]:
        """A partition's slot, and a master that has it not."""
        slot = slot_of(self._chance.choice(self._bases))
        owner = await self._cluster.owner(slot)
        return slot, self._chance.choice([node for node in await self._masters() if node is not owner])

    # What a node does to whom it serves.

    async def _cut_clients(self) -> None:
        await (await self._master()).call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    async def _pause_writes(self) -> None:
        low, high = STALL_S
        await (await self._master()).call("CLIENT", "PAUSE", round(1000 * self._chance.uniform(low, high)), "WRITE")

    async def _forget_scripts(self) -> None:
        await (await self._master()).call("SCRIPT", "FLUSH")

    # Whom it meets.

    async def _masters(self) -> list[Node]:
        return sorted(await self._cluster.masters(), key=lambda node: node.port)

    async def _master(self) -> Node:
        """One that has a replica to follow it."""
        return self._chance.choice([node for node in await self._masters() if await self._cluster.replicas(node)])

    async def _replica(self) -> Node:
        replicas = await self._cluster.replicas(await self._master())
        return self._chance.choice(sorted(replicas, key=lambda node: node.port))

    async def _partitions(self, master: Node) -> list[str]:
        ranges = [slots.partition("-") for slots in (await self._cluster.masters()).get(master, ())]
        return [
            base
            for base in self._bases
            if any(int(first) <= slot_of(base) <= int(last or first) for first, _, last in ranges)
        ]

    async def _wait(self, between: tuple[float, float]) -> None:
        await asyncio.sleep(self._chance.uniform(*between))


async def _start(gateway: Server) -> None:
    """As whoever keeps a node running would: again until it runs.

    Raises:
        StartError: it never did.
    """
    for left in reversed(range(START_TRIES)):
        try:
            await gateway.launch_again()
        except StartError:
            if not left:
                raise
            await asyncio.sleep(START_AGAIN_S)
        else:
            return
