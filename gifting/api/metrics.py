"""The metrics, in one table; read when they are asked for, so that the hot path keeps plain integers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gifting import __version__
from gifting.economy.economy import Economy
from gifting.economy.payers.registry import KNOWN
from gifting.economy.providers.base import Reason
from gifting.errors import all_errors
from gifting.histogram import Histogram
from gifting.hub.hub import Hub
from gifting.ledger.engine import AnyFeed, ClusterEngine
from gifting.ledger.ledger import Ledger
from gifting.model.consequences import State
from gifting.signing.keeper import KeyKeeper
from gifting.transport.gateway import Gateway
from gifting.wire.close import CloseCode
from gifting.wire.frame_parser import INVALID_DATA, PROTOCOL_ERROR, TOO_BIG

Value = float | Histogram
Kind = Literal["counter", "gauge", "histogram"]

COUNTER: Final[Kind] = "counter"
GAUGE: Final[Kind] = "gauge"
HISTOGRAM: Final[Kind] = "histogram"


class Parts(NamedTuple):
    ledger: Ledger
    hub: Hub
    gateway: Gateway
    feed: AnyFeed
    keeper: KeyKeeper
    economy: Economy


class Row(NamedTuple):
    """One metric: its name (counters get ``_total``), what it says, and where it is read.

    With a ``label``, one value is read for each of the label's.
    """

    name: str
    kind: Kind
    help: str
    read: Callable[[Parts], Value | Mapping[str, Value]]
    label: str = ""


def _refusals(parts: Parts) -> dict[str, Value]:
    """Every code from the start, so that the first of its kind is seen as an increase."""
    found = parts.hub.counters.refusals
    return {error.code: found[error.code] for error in all_errors()}


def _closes(parts: Parts) -> dict[str, Value]:
    found = parts.hub.counters.closes
    return {str(int(code)): found[code] for code in (*CloseCode, *PROTOCOL_CLOSES)}


def _returned(parts: Parts) -> int:
    return parts.economy.reconciliation.overpaid.returned


def _backlog(parts: Parts) -> float:
    return parts.ledger.upkeep.backlog.seconds


def _payer_failures(parts: Parts) -> dict[str, Value]:
    payouts = parts.economy.payouts
    return {name: payouts.failures[name] for name in KNOWN}


def _payouts_money(parts: Parts) -> dict[str, Value]:
    return {parts.economy.payouts.currency: 0, **parts.ledger.upkeep.waiting.money}


def _webhooks(parts: Parts) -> dict[str, Value]:
    found = parts.economy.purchases.refused + parts.economy.payout_news.refused
    return {str(reason): found[reason] for reason in Reason}


def _purchases(parts: Parts) -> dict[str, Value]:
    found = parts.economy.purchases.reached
    return {str(state): found[state] for state in State}


def _cluster(read: Callable[[ClusterEngine], float]) -> Callable[[Parts], float]:
    """0 on one Redis."""
    return lambda parts: read(engine) if isinstance(engine := parts.ledger.engine, ClusterEngine) else 0


PROTOCOL_CLOSES = (PROTOCOL_ERROR, INVALID_DATA, TOO_BIG)

PROCESS = (
    "process_virtual_memory_bytes",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_max_fds",
)
"""What the kernel says of the process, as all exporters name it."""

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
    Row("gifting_ledger_items", COUNTER, "Gifts and events committed.", lambda p: p.ledger.batcher.counts.items),
    Row("gifting_ledger_batches", COUNTER, "Ledger calls.", lambda p: p.ledger.batcher.counts.batches),
    Row("gifting_ledger_queue", GAUGE, "Gifts waiting for the ledger.", lambda p: p.ledger.batcher.queued),
    Row(
        "gifting_ack_seconds",
        HISTOGRAM,
        "A gift or event, from queued until told.",
        lambda p: p.ledger.batcher.counts.acks,
    ),
    Row(
        "gifting_commit_seconds",
        HISTOGRAM,
        "A ledger call, until answered; on a cluster a round of them.",
        lambda p: p.ledger.batcher.counts.took,
    ),
    Row(
        "gifting_delivery_seconds", HISTOGRAM, "Feed to socket, per reader.", lambda p: p.hub.counters.delivery, "lane"
    ),
    Row("gifting_cluster_masters_alone", GAUGE, "Masters without a replica.", _cluster(lambda e: e.checks.alone)),
    Row(
        "gifting_cluster_nodes_silent",
        GAUGE,
        "Nodes of it that are dead.",
        _cluster(lambda e: e.checks.silent),
    ),
    Row(
        "gifting_cluster_unheld_seconds",
        GAUGE,
        "How long no write to a master has been confirmed.",
        _cluster(lambda e: e.links.rounds.seconds),
    ),
    Row("gifting_cluster_failovers", COUNTER, "Replicas that became masters.", _cluster(lambda e: e.checks.failovers)),
    Row("gifting_outbox_seconds", GAUGE, "Age of what is not credited.", _cluster(lambda e: e.relay.seconds)),
    Row(
        "gifting_outbox_entries",
        GAUGE,
        "Debits in outboxes, with what is credited and kept.",
        _cluster(lambda e: e.relay.items),
    ),
    Row(
        "gifting_outbox_holes",
        GAUGE,
        "Pairs of partitions of which gifts are missing.",
        _cluster(lambda e: len(e.relay.holes)),
    ),
    Row("gifting_fenced", GAUGE, "Notes of credits that lost their debit.", _cluster(lambda e: e.relay.fenced)),
    Row("gifting_refusals", COUNTER, "Messages, upgrades and requests refused.", _refusals, "code"),
    Row("gifting_closes", COUNTER, "WebSockets that the server closed.", _closes, "code"),
    Row("gifting_likes", COUNTER, "Likes, as folded.", lambda p: p.ledger.free.likes),
    Row("gifting_coins_issued", COUNTER, "Coins granted, on all nodes.", lambda p: p.ledger.upkeep.coins.issued),
    Row("gifting_coins_spent", COUNTER, "Coins of gifts, on all nodes.", lambda p: p.ledger.upkeep.coins.spent),
    Row("gifting_purchases", COUNTER, "Orders that came to a state here.", _purchases, "state"),
    Row("gifting_webhooks_refused", COUNTER, "Webhooks not believed.", _webhooks, "reason"),
    Row("gifting_payment_mismatches", COUNTER, "Money of no order.", lambda p: p.economy.purchases.mismatches),
    Row("gifting_payout_mismatches", COUNTER, "Payouts of other money.", lambda p: p.economy.payouts.mismatches),
    Row("gifting_payment_surplus", COUNTER, "Orders paid once more.", lambda p: p.economy.purchases.surplus),
    Row("gifting_payment_surplus_returned", COUNTER, "Of these, given back.", _returned),
    Row("gifting_reconciled", COUNTER, "Effects no webhook told of.", lambda p: p.economy.reconciliation.found),
    Row("gifting_payouts", GAUGE, "Payouts under way.", lambda p: p.ledger.upkeep.waiting.payouts, "state"),
    Row(
        "gifting_payouts_oldest_seconds",
        GAUGE,
        "Age of who waits longest.",
        lambda p: p.ledger.upkeep.waiting.oldest,
        "state",
    ),
    Row("gifting_payouts_money", GAUGE, "Their minor units.", _payouts_money, "currency"),
    Row("gifting_payer_failures", COUNTER, "Times that one could not be asked.", _payer_failures, "provider"),
    Row("gifting_reversals_due", GAUGE, "Reversals half done.", lambda p: p.ledger.upkeep.waiting.reversals),
    Row(
        "gifting_reversals_due_seconds",
        GAUGE,
        "Age of the oldest of them.",
        lambda p: p.ledger.upkeep.waiting.reversals_age,
    ),
    Row("gifting_cases_open", GAUGE, "Support cases open.", lambda p: p.ledger.upkeep.waiting.cases),
    Row("gifting_cases_open_seconds", GAUGE, "Age of the oldest.", lambda p: p.ledger.upkeep.waiting.cases_age),
    Row("gifting_clock_steps", COUNTER, "Steps of Redis' clock.", lambda p: p.ledger.upkeep.clock.steps),
    Row("gifting_ledger_halted", GAUGE, "1 if the books are closed.", lambda p: bool(p.ledger.halt.why)),
    Row(
        "gifting_archive_backlog_seconds",
        GAUGE,
        "Age of what is not archived.",
        lambda p: p.ledger.upkeep.backlog.seconds,
    ),
    Row("gifting_archive_backlog_items", GAUGE, "Ledger items not archived.", lambda p: p.ledger.upkeep.backlog.items),
    Row("gifting_archive_lost_events", COUNTER, "Events gone before archived.", lambda p: p.ledger.upkeep.backlog.lost),
    Row("gifting_revocations", GAUGE, "Revocations known here.", lambda p: len(p.ledger.revocations)),
    Row("gifting_jwks_age_seconds", GAUGE, "Age of the fetched JWKS; 0: none.", lambda p: p.keeper.age),
    Row("gifting_feed_healthy", GAUGE, "1 if the feed is heard of.", lambda p: p.feed.healthy),
    Row("gifting_feed_reconnects", COUNTER, "Feeds made anew.", lambda p: max(p.feed.reconnects, 0)),
)


_FAMILIES: Final[dict[Kind, Any]] = {
    COUNTER: CounterMetricFamily,
    GAUGE: GaugeMetricFamily,
    HISTOGRAM: HistogramMetricFamily,
}


class _Collector(Collector):
    """The table's rows, and what the kernel says of the process; all with the label ``node``."""

    def __init__(self, parts: Parts, node: str) -> None:
        self._parts = parts
        self._node = node
        self._process = ProcessCollector(registry=None)

    def collect(self) -> Iterator[Metric]:
        for row in TABLE:
            yield from self._family(row)
        yield from map(self._named, self._process.collect())

    def _family(self, row: Row) -> Iterator[Metric]:
        found = row.read(self._parts)
        values = found if isinstance(found, Mapping) else {"": found}
        family = _FAMILIES[row.kind](row.name, row.help, labels=["node", row.label] if row.label else ["node"])
        for name, value in values.items():
            labels = [self._node, name] if row.label else [self._node]
            if isinstance(value, Histogram):
                family.add_metric(labels, buckets=list(value.buckets()), sum_value=value.total)
            else:
                family.add_metric(labels, value)
        yield family

    def _named(self, metric: Metric) -> Metric:
        metric.samples = [sample._replace(labels={"node": self._node, **sample.labels}) for sample in metric.samples]
        return metric


def make_registry(parts: Parts, node: str) -> CollectorRegistry:
    """The metrics of one process; ``node`` tells it from the others behind the same port, also after a restart."""
    registry = CollectorRegistry()
    registry.register(_Collector(parts, node))
    return registry
