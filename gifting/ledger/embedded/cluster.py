"""A Redis Cluster on 127.0.0.1: masters and replicas of one redis-server, formed, broken and mended node by node.

For demos, tests and benchmarks: all its nodes share a machine, so it outlives none of the machine's faults. Its nodes
end with this process, however that ends.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

from redis.exceptions import RedisError

from gifting.errors import NoRedis
from gifting.ledger.embedded.binary import AOF_DIR, find_binary
from gifting.ledger.embedded.datadir import POLL
from gifting.ledger.embedded.forming import SETTLE_TIMEOUT, form, meet, settle, within
from gifting.ledger.embedded.node import Node, View
from gifting.ledger.embedded.ports import HOST

NODE_TIMEOUT: Final = 2.0
"""After which a silent node is suspected and then replaced, seconds."""

STOP_TIMEOUT: Final = 5.0
"""Longest orderly end of a node before it is killed, seconds."""

FAILOVER_TIMEOUT: Final = 6.0
"""Seconds after which a replica is asked anew to take over: it gives up after 5 (CLUSTER_MF_TIMEOUT in cluster.h)."""

PORT_ATTEMPTS: Final = 5
"""How often a new node looks for other ports, in case somebody else takes one first."""


class EmbeddedCluster:
    """``masters`` that share the slots evenly, each with ``replicas``, in folders below ``folder``.

    ``binary``: any Redis or Valkey from 7.0 on, the embedded one by default. ``settings`` are added to those of
    redis.conf, or replace them. Not bound to an event loop: each method may be called in another.
    """

    def __init__(
        self,
        folder: Path,
        *,
        masters: int = 3,
        replicas: int = 1,
        binary: Path | None = None,
        node_timeout: float = NODE_TIMEOUT,
        password: str = "",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.nodes: dict[str, Node] = {}
        self._masters, self._replicas = masters, replicas
        self.password, self._binary = password, binary
        self._settings = usual_settings(node_timeout, replicas) | dict(settings or {})
        self._pipe: tuple[int, int] | None = None
        self._every: list[Node] = []

    @property
    def url(self) -> str:
        """All nodes, whatever became of them: a client needs one that answers."""
        secret = f":{quote(self.password)}@" if self.password else ""
        return f"redis+cluster://{secret}" + ",".join(f"{HOST}:{node.port}" for node in self.nodes.values())

    async def start(self) -> str:
        """Start and form it; returns its URL once every node agrees, after 2 to 4 seconds.

        Raises:
            NoRedis: there is no redis-server, one failed, or they did not agree.
        """
        self._pipe = os.pipe()
        self._binary = self._binary or await asyncio.to_thread(find_binary)
        try:
            count = self._masters * (1 + self._replicas)
            every = await self._start_all(count)
            self.nodes = {node.id: node for node in every}
            await form(every[: self._masters], every[self._masters :])
        except BaseException:
            await self.stop()
            raise
        return self.url

    async def _start_all(self, count: int) -> list[Node]:
        """All have started or failed when this ends: who stops them then leaves none behind."""
        every: list[Node] = []
        for started in await asyncio.gather(*(self._start_new() for _ in range(count)), return_exceptions=True):
            if isinstance(started, BaseException):
                raise started
            every.append(started)
        return every

    async def stop(self) -> None:
        """End all nodes; their files stay. May be called again."""
        await asyncio.gather(*(node.stop(STOP_TIMEOUT) for node in self._every))
        for node in self._every:
            node.release()
        for end in self._pipe or ():
            os.close(end)
        self._pipe = None

    async def masters(self) -> dict[Node, tuple[str, ...]]:
        """The masters that run, with their slots, as the first node that answers sees it."""
        peers = (await self._any_view()).peers
        return {node: peers[id].slots for id, node in self._running(peers) if not peers[id].master and peers[id].slots}

    async def replicas(self, master: Node) -> list[Node]:
        """Those of a master that run."""
        peers = (await self._any_view()).peers
        return [node for id, node in self._running(peers) if peers[id].master == master.id]

    async def owner(self, slot: int) -> Node:
        """The master that has a slot.

        Raises:
            NoRedis: none that runs has it.
        """
        for node, slots in (await self.masters()).items():
            for first, _, last in (entry.partition("-") for entry in slots):
                if int(first) <= slot <= int(last or first):
                    return node
        raise NoRedis(f"No master that runs has slot {slot}.")

    async def kill(self, id: str) -> None:
        """``kill -9``. It is not started again before ``restart``."""
        await self.nodes[id].kill()

    async def restart(self, id: str) -> None:
        """Start it again where it was, after ``kill`` or over its end now; it loads its files and finds its role."""
        node = self.nodes[id]
        await node.stop(STOP_TIMEOUT)
        await node.start(self._read_end)

    async def add(self, master: str = "") -> Node:
        """A new node: a replica of ``master``, or a master without slots; known to all when this returns."""
        node = await self._start_new()
        peers = [other for other in self.nodes.values() if other.alive]
        self.nodes[node.id] = node
        await meet(node, peers)
        await self.settle()
        if master:
            await node.call("CLUSTER", "REPLICATE", master)
            await self.settle()
        return node

    async def promote(self, id: str, how: Literal["", "FORCE", "TAKEOVER"] = "") -> None:
        """A replica becomes the master of its shard: in order, without its master's help, or without a vote.

        Returns once it says that it is; the others hear of it a moment later (``settle``).

        Raises:
            NoRedis: it was not within ``SETTLE_TIMEOUT``.
        """
        node, time, asked_at = self.nodes[id], asyncio.get_running_loop().time, -math.inf
        async with within(f"{id} did not become a master"):
            while (await node.call("INFO", "replication"))["role"] != "master":
                if time() - asked_at >= FAILOVER_TIMEOUT:
                    await node.call("CLUSTER", "FAILOVER", *([how] if how else []))
                    asked_at = time()
                await asyncio.sleep(POLL)

    async def cut(self, id: str) -> None:
        """A replica hears no more from its master until ``join``, though the cluster takes it for sound."""
        node = self.nodes[id]
        await node.call("CONFIG", "SET", "masterauth", "a link that is cut")
        async with within(f"{id} still follows its master"):
            while (await node.view()).linked:
                await node.call("CLIENT", "KILL", "TYPE", "master")
                await asyncio.sleep(POLL)

    async def join(self, id: str) -> None:
        """What ``cut`` cut; returns once the replica has caught up, and its master counts it."""
        node = self.nodes[id]
        await node.call("CONFIG", "SET", "masterauth", self.password)
        async with within(f"{id} did not find its master"):
            while not await self._counted(node):
                await asyncio.sleep(POLL)

    async def settle(self, bound: float = SETTLE_TIMEOUT) -> None:
        """Until every node that runs says that all is well, all see the same, and masters count the replicas they have.

        Raises:
            NoRedis: they don't within ``bound`` seconds.
        """
        await settle(self.nodes.values(), bound)

    async def _counted(self, node: Node) -> bool:
        """Whether it follows a master that waits for it, or has become one meanwhile."""
        view = await node.view()
        if not view.linked or not (master := view.peers[node.id].master):
            return view.linked
        return node.port in (await self.nodes[master].view()).counts

    async def _start_new(self) -> Node:
        assert self._binary is not None, "start() finds it"
        node = Node(self.folder / f"node-{len(self._every) + 1}", self._binary, self.password, self._settings)
        self._every.append(node)
        for left in reversed(range(PORT_ATTEMPTS)):
            try:
                await node.start(self._read_end)
                break
            except NoRedis:
                await node.kill()
                if not left:
                    raise
                node.move_ports()
        return node

    @property
    def _read_end(self) -> int:
        if self._pipe is None:
            raise NoRedis("The cluster was not started.")
        return self._pipe[0]

    async def _any_view(self) -> View:
        for node in self.nodes.values():
            with suppress(RedisError, OSError):
                if node.alive:
                    return await node.view()
        raise NoRedis("No node of the cluster answers.")

    def _running(self, known: Mapping[str, object]) -> list[tuple[str, Node]]:
        return [(id, node) for id, node in self.nodes.items() if node.alive and id in known]


def usual_settings(node_timeout: float, replicas: int) -> dict[str, str]:
    """What a node is told by default, but for where it is; ``node_timeout`` in seconds."""
    return {
        "cluster-enabled": "yes",
        "cluster-node-timeout": str(round(node_timeout * 1000)),
        "cluster-require-full-coverage": "no",
        "appendonly": "yes",
        "appenddirname": AOF_DIR,
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        "auto-aof-rewrite-min-size": "256mb",
        "save": '""',
        "maxmemory-policy": "noeviction",
        "min-replicas-to-write": "1" if replicas else "0",
        "repl-diskless-sync-delay": "0",
        "client-output-buffer-limit": "pubsub 64mb 16mb 60",
    }
