"""The plan: tables of how much of everything, and of what breaks first. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from benchmarks.scale.batches import Batches, MasterCost, batches, master_cost, masters
from benchmarks.scale.inputs import Inputs

BIT: Final = 8 / 1e9
"""Gbit of a byte."""

HEAD: Final = 80
"""Bytes of a frame beside its events."""

LOG: Final = 100_000
"""Events of a room's log, ``--log-keep``."""

SETTINGS: Final = ((16, 0.01), (64, 0.1), (64, 0.5), (256, 0.01), (256, 0.1), (256, 0.25), (256, 0.5))
"""Partitions and pauses that are compared."""


class Crowd(NamedTuple):
    """Bytes and µs of a frame, viewers of a process, processes of the great room and of all."""

    frame_bytes: float
    frame_us: float
    each: int
    room: int
    all: int


class Limit(NamedTuple):
    """Something that ends: what is asked of it, how much it can, of what."""

    what: str
    asked: float
    most: float
    unit: str
    help: str

    @property
    def used(self) -> float:
        return self.asked / self.most


def crowd(of: Inputs) -> Crowd:
    size = 2 * of.live_top * of.event_bytes + HEAD
    cost = of.frame + of.frame_kib * max(0.0, size - 200) / 1024
    intake = of.gifts * of.hot_host * of.node_event / 1e6
    each = int((of.load - intake) * 1e6 * of.live_interval / cost)
    return Crowd(size, cost, each, math.ceil(of.viewers / each), math.ceil((of.viewers + of.senders) / each))


class Plan(NamedTuple):
    """All of it."""

    inputs: Inputs
    batches: Batches
    cost: MasterCost
    masters: int
    crowd: Crowd


def plan(of: Inputs) -> Plan:
    found = batches(of)
    cost = master_cost(of, found)
    return Plan(of, found, cost, masters(of, cost), crowd(of))


Row = tuple[str, str, str]
"""What, how much, by which arithmetic."""


def needed(of: Plan) -> Iterator[Row]:
    """Calls, processes, masters."""
    i, b, c = of.inputs, of.batches, of.cost
    lanes = f"a node takes {b.rate:,.0f}/s over {i.partitions:g} partitions"
    yield "gifts in a ledger call", f"{b.call:.1f}", lanes
    yield "of one room in it", f"{b.room:.2f}", f"{i.rooms:,.0f} rooms; of the great one {b.great:.0f}"
    yield "node CPU per gift", f"{b.node_us:.1f} µs", "and its part of two calls"
    yield "processes that take gifts", f"{b.processes:,}", f"{i.gifts:,.0f}/s at {i.load:.0%} of a core each"
    yield "master CPU per gift: debit", f"{c.debit_us:.1f} µs", "its part of a call"
    yield "master CPU per gift: credit", f"{c.credit_us:.1f} µs", f"and of a room; {c.great_us:.1f} in the great room"
    yield "of each master for rounds", f"{c.rounds:.0%}", f"{b.processes:,} nodes every {i.batch_pause * 1e3:g} ms"
    yield "masters", f"{of.masters or 'none suffice'}", f"whole partitions, {i.load:.0%} of a core each"
    yield "replicas", f"{of.masters * i.replicas:,.0f}", f"{i.replicas:g} each, {_replica(of):.0%} of a core"
    yield "archivers", f"{math.ceil(_archivers(i)):,}", "two entries a gift; there is one archiver today"
    yield from _viewers(of)


def _viewers(of: Plan) -> Iterator[Row]:
    i, v = of.inputs, of.crowd
    yield (
        "a viewer's frame",
        f"{v.frame_bytes / 1024:.1f} KiB",
        f"{2 * i.live_top:g} events every {i.live_interval:g} s",
    )
    yield "node CPU per frame and viewer", f"{v.frame_us:.1f} µs", "200 B, and what it has more"
    yield "viewers of a process", f"{v.each:,}", f"{i.load:.0%} of a core"
    yield "processes of the great room's viewers", f"{v.room:,}", f"{i.viewers:,.0f} viewers"
    yield "processes of all viewers", f"{v.all:,}", f"the {i.senders:,.0f} senders, too"


def memory(of: Plan) -> Iterator[Row]:
    """Of masters and nodes."""
    i, v, shards = of.inputs, of.crowd, of.masters or 1
    keys, entries = i.gifts * i.window * i.key_bytes, i.gifts * i.archived * i.entry_bytes
    seconds = LOG / (i.gifts * i.hot_host)
    yield "keys of gifts", _bytes(keys), f"{i.key_bytes:g} B for {i.window:g} s"
    yield (
        "ledger entries",
        _bytes(entries),
        f"{i.entry_bytes:g} B for {i.archived:g} s; more, where the archive is behind",
    )
    yield "the great room's log", _bytes(LOG * i.log_bytes), f"{i.log_bytes:g} B of {LOG:,} events: {seconds:.0f} s"
    yield "a master", _bytes((keys + entries) / shards), "keys and entries, spread evenly; a replica the same"
    yield "a process full of viewers", _bytes(v.each * i.viewer_kib * 1024), f"{i.viewer_kib:g} KiB each, sockets apart"


