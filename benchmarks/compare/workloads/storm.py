"""(e) A reconnect storm: all viewers drop at once, miss something, and come back together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from benchmarks.compare import figures
from benchmarks.compare.load import Load, loaded
from benchmarks.compare.options import DRAIN_WITHIN_S, Options
from benchmarks.compare.peer import Peer, PeerError
from benchmarks.compare.workloads.workload import Outcome, Workload
from gifting.bench.driver import Counters

RATE = 5.0
"""Events/s all the while; low, so that the time is that of coming back."""
AWAY_S = 2.0
LIVE_WITHIN_S = 20.0
AT_ONCE = 500
"""Handshakes at a time. The usual accept queue has 511 places, and a SYN beyond it is repeated a second later."""
POLL_S = 0.05


class Storm(Workload):
    """Seconds until the last viewer is live again, and what that costs.

    Live is, where the peer replays, who has everything up to the newest event; else, who has got a new event.
    """

    name = "storm"
    title = "Reconnect storm"

    def seconds(self, options: Options) -> float:
        return 10 + options.storm / 700

    async def run(self, program: Path, peer: Peer, options: Options) -> AsyncGenerator[Outcome]:
        async with loaded(program, peer, 1, 1) as (load, stack):
            await load.open_viewers(stack, options.storm)
            await _some_events(load)
            positions = [await peer.position(load.running, room) for room in load.rooms] if peer.replays else []
            comeback = load.prepare_return(options.storm, AT_ONCE, positions)
            before = await load.moment()
            load.viewers.tell("drop")
            await load.viewers.read()  # answered when all have dropped: nobody gets an event too many
            load.publishers.tell(f"go {RATE} {AWAY_S + LIVE_WITHIN_S}")
            await asyncio.sleep(AWAY_S)
            load.viewers.tell(comeback)
            live = await _all_live(load, options.storm)
            after = await load.moment()
            load.publishers.tell("stop")
            end = await load.drained(DRAIN_WITHIN_S)
            found = figures.usage(before, after) | figures.faults(before.viewers, end)
            found |= {"live_s": live.live_s, "lossy": end.lossy, "retries": end.retries, "live": live.live}
            yield Outcome(f"{options.storm:,}", found, _problem(found, peer.replays, options.storm))


async def _some_events(load: Load) -> None:
    """So that everyone has a position; returns once everyone has them all."""
    load.publishers.tell("go 10 0.5")
    while (seen := await load.publishers.read()).going or not seen.sent:
        await asyncio.sleep(POLL_S)
    if (await load.drained(DRAIN_WITHIN_S)).missing:
        raise PeerError("Events were missing before the storm began.")


async def _all_live(load: Load, viewers: int) -> Counters:
    """The counters when everyone is live, or after ``LIVE_WITHIN_S``."""
    end = asyncio.get_running_loop().time() + LIVE_WITHIN_S
    while (seen := await load.viewers.read()).live < viewers and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(POLL_S)
    return seen


def _problem(found: dict[str, float], replays: bool, viewers: int) -> str:
    if found["live"] < viewers:
        return f"only {found['live']:,.0f} of {viewers:,} were live after {LIVE_WITHIN_S:.0f} s"
    if not replays:
        return ""  # what was missed is lost, as it says itself; the table shows the number
    return figures.complaint(found)


WORKLOAD = Storm()
