"""One soak, from starting both nodes to the audit."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from gifting.bench.options import Audit, BenchOptions
from gifting.bench.reconcile import check, check_ledger
from gifting.bench.run import CATCH_UP_WITHIN_S, GRANT, shares
from gifting.bench.server import OVERRIDES, Server
from gifting.bench.soak.chaos import Chaos
from gifting.bench.soak.faults import Breakage
from gifting.bench.soak.figures import assemble, check_slopes
from gifting.bench.soak.keys import check_keys
from gifting.bench.soak.memory import Life
from gifting.bench.soak.options import SoakOptions, SoakResult
from gifting.bench.soak.proxy import Proxy
from gifting.bench.soak.shim import FaultShim
from gifting.errors import BenchFailed
from gifting.ledger.embedded import find_binary, running_url
from gifting.load.fleet import Fleet
from gifting.load.operator import Operator
from gifting.load.plan import Plan, Report, SenderPlan, SenderReport, ViewerPlan

NODES: Final = ("first node", "second node")
SETTINGS: Final = OVERRIDES | {"GIFTING_MEMBER_RATE": "10", "GIFTING_SLOW_TIMEOUT": "10"}
"""Comings are events, and a reader that stops for long is sent away: both happen to a server that runs for long."""

UNDER_FAULTS: Final = {"GIFTING_SLOW_TIMEOUT": "10", "GIFTING_LOG_KEEP": "10000000"}
"""The limits of users are in force, as they are meant for strangers; and no log is cut, so that it can be audited."""

FINISH_WITHIN_S: Final = 300.0
"""Longest wait for the load's reports; a load process that does not end is a failure of its own."""

QUIET_S: Final = 3.0
"""The last fault is so long before the end of the load."""

SAMPLES: Final = 1000
"""Memory is sampled about this many times."""

SAMPLE_S: Final = (0.1, 10.0)
"""Shortest and longest pause between two samples."""

LIVE_SHARE: Final = 0.25
"""Of the viewers so many are on lane ``live``; the others get every event."""

RESTART_AT: Final = 0.5
"""The second node is stopped after this share of the time."""

TRACEBACK: Final = re.compile(r"^Traceback ", re.MULTILINE)

Show = Callable[[str, float], None]


async def run_soak(options: SoakOptions, show: Show = lambda text, done: None) -> SoakResult:
    """Run one soak.

    Raises:
        GiftingError: a node did not start, or refused the setup.
        LoadError: a load process failed.
    """
    async with AsyncExitStack() as stack:
        show("starting two nodes", 0)
        settings = UNDER_FAULTS if options.faults else SETTINGS
        shim = stack.enter_context(FaultShim(find_binary().name)) if options.faults and FaultShim.available() else None
        first = Server(BenchOptions(), overrides=settings | (shim.env if shim else {}))
        await stack.enter_async_context(first)
        if (url := running_url(Path(first.data_dir))) is None:
            raise BenchFailed("The first node has no Redis of its own that a second could share.")
        proxy = await stack.enter_async_context(Proxy(url)) if options.faults else None
        shared = Server(
            BenchOptions(), redis=proxy.url if proxy else url, secret=first.target.secret, overrides=settings
        )
        soak = Soak(options, [first, await stack.enter_async_context(shared)], show)
        if proxy:
            soak.chaos = Chaos(soak.nodes, Breakage(soak.nodes, proxy, url, shim, soak.rooms[0]))
        return await soak.run()


