"""How gifts share calls and rooms, and what a gift costs then. Pure."""

from __future__ import annotations

import math
from typing import NamedTuple

from benchmarks.scale.inputs import Inputs


def together(mean: float) -> float:
    """Gifts in a call that has any, where ``mean`` come in the time between two calls, at random."""
    return mean / -math.expm1(-mean) if mean > 0 else 1.0


class Batches(NamedTuple):
    """Of ``processes`` nodes with ``rate`` gifts/s each: gifts in a call, and there of one room; of the great room in
    a call; µs of a node for a gift.
    """

    processes: int
    rate: float
    call: float
    room: float
    great: float
    node_us: float


def batches(of: Inputs) -> Batches:
    """As few nodes as can take the gifts: the fewer, the more gifts share a call.

    A node has lanes to and from each partition, which send a debit and a credit call in each ``batch_pause`` at most.
    """
    found = _batches(of, of.gifts)
    while found.node_us * found.rate / 1e6 > of.load:
        found = _batches(of, of.gifts / (found.processes + 1))
    return found


def _batches(of: Inputs, rate: float) -> Batches:
    call = together(rate * of.batch_pause / of.partitions)
    room = together(call * of.partitions / of.rooms)
    great = together(rate * of.batch_pause * of.hot_host)
    return Batches(round(of.gifts / rate), rate, call, room, great, of.node_gift + 2 * of.node_call / call)


class MasterCost(NamedTuple):
    """µs of a master's CPU for a gift's two halves, and for a credit of the great room's; the part of its core that
    goes for rounds.
    """

    debit_us: float
    credit_us: float
    great_us: float
    rounds: float

    @property
    def gift_us(self) -> float:
        return self.debit_us + self.credit_us


def master_cost(of: Inputs, found: Batches) -> MasterCost:
    """Every node has rounds with every master, at most one in each ``batch_pause``."""
    debit = of.call / found.call + of.gift / 2
    credit = debit + of.room / found.room
    great = (of.call + of.room) / found.great + of.gift / 2
    return MasterCost(debit, credit, great, found.processes / of.batch_pause * of.round / 1e6)


def masters(of: Inputs, cost: MasterCost) -> int:
    """As few as carry all partitions, whole ones; 0 where a partition is too much for a core."""
    partition = of.gifts / of.partitions * cost.gift_us / 1e6
    each = int((of.load - cost.rounds) / partition) if cost.rounds < of.load else 0
    return math.ceil(of.partitions / each) if each else 0
