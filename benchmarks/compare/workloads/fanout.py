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
LATE_MOST = 0.01
"""Share of events that the load may send more than 10 ms late before the figures are doubted."""


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
    start, sent = await load.viewers.read(), await load.publishers.read()
    before, after = await load.window(rate, options.warmup, _seconds(rate, options))
    end = await load.drained(DRAIN_WITHIN_S)
    found = figures.fanout(before, after, viewers) | figures.faults(start, end)
    done = await load.publishers.read()
    found["late_share"] = (done.late - sent.late) / max(1, done.sent - sent.sent)
    found["publishers_gone"] = float(done.gone)
    found["behind"] = float(found["delivered"] < DELIVERED_LEAST or end.missing > 0 or end.gone + done.gone > 0)
    return Outcome(f"{rate:,.0f}/s", found, _problem(found))


def _problem(found: dict[str, float]) -> str:
    """All that is wrong, the load's own faults too; empty if nothing is."""
    parts = [figures.complaint(found)]
    if found["behind"]:
        parts.insert(0, f"fell behind: {found['delivered']:.0%} in time")
    if found["publishers_gone"]:
        parts.append(f"{found['publishers_gone']:.0f} publishers were disconnected")
    if found["late_share"] > LATE_MOST:
        parts.append(f"the load sent {found['late_share']:.0%} late itself")
    return ", ".join(part for part in parts if part)


WORKLOAD = Fanout()
