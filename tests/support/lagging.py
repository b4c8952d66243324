"""A replica that lags, and takes over all the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.node import Node
from tests.support.waiting import until

SOON_STALE: Final = {"cluster-replica-validity-factor": "1", "repl-ping-replica-period": "1", "repl-timeout": "2"}
"""Settings of nodes: with a node timeout of 1 s a replica may lag by 4 s and be elected by itself."""


class Lagging:
    """``master`` goes on, and its ``others`` have all of it; what came since, ``replica`` has not got."""

    def __init__(self, cluster: EmbeddedCluster, master: Node, others: Sequence[Node], replica: Node) -> None:
        self._cluster = cluster
        self.master, self.others, self.replica = master, others, replica

    async def takes_over(self) -> None:
        """All others die, and come back as its replicas."""
        for node in (*self.others, self.master):
            await self._cluster.kill(node.id)
        await self._cluster.promote(self.replica.id, "TAKEOVER")
        await self._cluster.join(self.replica.id)
        for node in (*self.others, self.master):
            await self._cluster.restart(node.id)
        await self._cluster.settle()


async def let_one_lag(cluster: EmbeddedCluster, slot: int) -> Lagging:
    """From now on; what its master had until now it has."""
    master = await cluster.owner(slot)
    *others, replica = await cluster.replicas(master)
    offset = (await master.call("INFO", "replication"))["master_repl_offset"]

    async def caught_up() -> bool:
        return bool((await replica.call("INFO", "replication"))["slave_repl_offset"] >= offset)

    await until(caught_up)
    await cluster.cut(replica.id)
    return Lagging(cluster, master, others, replica)