def network(of: Plan) -> Iterator[Row]:
    """Gbit/s of each leg."""
    i, v, shards = of.inputs, of.crowd, of.masters or 1
    viewer, calls = v.frame_bytes / i.live_interval, i.gifts * 2 * i.call_bytes
    yield "to the great room's viewers", _bits(i.viewers * viewer), f"{_bits(v.each * viewer)} of each process"
    yield "gifts and replies of senders", _bits(i.gifts * (i.ask_bytes + i.ack_bytes)), "without TLS and TCP heads"
    yield "nodes to masters", _bits(calls), f"{_bits(calls / shards)} each"
    yield "a master to its replicas", _bits(i.gifts / shards * i.append_bytes * i.replicas), "and once to its disk"
    yield "the great room's events to nodes", _bits(_feed(of)), f"from one master to {v.room} processes"


def limits(of: Plan) -> list[Limit]:
    """What breaks, the nearest first."""
    return sorted((*_ledger_limits(of), *_crowd_limits(of)), key=lambda limit: -limit.used)


def _ledger_limits(of: Plan) -> Iterator[Limit]:
    i, b, c = of.inputs, of.batches, of.cost
    free, share, rounds = max(i.load - c.rounds, 1e-9), i.gifts / i.partitions, b.processes / i.batch_pause
    yield Limit(
        "archive: one archiver", 2 * i.gifts, 1e6 / i.archive_entry, "entries/s", "one per partition: not built"
    )
    yield Limit(
        "hot host: one master's core", i.gifts * i.hot_host, _hottest(of), "gifts/s", "taps folded into `count`"
    )
    yield Limit("a partition: one core", share * c.gift_us / 1e6, free, "cores", "larger calls: a longer pause")
    yield Limit("rounds with a master", rounds, i.load * 1e6 / i.round, "rounds/s", "longer pause, fewer nodes")
    yield Limit("hot sender: messages of a user", i.hot_sender, 100, "gifts/s", "`--message-rate`; a call has 512")
    yield Limit("master dead: a node's queue", _stuck(of), 20_000, "gifts", "`--batch-queue`; the rest is refused")


def _crowd_limits(of: Plan) -> Iterator[Limit]:
    i, v = of.inputs, of.crowd
    card = i.card / 8 * 1e9
    yield Limit("feed of the great room: a master's card", _feed(of), card, "B/s", "fewer, fuller processes")
    yield Limit(
        "frames of a process: its card", v.each * v.frame_bytes / i.live_interval, card, "B/s", "smaller `--live-top`"
    )
    yield Limit(
        "a process' viewers all come back", v.each * i.join / 1e6, 30, "s of CPU", "jitter, and other processes"
    )


def _hottest(of: Plan) -> float:
    """Gifts/s of a room whose master has nothing else than an even share of debits, and whose events all nodes read."""
    i, b, c = of.inputs, of.batches, of.cost
    feeding = b.processes / i.batch_pause * of.crowd.room * i.publish
    left = (i.load - c.rounds) * 1e6 - i.gifts / i.partitions * c.debit_us - feeding
    return max(left / c.great_us, 1)


def settings(of: Inputs) -> Iterator[tuple[str, ...]]:
    """What partitions and the pause decide."""
    for partitions, pause in SETTINGS:
        one = plan(replace(of, partitions=partitions, batch_pause=pause))
        waits = f"{1.5 * pause * 1e3:.0f} ms"  # half a pause for the debit, and a whole one for its credit
        yield (
            f"{partitions}",
            f"{pause * 1e3:g} ms",
            f"{one.batches.call:.1f}",
            f"{one.batches.processes:,}",
            waits,
            *_cost(one),
        )


def _cost(of: Plan) -> tuple[str, ...]:
    return f"{of.cost.gift_us:.0f}", f"{of.cost.rounds:.0%}", f"{of.masters or 'none suffice'}"


def _replica(of: Plan) -> float:
    return of.inputs.gifts / (of.masters or 1) * of.inputs.replica_gift / 1e6


def _archivers(of: Inputs) -> float:
    return 2 * of.gifts * of.archive_entry / 1e6 / of.load


def _feed(of: Plan) -> float:
    """Bytes/s."""
    return of.inputs.gifts * of.inputs.hot_host * of.inputs.event_bytes * of.crowd.room


def _stuck(of: Plan) -> float:
    """Debits of a dead master's senders; gifts to its hosts are answered `pending`."""
    return of.inputs.election * of.batches.rate / (of.masters or 1)


def _bits(rate: float) -> str:
    return f"{rate * BIT:,.2f} Gbit/s"


def _bytes(count: float) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.0f} MiB"
