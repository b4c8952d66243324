"""(a) One room with many viewers, at rising rates, until the peer falls behind."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

from benchmarks.compare import figures
from benchmarks.compare.load import Load, loaded
from benchmarks.compare.options import DELIVERED_LEAST, DRAIN_WITHIN_S, PUBLISHERS, RATES, Options
from benchmarks.compare.peer import Peer
from benchmarks.compare.workloads.workload import Outcome, Workload

SAMPLE_FROM = 1000
"""Events/s from which one latency in ``SAMPLE`` is recorded."""
SAMPLE = 16


class Fanout(Workload):
    """Deliveries per CPU second of the server, by rate."""

    name = "fanout"
    title = "One room"

    def seconds(self, options: Options) -> float:
        return 4 + len(RATES) * (options.warmup + options.seconds + 0.5)

    async def run(self, program: Path, peer: Peer, options: Options) -> AsyncGenerator[Outcome]:
        async with loaded(program, peer, 1, PUBLISHERS) as (load, stack):
            await load.open_viewers(stack, options.viewers, SAMPLE)
            for rate in RATES:
                outcome = await at_rate(load, rate, options.viewers, options)
                yield outcome
                if outcome.figures["behind"]:
                    break


async def at_rate(load: Load, rate: float, viewers: int, options: Options) -> Outcome:
    """One window at ``rate`` events/s in all, each of which goes to ``viewers`` viewers."""
    start = await load.viewers.read()
    before, after = await load.window(rate, options.warmup, options.seconds)
    end = await load.drained(DRAIN_WITHIN_S)
    found = figures.fanout(before, after, viewers) | figures.faults(start, end)
    found["late"] = (await load.publishers.read()).late
    found["behind"] = float(found["delivered"] < DELIVERED_LEAST or end.missing > 0 or end.gone > 0)
    problem = figures.complaint(found)
    if found["behind"]:
        problem = f"fell behind: {found['delivered']:.0%} in time" + (f", {problem}" if problem else "")
    return Outcome(f"{rate:,.0f}/s", found, problem)


WORKLOAD = Fanout()
