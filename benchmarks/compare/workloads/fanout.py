"""(a) One room with many viewers, at rising rates, until the peer falls behind."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

from benchmarks.compare import figures
from benchmarks.compare.load import Load, loaded
from benchmarks.compare.options import DELIVERED_LEAST, DRAIN_WITHIN_S, PUBLISHERS, Options
from benchmarks.compare.peer import Peer
from benchmarks.compare.workloads.workload import Outcome, Workload

SAMPLE = 16
"""One latency in so many is recorded."""
LOW_RATE = 50
"""Events/s below which twice as long is measured: there is little CPU to be read off the clock's ticks."""


class Fanout(Workload):
    """Deliveries per CPU second of the server, by rate."""

    name = "fanout"
    title = "One room"

    def seconds(self, options: Options) -> float:
        return 3 + sum(options.warmup + _seconds(rate, options) + 0.5 for rate in options.rates)

    async def run(self, program: Path, peer: Peer, options: Options) -> AsyncGenerator[Outcome]:
        async with loaded(program, peer, 1, PUBLISHERS) as (load, stack):
            await load.open_viewers(stack, options.viewers, SAMPLE)
            for rate in options.rates:
                outcome = await at_rate(load, rate, options.viewers, options)
                yield outcome
                if outcome.figures["behind"]:
                    break


def _seconds(rate: float, options: Options) -> float:
    return options.seconds * (2 if rate < LOW_RATE else 1)


async def at_rate(load: Load, rate: float, viewers: int, options: Options) -> Outcome:
    """One window at ``rate`` events/s in all, each of which goes to ``viewers`` viewers."""
    start = await load.viewers.read()
    before, after = await load.window(rate, options.warmup, _seconds(rate, options))
    end = await load.drained(DRAIN_WITHIN_S)
    found = figures.fanout(before, after, viewers) | figures.faults(start, end)
    found["late"] = (await load.publishers.read()).late
    found["behind"] = float(found["delivered"] < DELIVERED_LEAST or end.missing > 0 or end.gone > 0)
    problem = figures.complaint(found)
    if found["behind"]:
        problem = f"fell behind: {found['delivered']:.0%} in time" + (f", {problem}" if problem else "")
    return Outcome(f"{rate:,.0f}/s", found, problem)


WORKLOAD = Fanout()
