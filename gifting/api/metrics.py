"""The metrics, in one table; read when they are asked for, so that the hot path keeps plain integers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gifting.hub.hub import Hub
from gifting.keys.keeper import KeyKeeper
from gifting.ledger.feed import Feed
from gifting.ledger.ledger import Ledger


class Parts(NamedTuple):
    ledger: Ledger
    hub: Hub
    feed: Feed
    keeper: KeyKeeper


class Row(NamedTuple):
    """One metric: its name (counters get ``_total``), what it says, and where it is read."""

    name: str
    kind: type[CounterMetricFamily] | type[GaugeMetricFamily]
    help: str
    read: Callable[[Parts], float]


TABLE = (
    Row("gifting_connections", GaugeMetricFamily, "Open WebSockets.", lambda p: p.hub.limits.connected),
    Row("gifting_sockets", GaugeMetricFamily, "All sockets, HTTP too.", lambda p: p.hub.lobby.sockets),
    Row("gifting_turned_away", CounterMetricFamily, "Sockets beyond a cap.", lambda p: p.hub.lobby.turned_away),
    Row("gifting_expired", CounterMetricFamily, "Requests that came too slowly.", lambda p: p.hub.lobby.expired),
    Row("gifting_held", CounterMetricFamily, "Times that a sender had to wait.", lambda p: p.hub.throttle.holds),
    Row("gifting_floods", CounterMetricFamily, "Connections closed as too fast.", lambda p: p.hub.throttle.closed),
    Row("gifting_rooms", GaugeMetricFamily, "Rooms with subscribers here.", lambda p: len(p.hub.rooms)),
    Row("gifting_frames", CounterMetricFamily, "Frames with events, per subscriber.", lambda p: p.hub.counters.frames),
    Row("gifting_deliveries", CounterMetricFamily, "Events, per subscriber.", lambda p: p.hub.counters.events),
    Row("gifting_gaps", CounterMetricFamily, "Times that a log no longer had it all.", lambda p: p.hub.counters.gaps),
    Row("gifting_catching_up", GaugeMetricFamily, "Connections that wait for a replay.", lambda p: len(p.hub.replays)),
    Row("gifting_ledger_items", CounterMetricFamily, "Gifts and events committed.", lambda p: p.ledger.batcher.items),
    Row("gifting_ledger_batches", CounterMetricFamily, "Ledger calls.", lambda p: p.ledger.batcher.batches),
    Row("gifting_ledger_queue", GaugeMetricFamily, "Gifts waiting for the ledger.", lambda p: p.ledger.batcher.queued),
    Row("gifting_clock_steps", CounterMetricFamily, "Steps of Redis' clock.", lambda p: p.ledger.upkeep.clock.steps),
    Row("gifting_ledger_halted", GaugeMetricFamily, "1 if the books are closed.", lambda p: bool(p.ledger.halt.why)),
    Row("gifting_revocations", GaugeMetricFamily, "Revocations known here.", lambda p: len(p.ledger.revocations)),
    Row("gifting_jwks_age_seconds", GaugeMetricFamily, "Age of the fetched JWKS; 0: none.", lambda p: p.keeper.age),
    Row("gifting_feed_healthy", GaugeMetricFamily, "1 if the feed is heard of.", lambda p: p.feed.healthy),
    Row("gifting_feed_reconnects", CounterMetricFamily, "Feeds made anew.", lambda p: max(p.feed.reconnects, 0)),
)


class _Collector(Collector):
    def __init__(self, parts: Parts, node: str) -> None:
        self._parts = parts
        self._node = node

    def collect(self) -> Iterator[Metric]:
        for row in TABLE:
            family = row.kind(row.name, row.help, labels=["node"])
            family.add_metric([self._node], row.read(self._parts))
            yield family


def make_registry(parts: Parts, node: str) -> CollectorRegistry:
    """The metrics of one process; ``node`` tells it from the others behind the same port."""
    registry = CollectorRegistry()
    registry.register(_Collector(parts, node))
    return registry
