"""(f) Time until an event is with a viewer, at a load that leaves every peer idle headroom."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

from benchmarks.compare import fsync
from benchmarks.compare.load import loaded
from benchmarks.compare.options import PUBLISHERS, Options
from benchmarks.compare.peer import Peer
from benchmarks.compare.workloads.fanout import at_rate
from benchmarks.compare.workloads.workload import Outcome, Workload

HEADROOM = 0.7
"""Cores above which a server has no headroom left."""


class Latency(Workload):
    """Percentiles of the time from when an event was to be sent until it has arrived, and of an fsync before it."""

    name = "latency"
    title = "Latency"

    def seconds(self, options: Options) -> float:
        return 3 + options.warmup + 3 * options.seconds

    async def run(self, program: Path, peer: Peer, options: Options) -> AsyncGenerator[Outcome]:
        longer = replace(options, seconds=2 * options.seconds)
        disk = await fsync.probe(options.few_rate, options.seconds)
        async with loaded(program, peer, 1, PUBLISHERS) as (load, stack):
            await load.open_viewers(stack, options.few_viewers)
            outcome = await at_rate(load, options.few_rate, options.few_viewers, longer)
            problem = outcome.problem
            if not problem and outcome.figures["server_cores"] > HEADROOM:
                problem = f"no headroom: {outcome.figures['server_cores']:.0%} of a core"
            yield Outcome(f"{options.few_viewers} at {options.few_rate:,.0f}/s", outcome.figures | disk, problem)


WORKLOAD = Latency()
