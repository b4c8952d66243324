"""The inputs that a cluster of one's own tells: what calls, rooms, gifts and rounds cost its masters, and calls a node.

Each load has them in other parts: one partition or many, many gifts in a call or one. What a gift costs there is what
they cost, so often as they are in it; the costs are those that fit all loads best, and none is below 0. A node that is
not full takes more for a gift, as each wakes it: its costs are those of full ones, as nodes of the plan are.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from itertools import product
from operator import mul
from statistics import median
from typing import Final, NamedTuple

from benchmarks.cluster import FULL, Contender, Shape, contend, cpu_seconds, loaded

PARTITIONS: Final = (1, 16, 64, 256)
LOADS: Final = (FULL, "5000", "1000", "100")
TURNS: Final = 3
SECONDS: Final = 4.0
STEPS: Final = 20_000
"""Of the fit; it is far nearer than the figures are by then."""

COMMANDS: Final = {"calls": "evalsha", "rooms": "zmscore", "rounds": "wait"}
"""By which it is counted: ``credit`` asks for the ranks of a room once a call."""


class Spent(NamedTuple):
    """Up to now: seconds of CPU, and what masters took."""

    node: float
    masters: float
    calls: float
    rooms: float
    rounds: float

    def since(self, before: Spent) -> Spent:
        return Spent(*(now - then for now, then in zip(self, before, strict=True)))

    def times(self, factor: float) -> Spent:
        return Spent(*(part * factor for part in self))


class Load(NamedTuple):
    """Of a gift: µs of the node and of all masters, its two calls, its room and its rounds, shared with other gifts."""

    node_us: float
    masters_us: float
    calls: float
    rooms: float
    rounds: float


async def measure() -> list[tuple[str, float]]:
    """Each input's name and what was found; takes some five minutes, and wants the machine for itself."""
    return list(fitted([found async for found in _loads()]))


def fitted(loads: Sequence[tuple[str, Load]]) -> Iterator[tuple[str, float]]:
    """What costs what; and how far that is from what was measured, of masters with each load."""
    rows = [(load.calls, load.rooms, 1.0, load.rounds) for _, load in loads]
    found = _fit(rows, [load.masters_us for _, load in loads])
    yield from zip(("call", "room", "gift", "round"), found, strict=True)
    full = [load for name, load in loads if name == FULL]
    of_node = _fit([(1.0, load.calls) for load in full], [load.node_us for load in full])
    yield from zip(("node_gift", "node_call"), of_node, strict=True)
    for (name, load), row in zip(loads, rows, strict=True):
        parts = f"{load.calls:.3f} calls, {load.rooms:.2f} rooms, {load.rounds:.2f} rounds a gift"
        measured = f"{load.masters_us:,.0f} µs of masters, {load.node_us:,.0f} of the node"
        yield f"{name}: {parts}; {measured}; masters by the fit", _dot(row, found)


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


async def _loads() -> AsyncIterator[tuple[str, Load]]:
    """Medians of turns, by the load; all clusters are there at once, and take their turns."""
    async with AsyncExitStack() as stack:
        everyone = [await contend(Shape(3, partitions=number), "", stack) for number in PARTITIONS]
        idle = [await _idle(one) for one in everyone]
        turns = {at: list[Load]() for at in product(range(len(everyone)), LOADS)}
        for _ in range(TURNS):
            for load, (place, one) in product(LOADS, enumerate(everyone)):
                turns[place, load].append(await take_turn(one, load, idle[place]))
    for (_, name), found in turns.items():
        yield name, Load(*map(median, zip(*found, strict=True)))


async def _idle(of: Contender) -> Spent:
    """A second of it, with no load."""
    began = time.monotonic_ns()
    before, after = [await _spent(of, began + int(end * 1e9)) for end in (0.0, SECONDS)]
    return after.since(before).times(1 / SECONDS)


async def take_turn(of: Contender, load: str, idle: Spent) -> Load:
    """A load, less what a second costs that is ``idle``."""
    (before, after), gifts, _ = await loaded(of, load, SECONDS, lambda at: _spent(of, at))
    own = after.since(before).since(idle.times(SECONDS)).times(1 / gifts)
    return Load(own.node * 1e6, own.masters * 1e6, own.calls, own.rooms, own.rounds)


async def _spent(of: Contender, at: int) -> Spent:
    """At a time (monotonic ns)."""
    node, masters, _ = await of.processes()
    assert of.cluster is not None
    of_node, *of_masters = await cpu_seconds([node, *masters], at)
    told = [await member.call("INFO", "commandstats") for member in await of.cluster.masters()]
    counts = {
        name: sum(said.get(f"cmdstat_{command}", {}).get("calls", 0) for said in told)
        for name, command in COMMANDS.items()
    }
    return Spent(of_node, sum(of_masters), **counts)
