"""One file per workload, in the order in which they run."""

from __future__ import annotations

from benchmarks.compare.workloads import fanout, gifts, idle, latency, rooms, storm
from benchmarks.compare.workloads.workload import Workload

WORKLOADS: tuple[Workload, ...] = (
    fanout.WORKLOAD,
    rooms.WORKLOAD,
    idle.WORKLOAD,
    gifts.WORKLOAD,
    storm.WORKLOAD,
    latency.WORKLOAD,
)
