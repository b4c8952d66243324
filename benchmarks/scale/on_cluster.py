"""The inputs that a cluster of one's own tells: what scripts, blobs and rounds cost masters, and calls a node.

Each load has them in other parts: one partition or many, many gifts in a call or one. What a gift costs there is what
they cost, so often as they are in it; the costs are those that fit all loads best, and none is below 0.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from itertools import product
from operator import mul
from statistics import median
from typing import Final, NamedTuple

import psutil

from benchmarks.cluster import FULL, ROOMS, Contender, Shape, contend, loaded
from benchmarks.scale.inputs import INSTRUCTIONS_US, Inputs
from gifting.ledger.keys import partition_of

PARTITIONS: Final = (1, 16, 64)
LOADS: Final = (FULL, "1000", "100")
TURNS: Final = 3
SECONDS: Final = 4.0
STEPS: Final = 20_000
"""Of the fit; it is far nearer than the figures are by then."""


class Spent(NamedTuple):
    """Up to now: seconds of CPU, and commands that masters took."""

    node: float
    masters: float
    calls: float
    rounds: float

    def since(self, before: Spent) -> Spent:
        return Spent(*(now - then for now, then in zip(self, before, strict=True)))


class Load(NamedTuple):
    """Of a gift: µs of the node and of all masters, calls that its two halves are in, and rounds."""

    partitions: int
    node_us: float
    masters_us: float
    calls: float
    rounds: float

    @property
    def size(self) -> float:
        """Gifts in a call: half of the calls are debits."""
        return max(1.0, 2 / self.calls)

    @property
    def blobs(self) -> float:
        """Of a gift's call, shared by its gifts: each goes to one of the rooms at random."""
        places = len({partition_of(f"host-room-{number}", self.partitions) for number in range(ROOMS)})
        return places * -math.expm1(self.size * math.log1p(-1 / places)) / self.size if places > 1 else 1 / self.size


async def measure() -> list[tuple[str, float]]:
    """Each input's name and what was found; takes some four minutes, and wants the machine for itself."""
    loads = [load async for load in _loads()]
    return list(fitted(loads, Inputs()))


def fitted(loads: Sequence[Load], of: Inputs) -> Iterator[tuple[str, float]]:
    """By what all of these cost; what scripts count is as in ``of``."""
    rows = [(_scripts(load, of), load.blobs, 1.0, load.rounds) for load in loads]
    speed, blob, rest, rounds = _fit(rows, [load.masters_us for load in loads])
    yield "instructions a µs", INSTRUCTIONS_US / speed if speed else math.inf
    for name in ("debit_first", "debit_next", "credit_first", "credit_next"):
        yield name, getattr(of, name) * speed
    yield from (("blob", blob), ("gift_rest", rest), ("round", rounds))
    yield from zip(("node_gift", "node_call"), _fit(*_of_nodes(loads)), strict=True)
    for load in loads:
        told = speed * _scripts(load, of) + blob * load.blobs + rest + rounds * load.rounds
        at = f"{load.partitions} partitions, {load.size:.1f} in a call, {load.rounds:.2f} rounds"
        yield f"{at}: {load.masters_us:.1f} µs, by the fit", told


def _scripts(load: Load, of: Inputs) -> float:
    """µs of both halves, as ``of`` has them."""
    first: float = of.debit_first + of.credit_first
    following: float = of.debit_next + of.credit_next
    return (first + (load.size - 1) * following) / load.size


def _of_nodes(loads: Sequence[Load]) -> tuple[list[tuple[float, ...]], list[float]]:
    return [(1.0, load.calls) for load in loads], [load.node_us for load in loads]


def _fit(rows: Sequence[Sequence[float]], found: Sequence[float]) -> list[float]:
    """The factors of columns, none below 0, of which the sums are nearest to what was found, each by its own size."""
    scaled = [[value / whole for value in row] for row, whole in zip(rows, found, strict=True)]
    columns = list(zip(*scaled, strict=True))
    factors = [0.0] * len(columns)
    for _ in range(STEPS):
        for place, column in enumerate(columns):
            left = [1 - _dot(row, factors) for row in scaled]
            factors[place] = max(0.0, factors[place] + _dot(column, left) / _dot(column, column))
    return factors


def _dot(one: Iterable[float], other: Iterable[float]) -> float:
    return float(sum(map(mul, one, other)))


async def _loads() -> AsyncIterator[Load]:
    """Medians of turns; all clusters are there at once, and take their turns."""
    async with AsyncExitStack() as stack:
        everyone = [(number, await contend(Shape(3, partitions=number), "", stack)) for number in PARTITIONS]
        idle = {number: await _idle(one) for number, one in everyone}
        turns = {at: list[Load]() for at in product(PARTITIONS, LOADS)}
        for _ in range(TURNS):
            for load, (number, one) in product(LOADS, everyone):
                turns[number, load].append(await _turn(number, one, load, idle[number]))
    for found in turns.values():
        yield Load(*map(median, zip(*found, strict=True)))


async def _idle(of: Contender) -> Spent:
    """A second of it, with no load."""
    before, after = [await _spent(of, time.monotonic_ns() + int(wait * 1e9)) for wait in (1.0, SECONDS)]
    return Spent(*(part / SECONDS for part in after.since(before)))


async def _turn(partitions: int, of: Contender, load: str, idle: Spent) -> Load:
    (before, after), gifts, _ = await loaded(of, load, SECONDS, lambda at: _spent(of, at))
    alone = Spent(*(part * SECONDS for part in idle))
    own = after.since(before).since(alone)
    return Load(partitions, own.node / gifts * 1e6, own.masters / gifts * 1e6, own.calls / gifts, own.rounds / gifts)


async def _spent(of: Contender, at: int) -> Spent:
    """At a time (monotonic ns)."""
    node, masters, _ = await of.processes()
    assert of.cluster is not None
    await asyncio.sleep(max(0, at - time.monotonic_ns()) / 1e9)
    seconds = [_seconds(process) for process in (node, *masters)]
    told = [await member.call("INFO", "commandstats") for member in await of.cluster.masters()]
    calls, rounds = (
        sum(said.get(f"cmdstat_{name}", {}).get("calls", 0) for said in told) for name in ("evalsha", "wait")
    )
    return Spent(seconds[0], sum(seconds[1:]), calls, rounds)


def _seconds(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))
