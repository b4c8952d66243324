"""What a gift costs on a Redis Cluster: CPU of the node, of each master, of the replicas; beside one Redis.

    python -m benchmarks.cluster [--masters 1 2 3] [--replicas 2] [--durabilities replica every-replica]
                                 [--partitions 16] [--loads full 1000 100] [--rounds 3] [--engine PATH] [--json FILE]

Each cluster, with each durability and so many partitions, and one Redis by ``commit``, has a node of its own; they take
their turns with the same load, round by round. Figures are CPU and medians: all of it shares the machine's cores, so
times and gifts/s say little.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeVar

import psutil
from rich.console import Console
from rich.table import Table

from gifting.bench.figures import percentiles
from gifting.bench.options import BenchOptions, Percentiles
from gifting.bench.run import GRANT
from gifting.bench.server import OVERRIDES, Server
from gifting.errors import BenchFailed
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.load.fleet import Fleet
from gifting.load.operator import Operator
from gifting.load.plan import SenderPlan, SenderReport
from gifting.model.catalog import load_catalog

T = TypeVar("T")

SENDERS: Final = 200
ROOMS: Final = 32
GIFT: Final = "spark"
FULL: Final = "full"
"""The load that waits for nothing but its replies."""

IN_FLIGHT: Final = {True: 8, False: 1000}
"""Gifts of a sender that have no reply, at full load and at a rate."""

WARMUP_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One turn: gifts/s, µs of CPU per gift, ms until acked, gifts that were acked as pending."""

    gifts: float
    node: float
    masters: list[float]
    replicas: float
    p50: float
    p99: float


@dataclass(slots=True)
class Contender:
    """A server with its Redis, or with its cluster; ``name`` says which."""

    name: str
    server: Server
    rooms: list[str]
    cluster: EmbeddedCluster | None = None
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    async def processes(self) -> tuple[psutil.Process, list[psutil.Process], list[psutil.Process]]:
        """The node's, the masters', the replicas'."""
        assert self.server.pid is not None
        node = psutil.Process(self.server.pid)
        if self.cluster is None:
            return node, [child for child in node.children() if "redis" in child.name()], []
        masters = {member.pid for member in await self.cluster.masters()}
        everyone = [member.pid for member in self.cluster.nodes.values() if member.pid is not None]
        replicas = [psutil.Process(pid) for pid in everyone if pid not in masters]
        return node, [psutil.Process(pid) for pid in everyone if pid in masters], replicas


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a cluster, and when a gift counts there; ``masters`` is 0 for one Redis by ``commit``."""

    masters: int
    replicas: int = 1
    durability: str = ""
    partitions: int = 0
    """'' and 0 are the defaults."""

    @property
    def name(self) -> str:
        if not self.masters:
            return "one Redis"
        nodes = f"{self.masters} + {self.masters * self.replicas}"
        partitions = f"{self.partitions} partitions" if self.partitions else ""
        return ", ".join(filter(None, (nodes, self.durability, partitions)))


ONE_REDIS: Final = Shape(0)


async def contend(shape: Shape, engine: str, stack: AsyncExitStack) -> Contender:
    """Start one, its rooms open and its senders' wallets full."""
    cluster, url, overrides = None, "", dict(OVERRIDES)
    if shape.masters:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gifting-bench-")))
        binary = Path(engine) if engine else None
        cluster = EmbeddedCluster(folder, masters=shape.masters, replicas=shape.replicas, binary=binary)
        stack.push_async_callback(cluster.stop)
        url = await cluster.start()
    if shape.durability:
        overrides["GIFTING_DURABILITY"] = shape.durability
    if shape.partitions:
        overrides["GIFTING_PARTITIONS"] = str(shape.partitions)
    server = await stack.enter_async_context(Server(BenchOptions(), redis=url, overrides=overrides))
    found = Contender(shape.name, server, [f"room-{number}" for number in range(ROOMS)], cluster)
    operator = Operator(server.target)
    await operator.open_rooms(found.rooms)
    await operator.grant_each((f"sender-{number}" for number in range(SENDERS)), GRANT)
    return found


async def turn(of: Contender, load: str, seconds: float) -> Sample:
    """Load it for ``seconds`` after the warm-up. Raises BenchFailed: not every gift was taken."""
    node, masters, replicas = await of.processes()
    everyone = [node, *masters, *replicas]
    (before, after), gifts, ack = await loaded(of, load, seconds, partial(cpu_seconds, everyone))
    cost = [(then - now) / gifts * 1e6 for now, then in zip(before, after, strict=True)]
    share = cost[1 : 1 + len(masters)]
    return Sample(gifts / seconds, cost[0], share, sum(cost[1 + len(masters) :]), ack.p50, ack.p99)


