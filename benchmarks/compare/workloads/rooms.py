"""(b) Many rooms with few viewers each."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

from benchmarks.compare.load import loaded
from benchmarks.compare.options import Options
from benchmarks.compare.peer import Peer
from benchmarks.compare.workloads.fanout import at_rate
from benchmarks.compare.workloads.workload import Outcome, Workload


class Rooms(Workload):
    """Deliveries per CPU second of the server where there is little to be joined."""

    name = "rooms"
    title = "Many rooms"

    def seconds(self, options: Options) -> float:
        return 8 + options.warmup + options.seconds

    async def run(self, program: Path, peer: Peer, options: Options) -> AsyncGenerator[Outcome]:
        async with loaded(program, peer, options.rooms, 1) as (load, stack):
            await load.open_viewers(stack, options.room_viewers)
            outcome = await at_rate(load, options.rooms_rate, options.room_viewers, options)
            yield Outcome(f"{options.rooms} × {options.room_viewers}", outcome.figures, outcome.problem)


WORKLOAD = Rooms()
