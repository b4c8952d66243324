"""Whether what was read of a cluster would be there if its master were lost now.

After the reading each master gets a write, and is asked to wait until its replicas have that: then they have all that
was before it. As many are waited for as follow the master now, since any of them may take over, and one at least; where
every replica must have what is written, for those too that are listed and do not follow, as long as they may be elected
by what nodes' settings say. Where the replication id is not what it was before the reading, another history may have
been read.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Sequence
from math import inf
from typing import Any, Final

from redis.exceptions import RedisError

from gifting.ledger.cluster.awaited import AtLeast, Awaited, Every
from gifting.ledger.cluster.client import ClusterRedis
from gifting.ledger.cluster.keeping import Keeping
from gifting.ledger.cluster.router import Router
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.cluster.survey import take_survey
from gifting.ledger.cluster.topology import Node
from gifting.ledger.confirmed import ONE_REDIS, Confirmation, Unsettled
from gifting.ledger.keys import Keys
from gifting.ledger.resp import Words

WAIT: Final = 1000
"""Ms for which a master waits for its replicas."""

LEARNT_FOR: Final = 10.0
"""Seconds until nodes are asked for their settings again, while something is lacking."""

PATIENCE, PAUSE = 10.0, 0.1
"""Seconds in which a failover should be over, and between two tries."""

_ID: Final = re.compile(r"^master_replid:(\w+)", re.MULTILINE)


def confirmation(redis: Any, keys: Keys, replicas: int, *, every: bool = False) -> Confirmation:
    """Of what ``redis``, one or a cluster, has; ``replicas``: how many must have what is written at least."""
    return Confirmed(redis.router, keys.bases, replicas, every) if isinstance(redis, ClusterRedis) else ONE_REDIS


class Confirmed:
    """Of the partitions ``bases``; ``replicas`` 0: masters are trusted, and only asked whether they are the same."""

    def __init__(self, router: Router, bases: Sequence[str], replicas: int, every: bool = False) -> None:
        self._router = router
        self._bases = bases
        self._keeping = Keeping()
        self._learns_at = 0.0 if every else inf
        self._awaited: Awaited = AtLeast(0)
        if replicas:
            self._awaited = Every(router.map, lag=lambda: self._keeping.ms, listed=every)
        self._lineages: dict[str, str] = {}
        self._lost = True
        """Whether it must be asked again where partitions are."""

    async def begin(self) -> None:
        """Waits for a failover to end, for :data:`PATIENCE` at most."""
        self._lineages.clear()
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE
        while not self._lineages:
            try:
                self._lineages = await self._ask()
            except (RedisError, OSError):
                if loop.time() > until:
                    raise
                await asyncio.sleep(PAUSE)

    async def hold(self) -> None:
        found = await self._ask()
        if changed := [base for base, lineage in found.items() if self._lineages.get(base) != lineage]:
            raise Unsettled(f"{', '.join(changed)} came to another master, or it was started again.")

    async def _ask(self) -> dict[str, str]:
        """The lineage of each partition, which its replicas have up to now."""
        if self._lost:
            await self._router.map.refresh()
        self._lost = True
        asked: dict[Node, list[str]] = defaultdict(list)
        for base in self._bases:
            asked[self._router.map.master_of(slot_of(base))].append(base)
        found = await asyncio.gather(*(self._ask_one(node, bases[0]) for node, bases in asked.items()))
        self._lost = False
        return {base: lineage for bases, lineage in zip(asked.values(), found, strict=True) for base in bases}

    async def _ask_one(self, node: Node, base: str) -> str:
        """The lineage of a node, whose replicas have what it has."""
        lineage, lacks = await self._wait(node, base)
        if lacks:  # now it is known how many there are
            await self._learn()
            lineage, lacks = await self._wait(node, base)
        if lacks:
            raise Unsettled(f"What was read of {node} may be lost: {lacks}.")
        return lineage

    async def _learn(self) -> None:
        """For how long a replica that is away is waited for, by what nodes say now."""
        now = asyncio.get_running_loop().time()
        if now >= self._learns_at:
            self._learns_at = now + LEARNT_FOR
            self._keeping.learn(await take_survey(self._router.map.topology, self._router.ask))

    async def _wait(self, node: Node, base: str) -> tuple[str, str]:
        """The lineage of a node, and why its replicas have not got what it has; '' if they have."""
        asks = self._awaited.asks(node, WAIT)
        waiting: list[Words] = [("SET", f"{base}:waited", ""), *asks] if asks else []
        *said, info = replies = await self._router.ask(node, [*waiting, ("INFO", "replication")])
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply if isinstance(reply, RedisError | OSError) else Unsettled(f"{reply!r}")
        lineage = _ID.search(info.decode())
        return lineage[1] if lineage else "", self._awaited.lacks(node, said[1:])
