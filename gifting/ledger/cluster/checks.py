"""Whether a Redis Cluster can hold what is promised: before the first gift, and from then on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Final, Protocol

from gifting.config import Settings
from gifting.errors import ClusterUnconfirmed, UnfitCluster
from gifting.health import Health
from gifting.ledger.cluster.awaited import Awaited
from gifting.ledger.cluster.exchange import FAILURES
from gifting.ledger.cluster.faults import alone, find_faults, find_losses, find_weaknesses, name
from gifting.ledger.cluster.keeping import Keeping
from gifting.ledger.cluster.rounds import Rounds
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.cluster.survey import Ask, Survey, take_survey
from gifting.ledger.cluster.topology import Node, Topology

log = logging.getLogger(__name__)

CHECK_EVERY: Final = 10.0
"""Seconds between two looks: settings can be changed at run time, and a failover makes a replica the master."""

PROBE_TIMEOUT: Final = 2000
"""Milliseconds within which a replica must have what is written to its master."""

PROBE_KEPT: Final = 60
"""Seconds until what was written is gone: who starts with too many partitions leaves nothing for good."""

PART: Final = "redis cluster"
"""What is weak is said of this part; what can lose acknowledged gifts of ``redis``, as on one Redis."""


class Watched(Protocol):
    """What is known of the cluster, and how to know it anew."""

    @property
    def topology(self) -> Topology: ...

    async def refresh(self) -> Topology: ...


class Checks:
    """``probes`` are keys that may be written to, one in each partition, ``awaited`` who must have what is written,
    ``rounds`` whether they had it.

    Attributes:
        alone: masters without a replica that is up, when it was last looked.
        silent: nodes that did not answer.
        failovers: replicas that became masters while this process ran.
        keeping: for how long what is credited is kept, as the nodes' settings were then.
    """

    def __init__(
        self,
        cluster: Watched,
        ask: Ask,
        probes: tuple[str, ...],
        settings: Settings,
        awaited: Awaited,
        rounds: Rounds,
    ) -> None:
        self._cluster = cluster
        self._ask = ask
        self._probes = probes
        self._settings = settings
        self._awaited = awaited
        self._rounds = rounds
        self._seen: Topology | None = None
        self.alone = self.silent = self.failovers = 0
        self.keeping = Keeping()

    async def require(self) -> None:
        """Refuse a cluster on which not every promise holds; warn of what is weak, or of a risk that is taken.

        While nodes are dead it is not held against their masters that nobody confirms what is written there: whoever
        starts in the midst of that serves the other partitions.

        Raises:
            UnfitCluster: the first thing that is wrong; all others are logged.
            RedisError, OSError: no node can be asked.
        """
        survey = await self._look()
        refused = [error for error in self._faults(survey) if not self._taken(error)]
        if not refused and not survey.silent:
            refused += await self._probe(survey)
        for error in refused[1:]:
            log.error("%s", error)
        if refused:
            raise refused[0]
        self._say_size(survey.topology)
        weak = find_weaknesses(survey, self._settings.durability, [slot_of(key) for key in self._probes])
        for said in (*find_losses(survey), *weak):
            log.warning("%s", said)

    def _say_size(self, topology: Topology) -> None:
        log.info(
            "%d partitions on %d masters; so many masters at most share the load, for partitions can't become more or "
            "fewer once there is data",
            len(self._probes),
            len(topology.masters),
        )

    async def watch(self, health: Health) -> None:
        """For ever: not ready while acknowledged gifts can be lost, degraded while the cluster is weak."""
        while True:
            await asyncio.sleep(CHECK_EVERY)
            try:
                survey = await self._look()
            except FAILURES:
                continue  # that it can't be reached is said by the feed
            self._tell(survey, health)

    def _tell(self, survey: Survey, health: Health) -> None:
        faults = list(self._faults(survey))
        risks = [error.detail for error in faults if error.risk and not self._settings.allow_unsafe_redis]
        weak = [error.detail for error in faults if not error.risk]
        weak += [*find_losses(survey), *self._rounds.told()]
        health.fail("redis", " ".join(risks)) if risks else health.mend("redis")
        health.degrade(PART, " ".join(dict.fromkeys(weak))) if weak else health.recover(PART)

    def _faults(self, survey: Survey) -> Iterator[UnfitCluster]:
        return find_faults(survey, self._settings.durability)

    def _taken(self, error: UnfitCluster) -> bool:
        """Whether its risk is taken, which is then warned of."""
        if error.risk and self._settings.allow_unsafe_redis:
            log.warning("%s", error.detail)
            return True
        return False

    async def _look(self) -> Survey:
        topology = await self._cluster.refresh()
        survey = await take_survey(topology, self._ask)
        if self._seen is not None:
            followed = {node for each in self._seen.ranges for node in each.replicas}
            self.failovers += len(followed.intersection(topology.masters))
        self._seen = topology
        self.keeping.learn(survey)
        self.alone, self.silent = len(alone(survey)), len(survey.silent)
        return survey

    async def _probe(self, survey: Survey) -> list[UnfitCluster]:
        """A write to each master that has partitions, and whether those replicas have it that a gift waits for."""
        keys = {survey.topology.master_of(slot_of(key)): key for key in reversed(self._probes)}
        masters = [master for master in keys if master is not None and survey.topology.replicas_of(master)]
        if not self._awaited.any:
            return []
        told = await asyncio.gather(*(self._write(master, keys[master]) for master in masters))
        failed = [f"{master} ({why})" for master, why in zip(masters, told, strict=True) if why]
        wanted = "every" if self._settings.every_replica else "1"
        said = f"What is written is not with {wanted} replica within {PROBE_TIMEOUT / 1000:.0f} s: {{}}."
        return [ClusterUnconfirmed(said.format(name(failed)))] if failed else []

    async def _write(self, master: Node, key: str) -> str:
        """Why a write was not confirmed; '' if it was. At the second try it is known how many there are."""
        return await self._try(master, key) and await self._try(master, key)

    async def _try(self, master: Node, key: str) -> str:
        asks = self._awaited.asks(master, PROBE_TIMEOUT)
        try:
            written, *said = await self._ask(master, [("SET", key, b"", "EX", PROBE_KEPT), *asks])
        except FAILURES as error:
            return str(error) or repr(error)
        return str(written) if isinstance(written, Exception) else self._awaited.lacks(master, said)
