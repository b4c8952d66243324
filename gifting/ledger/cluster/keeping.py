"""For how long what is credited stays in outboxes: as long as a replica may lack it, and still be elected by itself.

A replica is elected if what it last heard of its master is no older than ``cluster-node-timeout`` times
``cluster-replica-validity-factor`` and ``repl-ping-replica-period``, not counting the time in which the others found
out that the master is dead (``clusterHandleReplicaFailover`` of Redis 7 and Valkey 8). Where its link was cut without a
word that age begins only when it gives the link up, after ``repl-timeout``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from gifting.ledger.cluster.survey import LAGS, Survey

log = logging.getLogger(__name__)

USUAL: Final = 120_000
"""Ms of a node that does not tell: by the node timeout that deployments have, 5 s, and what Redis has by default."""

LONGEST: Final = 900_000
"""Ms at most: 1,000 gifts/s are 130 to 290 MB in 15 min."""


def lag_of(settings: Mapping[str, str]) -> int | None:
    """Ms by which a node with these settings may lag and still be elected; None: it may whatever it lacks."""
    timeout, factor, ping, silence = (int(settings.get(name, usual)) for name, usual in LAGS.items())
    return timeout * factor + 1000 * (ping + silence) if factor else None


class Keeping:
    """``ms``: the longest that any node asks for. Who does not answer is taken at its last word."""

    def __init__(self) -> None:
        self.ms = USUAL
        self._told: dict[str, int] = {}

    def learn(self, survey: Survey) -> None:
        """What its nodes say now."""
        told = self._told | {str(each.node): _asked_for(each.settings) for each in survey.facts}
        nodes = {*map(str, survey.topology.nodes), *survey.silent}
        self._told = {node: ms for node, ms in told.items() if node in nodes}
        untold = nodes - self._told.keys()
        self._keep(max([*self._told.values(), *([USUAL] if untold else [])], default=USUAL))

    def _keep(self, ms: int) -> None:
        if ms != self.ms:
            log.info("replicas may lag by %.0f s and be elected: so long what is credited is kept", ms / 1000)
        self.ms = ms


def _asked_for(settings: Mapping[str, str] | None) -> int:
    lag = lag_of(settings or {})
    return LONGEST if lag is None else min(lag, LONGEST)
