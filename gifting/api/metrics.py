"""The metrics, in one table; read when they are asked for, so that the hot path keeps plain integers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gifting import __version__
from gifting.hub.hub import Hub
from gifting.keys.keeper import KeyKeeper
from gifting.ledger.feed import Feed
from gifting.ledger.ledger import Ledger
from gifting.transport.gateway import Gateway

COUNTER, GAUGE = CounterMetricFamily, GaugeMetricFamily


class Parts(NamedTuple):
    ledger: Ledger
    hub: Hub
    gateway: Gateway
    feed: Feed
    keeper: KeyKeeper


class Row(NamedTuple):
    """One metric: its name (counters get ``_total``), what it says, and where it is read.

    With a ``label``, a number is read for each of its values.
    """

    name: str
    kind: type[CounterMetricFamily | GaugeMetricFamily]
    help: str
    read: Callable[[Parts], float | Mapping[str, float]]
    label: str = ""


TABLE = (
    Row("gifting_build_info", GAUGE, "1, by version.", lambda p: {__version__: 1}, "version"),
    Row("gifting_connections", GAUGE, "Open WebSockets.", lambda p: p.gateway.limits.connected),
    Row("gifting_sockets", GAUGE, "All sockets, HTTP too.", lambda p: p.gateway.lobby.sockets),
    Row("gifting_turned_away", COUNTER, "Sockets beyond a cap.", lambda p: p.gateway.lobby.turned_away),
    Row("gifting_expired", COUNTER, "Requests that came too slowly.", lambda p: p.gateway.lobby.expired),
    Row("gifting_held", COUNTER, "Times that a sender had to wait.", lambda p: p.gateway.throttle.holds),
    Row("gifting_floods", COUNTER, "Connections closed as too fast.", lambda p: p.gateway.throttle.closed),
    Row("gifting_rooms", GAUGE, "Rooms with subscribers here.", lambda p: len(p.hub.rooms)),
    Row("gifting_frames", COUNTER, "Frames with events, per subscriber.", lambda p: p.hub.counters.frames),
    Row("gifting_deliveries", COUNTER, "Events, per subscriber.", lambda p: p.hub.counters.events),
    Row("gifting_gaps", COUNTER, "Times that a log no longer had it all.", lambda p: p.hub.counters.gaps),
    Row("gifting_catching_up", GAUGE, "Connections that wait for a replay.", lambda p: len(p.hub.replays)),
    Row("gifting_ledger_items", COUNTER, "Gifts and events committed.", lambda p: p.ledger.batcher.items),
    Row("gifting_ledger_batches", COUNTER, "Ledger calls.", lambda p: p.ledger.batcher.batches),
    Row("gifting_ledger_queue", GAUGE, "Gifts waiting for the ledger.", lambda p: p.ledger.batcher.queued),
    Row("gifting_coins_issued", COUNTER, "Coins granted, on all nodes.", lambda p: p.ledger.upkeep.coins.issued),
    Row("gifting_coins_spent", COUNTER, "Coins of gifts, on all nodes.", lambda p: p.ledger.upkeep.coins.spent),
    Row("gifting_clock_steps", COUNTER, "Steps of Redis' clock.", lambda p: p.ledger.upkeep.clock.steps),
    Row("gifting_ledger_halted", GAUGE, "1 if the books are closed.", lambda p: bool(p.ledger.halt.why)),
    Row("gifting_revocations", GAUGE, "Revocations known here.", lambda p: len(p.ledger.revocations)),
    Row("gifting_jwks_age_seconds", GAUGE, "Age of the fetched JWKS; 0: none.", lambda p: p.keeper.age),
    Row("gifting_feed_healthy", GAUGE, "1 if the feed is heard of.", lambda p: p.feed.healthy),
    Row("gifting_feed_reconnects", COUNTER, "Feeds made anew.", lambda p: max(p.feed.reconnects, 0)),
)


class _Collector(Collector):
    """The table's rows, and what the kernel says of the process; all with the label ``node``."""

    def __init__(self, parts: Parts, node: str) -> None:
        self._parts = parts
        self._node = node
        self._process = ProcessCollector(registry=None)

    def collect(self) -> Iterator[Metric]:
        yield from map(self._family, TABLE)
        yield from map(self._named, self._process.collect())

    def _family(self, row: Row) -> Metric:
        found = row.read(self._parts)
        values = found if isinstance(found, Mapping) else {"": found}
        family = row.kind(row.name, row.help, labels=["node", row.label] if row.label else ["node"])
        for name, value in values.items():
            family.add_metric([self._node, name] if row.label else [self._node], value)
        return family

    def _named(self, metric: Metric) -> Metric:
        metric.samples = [sample._replace(labels={"node": self._node, **sample.labels}) for sample in metric.samples]
        return metric


def make_registry(parts: Parts, node: str) -> CollectorRegistry:
    """The metrics of one process; ``node`` tells it from the others behind the same port, also after a restart."""
    registry = CollectorRegistry()
    registry.register(_Collector(parts, node))
    return registry
