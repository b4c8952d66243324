"""How gifts share calls and blobs, and what a gift costs then. Pure."""

from __future__ import annotations

import math
from typing import NamedTuple

from benchmarks.scale.inputs import Inputs


def together(mean: float) -> float:
    """Gifts in a call that has any, where ``mean`` come in the time between two calls, at random."""
    return mean / -math.expm1(-mean) if mean > 0 else 1.0


class Batches(NamedTuple):
    """Of ``processes`` nodes with ``rate`` gifts/s each: gifts in a call and in a blob, µs of a node for a gift."""

    processes: int
    rate: float
    call: float
    blob: float
    node_us: float


def batches(of: Inputs) -> Batches:
    """As few nodes as can take the gifts: the fewer, the more gifts share a call.

    A node has a lane per partition, which sends a debit call in each ``batch_pause`` at most; a blob has those gifts of
    a call that go to one partition.
    """
    found = _batches(of, of.gifts)
    while found.node_us * found.rate / 1e6 > of.load:
        found = _batches(of, of.gifts / (found.processes + 1))
    return found


def _batches(of: Inputs, rate: float) -> Batches:
    call = together(rate * of.batch_pause / of.partitions)
    blob = together(call / of.partitions)
    return Batches(round(of.gifts / rate), rate, call, blob, of.node_gift + 2 * of.node_call / call)


class MasterCost(NamedTuple):
    """µs of a master's CPU for a gift's two halves, and the part of its core that goes for rounds."""

    debit_us: float
    credit_us: float
    rounds: float

    @property
    def gift_us(self) -> float:
        return self.debit_us + self.credit_us


def master_cost(of: Inputs, found: Batches) -> MasterCost:
    """Every node has rounds with every master, at most one in each ``batch_pause``."""
    more, half = found.call - 1, of.gift_rest / 2
    debit = (of.debit_first + more * of.debit_next) / found.call + half
    credit = (of.credit_first + more * of.credit_next) / found.call + of.blob / found.blob + half
    return MasterCost(debit, credit, found.processes / of.batch_pause * of.round / 1e6)


def masters(of: Inputs, cost: MasterCost) -> int:
    """As few as carry all partitions, whole ones; 0 where a partition is too much for a core."""
    partition = of.gifts / of.partitions * cost.gift_us / 1e6
    each = int((of.load - cost.rounds) / partition) if cost.rounds < of.load else 0
    return math.ceil(of.partitions / each) if each else 0
