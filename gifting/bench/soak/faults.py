"""The faults themselves: what is done to processes, to the way to Redis, to its clock and its disk."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import psutil
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gifting.bench.server import Server
from gifting.bench.soak.floods import FLOODS, Flood
from gifting.bench.soak.proxy import Proxy
from gifting.bench.soak.shim import FaultShim
from gifting.bench.usage import is_redis
from gifting.errors import StartError
from gifting.ledger.embedded.binary import PID_NAME

START_WITHIN_S: Final = 30.0
"""Longest time that a node is started again and again, seconds."""

START_AGAIN_S: Final = 0.1
MET_WITHIN_S: Final = 5.0
"""Longest wait for the load to meet a fault."""

CLOCK_STEP_S: Final = 900.0
"""Largest step of Redis' clock, either way: longer than gifts' keys are remembered."""

CLOCK_HOLD_S: Final = (0.2, 1.5)
STALL_S: Final = (0.2, 1.0)
MUTE_S: Final = (0.0, 0.3)
REWRITE_DELAY_US: Final = 2000
"""Pause of a rewrite after each key, so that it is killed in the middle."""

WEIGHTS: Final = {"node": 1, "redis": 2, "wire": 3, "clock": 2, "disk": 2, "flood": 1}
"""How often each fault of such a kind comes in a round."""


class Kind(NamedTuple):
    """One kind of fault: what it is called, what it does, how often it comes in a round."""

    name: str
    do: Callable[[], Awaitable[None]]
    weight: int


class Breakage:
    """What can be done to two nodes: the first has its Redis embedded, the second reaches it through ``proxy``."""

    def __init__(self, nodes: list[Server], proxy: Proxy, redis_url: str, shim: FaultShim | None, room: str) -> None:
        self._nodes = nodes
        self._proxy = proxy
        self._redis_url = redis_url
        self._shim = shim
        self._room = room
        self._rng = random.Random()  # noqa: S311
        self._floods: set[asyncio.Task[None]] = set()
        self.problems: list[str] = []

    def kinds(self) -> list[Kind]:
        """All that can be done here."""
        kinds = [
            Kind("first node killed", partial(self._kill_node, 0), WEIGHTS["node"]),
            Kind("second node killed", partial(self._kill_node, 1), WEIGHTS["node"]),
            Kind("node drained and restarted", self._drain, WEIGHTS["node"]),
            Kind("node and Redis killed", self._kill_both, WEIGHTS["node"]),
            Kind("Redis killed", self._kill_redis, WEIGHTS["redis"]),
            Kind("Redis killed in a rewrite", self._kill_rewriting, WEIGHTS["redis"]),
            Kind("replies lost", self._lose_replies, WEIGHTS["wire"]),
            Kind("connections to Redis cut", self._cut, WEIGHTS["wire"]),
            Kind("scripts forgotten", self._forget_scripts, WEIGHTS["wire"]),
            *(Kind(f"flood: {name}", partial(self._flood, flood), WEIGHTS["flood"]) for name, flood in FLOODS.items()),
        ]
        if (shim := self._shim) is not None:
            kinds += [
                Kind("clock ahead", partial(self._step_clock, 1), WEIGHTS["clock"]),
                Kind("clock behind", partial(self._step_clock, -1), WEIGHTS["clock"]),
                Kind("fsync failed", partial(self._break_disk, shim.fail_fsync), WEIGHTS["disk"]),
                Kind("killed before the fsync", partial(self._break_disk, shim.die_at_fsync), WEIGHTS["disk"]),
                Kind("fsync stalled", partial(self._break_disk, shim.stall_fsync), WEIGHTS["disk"]),
                Kind("disk full", partial(self._break_disk, shim.disk_full), WEIGHTS["disk"]),
            ]
        return kinds

    async def heal(self) -> None:
        """All is well again; floods are waited for."""
        self._proxy.mend()
        if self._shim is not None:
            self._shim.clear()
        if self._floods:
            await asyncio.wait(self._floods)

    # Processes.

    async def _kill_node(self, number: int) -> None:
        await self._nodes[number].die()
        await _start(self._nodes[number])

    async def _drain(self) -> None:
        number = self._rng.randrange(len(self._nodes))
        if status := await self._nodes[number].restart():
            self.problems.append(f"Node {number + 1} ended with {status} when it was stopped.")

    async def _kill_redis(self) -> None:
        """The process that the pid file names, if it is a Redis still."""
        with suppress(OSError, ValueError, psutil.Error):
            pid = int((Path(self._nodes[0].data_dir) / PID_NAME).read_text())
            if is_redis(psutil.Process(pid)):
                os.kill(pid, signal.SIGKILL)

    async def _kill_both(self) -> None:
        node = self._rng.choice(self._nodes)
        await self._kill_redis()
        await node.die()
        await _start(node)

    async def _kill_rewriting(self) -> None:
        async with Redis.from_url(self._redis_url) as client:
            with suppress(RedisError):
                await client.config_set("rdb-key-save-delay", REWRITE_DELAY_US)
                await client.bgrewriteaof()
        await asyncio.sleep(self._rng.uniform(*MUTE_S))
        await self._kill_redis()

    # The way to Redis.

    async def _lose_replies(self) -> None:
        """What Redis says to the second node is lost for a moment, and then the connections."""
        self._proxy.swallowed.clear()
        self._proxy.mute = True
        with suppress(TimeoutError):
            async with asyncio.timeout(MET_WITHIN_S):
                await self._proxy.swallowed.wait()
        await asyncio.sleep(self._rng.uniform(*MUTE_S))
        self._proxy.mend()
        self._proxy.cut()

    async def _cut(self) -> None:
        self._proxy.cut(refuse=True)
        await asyncio.sleep(self._rng.uniform(*MUTE_S))
        self._proxy.mend()

    async def _forget_scripts(self) -> None:
        async with Redis.from_url(self._redis_url) as client:
            with suppress(RedisError):
                await client.script_flush()

    # Clock and disk of Redis.

    async def _step_clock(self, sign: int) -> None:
        assert self._shim is not None
        self._shim.step_clock(sign * self._rng.uniform(1, CLOCK_STEP_S))
        try:
            await asyncio.sleep(self._rng.uniform(*CLOCK_HOLD_S))
        finally:
            self._shim.clear()

    async def _break_disk(self, fault: Callable[[], None]) -> None:
        """A fault, until the load has met it and a little longer."""
        assert self._shim is not None
        met, end = self._shim.syncs + self._shim.writes, time.monotonic() + MET_WITHIN_S
        fault()
        try:
            while self._shim.syncs + self._shim.writes == met and time.monotonic() < end:
                await asyncio.sleep(0.005)
            await asyncio.sleep(self._rng.uniform(*STALL_S))
        finally:
            self._shim.clear()

    # Strangers.

    async def _flood(self, flood: Flood) -> None:
        """Begin one; other faults come while it lasts."""
        task = asyncio.create_task(_quietly(flood, self._rng.choice(self._nodes), self._room), name="flood")
        self._floods.add(task)
        task.add_done_callback(self._floods.discard)


async def _start(node: Server) -> None:
    """As whoever keeps a node running would: again until it runs, for it ends where there is no Redis yet.

    Raises:
        StartError: it never did.
    """
    end = time.monotonic() + START_WITHIN_S
    while True:
        try:
            return await node.launch_again()
        except StartError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(START_AGAIN_S)


async def _quietly(flood: Flood, node: Server, room: str) -> None:
    async with AsyncExitStack() as stack:
        stack.enter_context(suppress(OSError, TimeoutError))
        await flood(node.target, room)