async def loaded(
    of: Contender, load: str, seconds: float, read: Callable[[int], Awaitable[T]]
) -> tuple[tuple[T, T], int, Percentiles]:
    """What was read at both ends of ``seconds`` after the warm-up (monotonic ns), gifts in between, ms until acked.

    Raises BenchFailed: not every gift was taken.
    """
    full = load == FULL
    plan = SenderPlan(
        target=of.server.target,
        first=0,
        count=SENDERS,
        rooms=of.rooms,
        gift=GIFT,
        price=load_catalog()[GIFT].coins,
        in_flight=IN_FLIGHT[full],
        rate=0.0 if full else float(load),
        sample=100,
    )
    async with Fleet([plan]) as fleet:
        before, after = [await read(at) for at in fleet.begin(WARMUP_S, [seconds])]
        await fleet.sent()
        [report] = await fleet.finish({}, 0.0)
    assert isinstance(report, SenderReport)
    [gifts] = report.gifts
    if report.unanswered or report.refused or report.complaints or not gifts:
        raise BenchFailed(f"{of.name}: {report.unanswered} gifts had no reply, {report.refused}, {report.complaints}")
    return (before, after), gifts, percentiles(report.ack)


async def cpu_seconds(processes: Iterable[psutil.Process], at: int) -> list[float]:
    """Of each, at a time (monotonic ns)."""
    await asyncio.sleep(max(0, at - time.monotonic_ns()) / 1e9)
    return [sum(process.cpu_times()[:2]) for process in processes]


async def measure(
    shapes: Sequence[Shape], loads: Sequence[str], rounds: int, seconds: float, engine: str
) -> list[Contender]:
    """All of them in turn; who begins changes with each round."""
    async with AsyncExitStack() as stack:
        everyone = [await contend(shape, engine, stack) for shape in shapes]
        for number in range(rounds):
            for load in loads:
                for place in range(len(everyone)):
                    one = everyone[(place + number) % len(everyone)]
                    one.samples.setdefault(load, []).append(await turn(one, load, seconds))
        return everyone


def rows(found: Sequence[Contender]) -> Iterator[tuple[str, ...]]:
    """A line for each load and contender: medians."""
    for load in found[0].samples:
        for one in found:
            samples = one.samples[load]
            node, masters = _middle(sample.node for sample in samples), _middle(sum(s.masters) for s in samples)
            busiest = _middle(max(sample.masters) for sample in samples)
            rest = (_middle(sample.replicas for sample in samples), _middle(sample.p50 for sample in samples))
            numbers = (node, masters, busiest, *rest, _middle(sample.p99 for sample in samples))
            head = (load if load == FULL else f"{int(load):,}/s", one.name)
            yield (
                *head,
                f"{_middle(sample.gifts for sample in samples):,.0f}",
                *(f"{value:,.1f}" for value in numbers),
            )


def _middle(values: Iterable[float]) -> float:
    return median(values)


def table(found: Sequence[Contender]) -> Table:
    """CPU in µs per gift."""
    made = Table(box=None, padding=(0, 1))
    for title in ("load", "ledger"):
        made.add_column(title, no_wrap=True)
    for title in ("gifts/s", "node", "masters", "busiest master", "replicas", "ack p50, ms", "p99"):
        made.add_column(title, justify="right")
    for row in rows(found):
        made.add_row(*row)
    return made


def told(found: Sequence[Contender]) -> dict[str, Any]:
    """For JSON."""
    return {
        one.name: {load: [asdict(sample) for sample in samples] for load, samples in one.samples.items()}
        for one in found
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description="What a gift costs on a cluster.")
    parser.add_argument("--masters", type=int, nargs="+", default=[1, 2, 3], help="Clusters of so many.")
    parser.add_argument("--replicas", type=int, default=1, help="Of each master.")
    parser.add_argument("--durabilities", nargs="+", default=[""], help="Each cluster with each of these.")
    parser.add_argument("--partitions", type=int, nargs="+", default=[0], help="Each cluster with so many of them.")
    parser.add_argument("--loads", nargs="+", default=[FULL, "1000", "100"], help="full, or gifts/s.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="Of each turn.")
    parser.add_argument("--engine", default="", help="A redis-server or valkey-server for the clusters.")
    parser.add_argument("--json", default="", help="Keep all turns in this file.")
    given = vars(parser.parse_args(arguments))
    file = given.pop("json")
    clusters = product(
        given.pop("masters"), [given.pop("replicas")], given.pop("durabilities"), given.pop("partitions")
    )
    given["shapes"] = [ONE_REDIS, *(Shape(*each) for each in clusters)]
    found = asyncio.run(measure(**given))
    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table(found))
    if file:
        Path(file).write_text(json.dumps(told(found), indent=1))


if __name__ == "__main__":
    main()
