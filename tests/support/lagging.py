"""A master with two replicas, one of which lags, and takes over all the same."""

from __future__ import annotations

from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.node import Node
from tests.support.waiting import until


class Lagging:
    """``master`` goes on, and ``confirming`` has all of it; what came since, ``replica`` has not got."""

    def __init__(self, cluster: EmbeddedCluster, master: Node, confirming: Node, replica: Node) -> None:
        self._cluster = cluster
        self.master, self.confirming, self.replica = master, confirming, replica

    async def takes_over(self) -> None:
        """The two others die, and come back as its replicas."""
        await self._cluster.kill(self.confirming.id)
        await self._cluster.kill(self.master.id)
        await self._cluster.promote(self.replica.id, "TAKEOVER")
        await self._cluster.join(self.replica.id)
        await self._cluster.restart(self.confirming.id)
        await self._cluster.restart(self.master.id)
        await self._cluster.settle()


async def let_one_lag(cluster: EmbeddedCluster, slot: int) -> Lagging:
    """From now on; what its master had until now it has."""
    master = await cluster.owner(slot)
    confirming, replica = await cluster.replicas(master)
    offset = (await master.call("INFO", "replication"))["master_repl_offset"]

    async def caught_up() -> bool:
        return bool((await replica.call("INFO", "replication"))["slave_repl_offset"] >= offset)

    await until(caught_up)
    await cluster.cut(replica.id)
    return Lagging(cluster, master, confirming, replica)
