"""What a run is to be, and what became of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.chaos.books import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A run's shape; ``rate`` in gifts/s of all senders, ``node_timeout`` in seconds, ``engine``: a redis-server."""

    seed: int
    faults: int = 100
    masters: int = 3
    replicas: int = 1
    gateways: int = 2
    senders: int = 24
    watchers: int = 8
    rooms: int = 6
    rate: float = 60.0
    partitions: int = 16
    node_timeout: float = 1.0
    engine: str = ""
    durability: str = "every-replica"
    patience: float = 30.0
    """Seconds after the load in which all is credited, and all viewers have the last event."""
    min_replicas: int = 1
    """``min-replicas-to-write``: with 0 nothing but WAIT keeps an ack from what no replica has. A node of ours does
    not start on such a cluster: so it is set before each fault, and none may restart a node of ours."""
    only: str = ""


@dataclass(slots=True)
class Result:
    """What happened, and whether everything holds. Times are seconds."""

    options: Options
    engine: str = ""
    seconds: float = 0.0
    gifts: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    faults: dict[str, list[float]] = field(default_factory=dict)
    """Of each kind, how long it took from its end until every node acked again."""
    deaths: list[float] = field(default_factory=list)
    """From each master's death to the first ack of a gift whose sender was its."""
    events: int = 0
    gaps: int = 0
    fenced: int = 0
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def total(self) -> int:
        return sum(map(len, self.faults.values()))

    def told(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"total": self.total}
