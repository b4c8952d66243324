"""Where the slots of a Redis Cluster are now: asked anew when somebody was sent away, once for all who were."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

from redis.exceptions import ClusterDownError, RedisError, ResponseError

from gifting.ledger.cluster.address import ClusterAddress
from gifting.ledger.cluster.exchange import FAILURES, Exchange
from gifting.ledger.cluster.topology import NOTHING, OLDER_QUESTION, QUESTIONS, Node, Topology, read_topology

REFRESH_EVERY: Final = 0.03
"""Seconds from the end of one look to the next one's begin, at least."""

ANSWER_WITHIN: Final = 1.0
"""Seconds a node may take to answer."""

ASKED_AT_ONCE: Final = 3
ASKED_MAX: Final = 12
"""Nodes that are asked side by side, and in one look, whatever they answer."""


class Map:
    """``topology`` is what is known of the cluster; nothing before the first :meth:`refresh`."""

    def __init__(self, address: ClusterAddress) -> None:
        self._address = address
        self._looking: asyncio.Task[Topology | Exception] | None = None
        self._asking: set[asyncio.Task[Topology | Exception]] = set()
        self._told: Node | None = None
        self._next = 0.0
        self.topology = NOTHING
        self.changed: list[Callable[[Topology], None]] = []
        """Called when the topology is another one than before."""

    def master_of(self, slot: int) -> Node:
        """Raises ClusterDownError where no node is known to have the slot."""
        node = self.topology.master_of(slot)
        if node is None:
            raise ClusterDownError(f"Nobody is known to have slot {slot}.")
        return node

    async def refresh(self, told: Node | None = None) -> Topology:
        """Look again; who comes while somebody looks gets what that one finds.

        Args:
            told: a node that knows, first of all; as one that MOVED tells of.

        Raises:
            RedisError, OSError: no node answered that was asked; what was known stays.
        """
        self._told = told or self._told
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="ledger: looking where slots are")
        found = await asyncio.shield(self._looking)
        if isinstance(found, Exception):
            raise found
        return found

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        if self._asking:
            await asyncio.wait(self._asking)

    async def _look(self) -> Topology | Exception:
        loop = asyncio.get_running_loop()
        try:
            await asyncio.sleep(self._next - loop.time())
            found = await self._best(self._candidates())
            if found != self.topology:
                self.topology = found
                for tell in self.changed:
                    tell(found)
        except FAILURES as error:
            return error
        else:
            return self.topology
        finally:
            self._next = loop.time() + REFRESH_EVERY
            self._looking = None

    def _candidates(self) -> list[Node]:
        """Who is told of, who is known, and whom the URL names, for these may be up when no other is."""
        told, self._told = self._told, None
        known = list(self.topology.nodes)
        random.shuffle(known)
        seeds = [Node("", *seed) for seed in self._address.seeds]
        first, rest = known[: ASKED_MAX // 2], known[ASKED_MAX // 2 :]
        every = [*([told] if told else []), *first, *seeds, *rest]
        return list({(node.host, node.port): node for node in every}.values())[:ASKED_MAX]

    async def _best(self, nodes: list[Node]) -> Topology:
        """The first answer that is not older than what is known; where there is none, the newest.

        Raises RedisError, OSError: nobody answered.
        """
        best = NOTHING
        failure: Exception = RedisError("No node of the cluster is known.")
        for start in range(0, len(nodes), ASKED_AT_ONCE):
            asked = {node: self._exchange(node) for node in nodes[start : start + ASKED_AT_ONCE]}
            try:
                for answered in asyncio.as_completed([self._begin(*each) for each in asked.items()]):
                    if isinstance(found := await answered, Exception):
                        failure = found
                    elif found.epoch >= self.topology.epoch:
                        return found
                    else:
                        best = max(best, found, key=lambda each: each.epoch)
            finally:  # they end by this; redis-py loses connections on which somebody was cancelled
                await asyncio.gather(*(exchange.close() for exchange in asked.values()), return_exceptions=True)
        if best is NOTHING:
            raise failure
        return best

    def _exchange(self, node: Node) -> Exchange:
        return Exchange(self._address.url_of(node.host, node.port), ANSWER_WITHIN, most=1)

    def _begin(self, node: Node, exchange: Exchange) -> asyncio.Task[Topology | Exception]:
        asking = asyncio.create_task(self._ask(node, exchange), name="ledger: asking where slots are")
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        return asking

    async def _ask(self, node: Node, exchange: Exchange) -> Topology | Exception:
        try:
            info, shards = await exchange(QUESTIONS)
            if isinstance(shards, ResponseError):
                (shards,) = await exchange([OLDER_QUESTION])
            return read_topology(info, shards, node, tls=self._address.tls)
        except FAILURES as error:
            return error
        finally:
            await exchange.close()
