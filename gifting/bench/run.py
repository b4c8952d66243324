"""One bench run, from starting the server to the audit."""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any, Final

from gifting.bench.calls import Calls, read_calls
from gifting.bench.figures import Window, assemble
from gifting.bench.floor import Drain, FloorTools
from gifting.bench.options import BenchOptions, BenchResult, Idle
from gifting.bench.reconcile import check, check_drained, check_ledger
from gifting.bench.server import Server
from gifting.bench.usage import Meter
from gifting.load.fleet import Fleet
from gifting.load.operator import Operator
from gifting.load.plan import Plan, SenderPlan, Target, ViewerPlan
from gifting.model.catalog import load_catalog
from gifting.wire.codec import MSGPACK

GRANT: Final = 1_000_000_000
"""Coins each sender starts with."""

OPEN_LOOP_IN_FLIGHT: Final = 1000
"""Gifts that may wait per sender when the rate is fixed; more are counted as unsent."""

SAMPLES_PER_S: Final = 1000
"""About this many gifts per second carry their send time."""

CLOSED_LOOP_SAMPLE: Final = 16
TICK_S: Final = 0.25
SETTLE_WITHIN_S: Final = 20.0
CATCH_UP_WITHIN_S: Final = 60.0
POLL_S: Final = 0.2

Show = Callable[[str, float], None]
"""Is told what goes on, and how much of it is done (0 to 1)."""


async def run_bench(options: BenchOptions, show: Show = lambda text, done: None) -> BenchResult:
    """Run one bench.

    Raises:
        GiftingError: the server did not start or refused the setup.
        LoadError: a load process failed.
    """
    async with AsyncExitStack() as stack:
        tools = stack.enter_context(FloorTools())
        us_per_send = None
        if options.floor or options.drain:
            await tools.compile()
        if options.floor:
            show("measuring the floor", 0)
            us_per_send = await tools.us_per_send()
        show("starting the server", 0)
        server = await stack.enter_async_context(Server(options))
        bench = Bench(options, server, show)
        await bench.open()
        idle = await bench.measure_idle() if options.idle else None
        if options.drain:
            await bench.open_drain(tools, stack)
        return await bench.load(us_per_send, idle)


