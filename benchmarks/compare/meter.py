"""CPU and memory of a peer, from the operating system: its processes and their children, Redis apart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psutil

from benchmarks.compare.peer import Running

SETTLED_S: Final = 0.5
SETTLE_WITHIN_S: Final = 8.0
POLL_S: Final = 0.1
SETTLED_SHARE: Final = 0.001
"""Memory that changes by less than this has settled."""


@dataclass(frozen=True, slots=True)
class Reading:
    """CPU seconds so far (user + system) and resident bytes."""

    at: float
    server_cpu: float
    redis_cpu: float
    server_rss: int
    redis_rss: int


class Meter:
    """Reads a running peer."""

    def __init__(self, running: Running) -> None:
        self._servers = running.servers
        self._redis = running.redis

    def read(self) -> Reading:
        """Now. A process that ends takes its CPU seconds with it."""
        redis = family(self._redis)
        servers = [one for one in family(self._servers) if one not in redis]
        return Reading(
            time.monotonic(),
            sum(map(_cpu, servers)),
            sum(map(_cpu, redis)),
            sum(map(_resident, servers)),
            sum(map(_resident, redis)),
        )

    async def settled(self) -> Reading:
        """A reading once memory has not changed for ``SETTLED_S``, after ``SETTLE_WITHIN_S`` at the latest."""
        reading = kept = self.read()
        start = time.monotonic()
        while reading.at - kept.at < SETTLED_S and reading.at - start < SETTLE_WITHIN_S:
            await asyncio.sleep(POLL_S)
            reading = self.read()
            if abs(reading.server_rss - kept.server_rss) > SETTLED_SHARE * kept.server_rss:
                kept = reading
        return reading


def family(pids: Sequence[int]) -> list[psutil.Process]:
    """These processes and all below them, each once."""
    found: dict[psutil.Process, None] = {}
    for pid in pids:
        try:
            root = psutil.Process(pid)
            found |= dict.fromkeys([root, *root.children(recursive=True)])
        except psutil.Error:
            continue
    return list(found)


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return times.user + times.system


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