class Soak:
    """Two nodes, their rooms, and the load on them; with ``chaos``, and what is done to them."""

    def __init__(self, options: SoakOptions, nodes: list[Server], show: Show) -> None:
        self._options = options
        self.nodes = nodes
        self._show = show
        run = secrets.token_hex(3)
        self.rooms = [f"soak-{run}-{number}" for number in range(options.rooms)]
        self._senders = [f"sender-{number}" for number in range(options.senders)]
        self._operator = Operator(nodes[0].target, "soak")
        self._current: dict[str, Life] = {}
        self._lives: list[Life] = []
        self._status = 0
        self.chaos: Chaos | None = None

    async def run(self) -> SoakResult:
        """The load, its reports, the audit."""
        plans = self.plans()
        self._show("opening rooms", 0)
        await self._operator.open_rooms(self.rooms)
        await self._operator.grant_each(self._senders, GRANT)
        before = await self._operator.wallets(self._senders)
        self._show("connecting", 0)
        async with Fleet(plans) as fleet:
            await self._let_run(fleet)
            self._show("waiting for the last replies", 1)
            await fleet.sent()
            final = await self._operator.final_seqs(self.rooms)
            self._show("waiting for every viewer", 1)
            async with asyncio.timeout(FINISH_WITHIN_S):
                reports = await fleet.finish(final, CATCH_UP_WITHIN_S)
        after = await self._operator.wallets(self._senders)
        self._show("auditing", 1)
        audit = check(plans, reports, before, after)
        await self._check_chaos(audit, reports)
        await check_ledger(audit, self.nodes[0].data_dir)
        memory = [life.report() for life in self._lives]
        self._check_nodes(audit)
        check_slopes(audit, memory, self._options.slope_max)
        return assemble(self._options, reports, memory, audit, self.chaos.report() if self.chaos else [])

    def plans(self) -> list[Plan]:
        """Lively senders, and viewers of both lanes, on each of the nodes."""
        live = round(self._options.viewers * LIVE_SHARE)
        return [
            *self._lively_senders(),
            *self._viewers("all", 0, self._options.viewers - live),
            *self._viewers("live", -live),
        ]

    def _lively_senders(self) -> Iterable[Plan]:
        options = self._options
        for node, (first, count) in zip(self.nodes, shares(options.senders, len(self.nodes)), strict=False):
            yield SenderPlan(
                target=node.target,
                first=first,
                count=count,
                rooms=self.rooms,
                gift="",
                price=0,
                in_flight=1,
                rate=options.rate * count / options.senders,
                sample=1,
                lively=True,
                faults=options.faults,
            )

    def _viewers(self, lane: str, start: int, count: int = 0) -> Iterable[Plan]:
        """``count`` viewers from number ``start`` on; a negative start counts from the end."""
        if start < 0:
            start, count = self._options.viewers + start, -start
        for node, (first, some) in zip(self.nodes, shares(count, len(self.nodes)), strict=False):
            churn, at = self._options.stay, start + first
            yield ViewerPlan(target=node.target, first=at, count=some, rooms=self.rooms, lane=lane, churn=churn)

    async def _let_run(self, fleet: Fleet) -> None:
        """Sample the memory all along, while the nodes have their trouble."""
        seconds = self._options.seconds
        for name, node in zip(NODES, self.nodes, strict=True):
            self._begin_life(name, node)
        [_, end] = fleet.begin(0, [seconds])
        start = end - int(seconds * 1e9)
        pause = min(max(seconds / SAMPLES, SAMPLE_S[0]), SAMPLE_S[1])
        trouble = asyncio.create_task(self._trouble(start / 1e9, end / 1e9), name="trouble")
        while (now := time.monotonic_ns()) < end:
            if trouble.done():
                trouble.result()  # raises what went wrong with it
            passed = max(0.0, (now - start) / 1e9)
            self._sample(passed)
            progress = fleet.progress()
            faults = f", {self.chaos.total:,} faults" if self.chaos else ""
            self._show(f"{progress.gifts:,} gifts, {progress.events:,} deliveries{faults}", passed / seconds)
            await asyncio.sleep(min(pause, (end - now) / 1e9))
        await trouble
        self._sample((time.monotonic_ns() - start) / 1e9)  # one that took long to come back has no sample yet

    def _sample(self, passed: float) -> None:
        for life in tuple(self._current.values()):
            life.sample(passed)

    async def _trouble(self, start: float, end: float) -> None:
        """Faults all along, or the restart of the second node in the middle; times are monotonic seconds."""
        if self.chaos is not None:
            self._current.clear()
            await self.chaos.run(end - QUIET_S)
        elif self._options.restart:
            await asyncio.sleep(start + (end - start) * RESTART_AT - time.monotonic())
            await self._restart()

    def _begin_life(self, name: str, node: Server) -> None:
        assert node.pid is not None
        self._current[name] = life = Life(name, node.pid)
        self._lives.append(life)

    async def _restart(self) -> None:
        """Stop the second node with SIGTERM and start it again; its new process is measured by itself."""
        name, node = NODES[1], self.nodes[1]
        del self._current[name]
        self._status = await node.restart()
        self._begin_life(f"{name}, restarted", node)

    async def _check_chaos(self, audit: Audit, reports: Iterable[Report]) -> None:
        """Nothing took too long to work again, and every gift and grant is there once, by key."""
        if self.chaos is None:
            return
        audit.problems.extend(self.chaos.problems)
        audit.problems.extend([problem for probe in self.chaos.probes if (problem := await probe.problem())])
        audit.checked.append(f"both nodes worked again after each of {self.chaos.total:,} faults")
        if url := running_url(Path(self.nodes[0].data_dir)):
            await check_keys(audit, url, [report for report in reports if isinstance(report, SenderReport)])

    def _check_nodes(self, audit: Audit) -> None:
        """A node ends in order, and nothing in it fails."""
        if self._status:
            audit.problems.append(f"The second node ended with {self._status} when it was stopped.")
        for name, node in zip(NODES, self.nodes, strict=True):
            if found := len(TRACEBACK.findall(text := node.log_text())):
                words = text[text.index("Traceback ") :][:1000]
                audit.problems.append(f"The {name} logged {found} tracebacks, the first: {words}")
        audit.checked.append("no node logged a traceback")
