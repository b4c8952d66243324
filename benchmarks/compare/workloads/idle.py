"""(c) Memory of viewers that only listen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from benchmarks.compare.load import loaded
from benchmarks.compare.options import Options
from benchmarks.compare.peer import Peer
from benchmarks.compare.workloads.workload import Outcome, Workload


class Idle(Workload):
    """Growth of the server's resident memory while the viewers enter one room, divided by them."""

    name = "idle"
    title = "Idle viewers"

    def seconds(self, options: Options) -> float:
        return 5 + options.idle / 1000

    async def run(self, program: Path, peer: Peer, options: Options) -> AsyncGenerator[Outcome]:
        async with loaded(program, peer, 1, 1) as (load, stack):
            before = await load.meter.settled()
            start = asyncio.get_running_loop().time()
            await load.open_viewers(stack, options.idle)
            opened_s = asyncio.get_running_loop().time() - start
            after = await load.meter.settled()
            seen = await load.viewers.read()
            found = {
                "kib_per_viewer": (after.server_rss - before.server_rss) / options.idle / 1024,
                "redis_kib_per_viewer": (after.redis_rss - before.redis_rss) / options.idle / 1024,
                "opened_s": opened_s,
                "gone": float(seen.gone),
            }
            problem = f"{seen.gone} connections closed by the server" if seen.gone else ""
            yield Outcome(f"{options.idle:,}", found, problem)


WORKLOAD = Idle()