class Bench:
    """A server, its rooms, and what is done to them."""

    def __init__(self, options: BenchOptions, server: Server, show: Show) -> None:
        self._options = options
        self._server = server
        self._show = show
        run = secrets.token_hex(3)
        self._rooms = [f"bench-{run}-{number}" for number in range(options.rooms)]
        self._operator = Operator(server.target)
        self._drain: Drain | None = None

    async def open(self) -> None:
        """Open the rooms and fill the senders' wallets."""
        self._show("opening rooms", 0)
        await self._operator.open_rooms(self._rooms)
        await self._operator.grant_each(self._senders(), GRANT)

    def _senders(self) -> list[str]:
        return [f"sender-{number}" for number in range(self._options.senders)]

    async def measure_idle(self) -> Idle:
        """Connect viewers that only listen, and see what the server grew by."""
        options = self._options
        meter = Meter(self._server.pid)
        before = await self._steady_rss(meter)
        self._show(f"connecting {options.idle:,} idle viewers", 0)
        plans = self._viewer_plans(options.idle, slow=False)
        async with Fleet(plans):
            after = await self._steady_rss(meter)
        growth = after - before
        return Idle(viewers=options.idle, rss_bytes=growth, kib_per_viewer=growth / options.idle / 1024)

    async def _steady_rss(self, meter: Meter) -> int:
        """The server's memory once it has not changed for a second."""
        seen, since, end = -1, 0.0, time.monotonic() + SETTLE_WITHIN_S
        while time.monotonic() < end:
            rss = meter.read().server_rss
            if rss != seen:
                seen, since = rss, time.monotonic()
            elif time.monotonic() - since > 1:
                break
            await asyncio.sleep(POLL_S)
        return seen

    async def open_drain(self, tools: FloorTools, stack: AsyncExitStack) -> None:
        """Connect the viewers in C."""
        self._show(f"connecting {self._options.drain:,} viewers in C", 0)
        target = self._server.target
        lines = []
        for number in range(self._options.drain):
            room = self._rooms[number % len(self._rooms)]
            join = MSGPACK.encode({"op": "join", "id": 1, "room": room, "lane": self._options.lane})
            lines.append((target.token(f"drain-{number}"), join))
        self._drain = await tools.watch(target, lines, stack)

    async def load(self, us_per_send: float | None, idle: Idle | None) -> BenchResult:
        """The load itself, and the audit."""
        options = self._options
        plans = self._plans()
        self._show("connecting", 0)
        before = await self._operator.wallets(self._senders())
        async with Fleet(plans) as fleet:
            window, calls = await self._measure(fleet)
            self._show("waiting for the last replies", 1)
            await fleet.sent()
            self._show("waiting for every viewer", 1)
            reports = await fleet.finish(await self._operator.final_seqs(self._rooms), CATCH_UP_WITHIN_S)
        after = await self._operator.wallets(self._senders())
        drained = await self._drain.read() if self._drain else None
        self._show("auditing", 1)
        audit = check(plans, reports, before, after)
        check_drained(audit, drained, options.lane)
        await check_ledger(audit, self._server.data_dir)
        return assemble(
            options,
            machine=machine(),
            window=window,
            reports=reports,
            audit=audit,
            idle=idle,
            drained=drained,
            us_per_send=us_per_send,
            calls=calls,
        )

    async def _measure(self, fleet: Fleet) -> tuple[Window, Calls | None]:
        """Let the load run; read the clocks at the boundaries of its phases and the memory in between."""
        options = self._options
        phases = [options.duration]
        if options.slow_reader:
            phases = [options.duration, options.slow_reader, options.duration]
        load = [worker.pid for worker in fleet.workers] + ([self._drain.pid] if self._drain else [])
        meter = Meter(self._server.pid, load)
        start = time.monotonic_ns()
        boundaries = fleet.begin(options.warmup, phases)
        window = Window(phases, meter.knows_server, meter.knows_redis)
        first: Calls | None = None
        for boundary in boundaries:
            while (left := (boundary - time.monotonic_ns()) / 1e9) > 0:
                await asyncio.sleep(min(left, TICK_S))
                window.tick(meter.read().server_rss)
                self._report(fleet, start, boundaries[-1])
            first = first or await read_calls(self._server.target)  # before the clocks are read
            window.mark(meter.read(), await self._drain.read() if self._drain else None)
        last = await read_calls(self._server.target)
        return window, last.since(first) if first and last else None

    def _report(self, fleet: Fleet, start: int, end: int) -> None:
        progress = fleet.progress()
        done = min(1.0, (time.monotonic_ns() - start) / (end - start))
        self._show(f"{progress.gifts:,} gifts, {progress.events:,} deliveries", done)

    def _plans(self) -> list[Plan]:
        senders: list[Plan] = list(self._sender_plans())
        return senders + list(self._viewer_plans(self._options.viewers, slow=bool(self._options.slow_reader)))

    def _sender_plans(self) -> list[SenderPlan]:
        options = self._options
        sample = max(1, int(options.rate / SAMPLES_PER_S)) if options.rate else CLOSED_LOOP_SAMPLE
        return [
            SenderPlan(
                target=self._server.target,
                first=first,
                count=count,
                rooms=self._rooms,
                gift=options.gift,
                price=load_catalog()[options.gift].coins,
                in_flight=OPEN_LOOP_IN_FLIGHT if options.rate else options.in_flight,
                rate=options.rate * count / options.senders,
                sample=sample,
            )
            for first, count in shares(options.senders, self._processes())
        ]

    def _viewer_plans(self, viewers: int, *, slow: bool) -> list[Plan]:
        target: Target = self._server.target
        return [
            ViewerPlan(
                target=target,
                first=first,
                count=count,
                rooms=self._rooms,
                lane=self._options.lane,
                slow=slow and first == 0,
            )
            for first, count in shares(viewers, self._processes())
        ]

    def _processes(self) -> int:
        return self._options.processes or max(1, (os.cpu_count() or 1) // 4)


def shares(count: int, parts: int) -> list[tuple[int, int]]:
    """``count`` things in at most ``parts`` shares: (first, how many) each."""
    parts = min(parts, count)
    bounds = [count * part // parts for part in range(parts + 1)] if parts else []
    return [(low, high - low) for low, high in pairwise(bounds)]


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": platform.machine(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
    }
