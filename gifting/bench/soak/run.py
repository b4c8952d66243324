"""One soak, from starting both nodes to the audit."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from gifting.bench.books import check, check_ledger
from gifting.bench.figures import percentiles
from gifting.bench.options import Audit, BenchOptions
from gifting.bench.run import CATCH_UP_WITHIN_S, GRANT, machine, shares
from gifting.bench.server import OVERRIDES, Server
from gifting.bench.soak.memory import Life
from gifting.bench.soak.options import Memory, SoakOptions, SoakResult
from gifting.errors import StartError
from gifting.ledger.embedded import running_url
from gifting.load.fleet import Fleet
from gifting.load.operator import Operator
from gifting.load.plan import Plan, Report, SenderPlan, SenderReport, ViewerPlan, ViewerReport

NODES: Final = ("first node", "second node")
SETTINGS: Final = OVERRIDES | {"GIFTING_MEMBER_RATE": "10", "GIFTING_SLOW_TIMEOUT": "10"}
"""Comings are events, and a reader that stops for long is sent away: both happen to a server that runs for long."""

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
        first = await stack.enter_async_context(Server(BenchOptions(), overrides=SETTINGS))
        url = running_url(Path(first.data_dir))
        if url is None:
            raise StartError("The first node has no Redis of its own that a second could share.")
        shared = Server(BenchOptions(), redis=url, secret=first.target.secret, overrides=SETTINGS)
        second = await stack.enter_async_context(shared)
        return await Soak(options, [first, second], show).run()


class Soak:
    """Two nodes, their rooms, and the load on them."""

    def __init__(self, options: SoakOptions, nodes: list[Server], show: Show) -> None:
        self._options = options
        self._nodes = nodes
        self._show = show
        run = secrets.token_hex(3)
        self._rooms = [f"soak-{run}-{number}" for number in range(options.rooms)]
        self._senders = [f"sender-{number}" for number in range(options.senders)]
        self._operator = Operator(nodes[0].target, "soak")
        self._current: dict[str, Life] = {}
        self._lives: list[Life] = []
        self._status = 0

    async def run(self) -> SoakResult:
        """The load, the books, the audit."""
        plans = self.plans()
        self._show("opening rooms", 0)
        await self._operator.open_rooms(self._rooms)
        await self._operator.grant(self._senders, GRANT)
        before = await self._operator.wallets(self._senders)
        self._show("connecting", 0)
        async with Fleet(plans) as fleet:
            await self._let_run(fleet)
            self._show("waiting for the last replies", 1)
            await fleet.sent()
            final = await self._operator.final_seqs(self._rooms)
            self._show("waiting for every viewer", 1)
            reports = await fleet.finish(final, CATCH_UP_WITHIN_S)
        after = await self._operator.wallets(self._senders)
        self._show("auditing", 1)
        audit = check(plans, reports, before, after)
        await check_ledger(audit, self._nodes[0].data_dir)
        memory = [life.report() for life in self._lives]
        self._check_nodes(audit)
        check_slopes(audit, memory, self._options.slope_max)
        return assemble(self._options, reports, memory, audit)

    def plans(self) -> list[Plan]:
        """Patrons, and viewers of both lanes, on each of the nodes."""
        live = round(self._options.viewers * LIVE_SHARE)
        return [*self._patrons(), *self._viewers("all", 0, self._options.viewers - live), *self._viewers("live", -live)]

    def _patrons(self) -> Iterable[Plan]:
        options = self._options
        for node, (first, count) in zip(self._nodes, shares(options.senders, len(self._nodes)), strict=False):
            yield SenderPlan(
                target=node.target,
                first=first,
                count=count,
                rooms=self._rooms,
                gift="",
                price=0,
                in_flight=1,
                rate=options.rate * count / options.senders,
                sample=1,
                lively=True,
            )

    def _viewers(self, lane: str, start: int, count: int = 0) -> Iterable[Plan]:
        """``count`` viewers from number ``start`` on; a negative start counts from the end."""
        if start < 0:
            start, count = self._options.viewers + start, -start
        for node, (first, some) in zip(self._nodes, shares(count, len(self._nodes)), strict=False):
            churn, at = self._options.stay, start + first
            yield ViewerPlan(target=node.target, first=at, count=some, rooms=self._rooms, lane=lane, churn=churn)

    async def _let_run(self, fleet: Fleet) -> None:
        """Sample the memory all along; restart the second node in the middle."""
        seconds = self._options.seconds
        for name, node in zip(NODES, self._nodes, strict=True):
            self._begin_life(name, node)
        [_, end] = fleet.begin(0, [seconds])
        start = end - int(seconds * 1e9)
        pause = min(max(seconds / SAMPLES, SAMPLE_S[0]), SAMPLE_S[1])
        restart: asyncio.Task[None] | None = None
        while (now := time.monotonic_ns()) < end:
            passed = max(0.0, (now - start) / 1e9)
            for life in tuple(self._current.values()):
                life.sample(passed)
            if self._options.restart and restart is None and passed >= seconds * RESTART_AT:
                restart = asyncio.create_task(self._restart(), name="restart")
            progress = fleet.progress()
            self._show(f"{progress.gifts:,} gifts, {progress.events:,} deliveries", passed / seconds)
            await asyncio.sleep(min(pause, (end - now) / 1e9))
        if restart is not None:
            await restart

    def _begin_life(self, name: str, node: Server) -> None:
        assert node.pid is not None
        self._current[name] = life = Life(name, node.pid)
        self._lives.append(life)

    async def _restart(self) -> None:
        """Stop the second node with SIGTERM and start it again; its new process is measured by itself."""
        name, node = NODES[1], self._nodes[1]
        del self._current[name]
        self._status = await node.restart()
        self._begin_life(f"{name}, restarted", node)

    def _check_nodes(self, audit: Audit) -> None:
        """A node ends in order, and nothing in it fails."""
        if self._status:
            audit.problems.append(f"The second node ended with {self._status} when it was stopped.")
        for name, node in zip(NODES, self._nodes, strict=True):
            if found := len(TRACEBACK.findall(text := node.log_text())):
                words = text[text.index("Traceback ") :][:1000]
                audit.problems.append(f"The {name} logged {found} tracebacks, the first: {words}")
        audit.checked.append("no node logged a traceback")


def check_slopes(audit: Audit, memory: Iterable[Memory], slope_max: float | None) -> None:
    """Growth beyond doubt is a problem, where the user has said how much is too much."""
    for one in memory:
        slope = one.slope
        if slope_max is not None and slope is not None and slope.mib_per_hour - slope.plus_minus > slope_max:
            audit.problems.append(
                f"The {one.node} grew by {slope.mib_per_hour:.1f} ± {slope.plus_minus:.1f} MiB/h; "
                f"--slope-max is {slope_max:g}."
            )


def assemble(options: SoakOptions, reports: Iterable[Report], memory: list[Memory], audit: Audit) -> SoakResult:
    """The result of a soak."""
    reports = list(reports)
    senders = [report for report in reports if isinstance(report, SenderReport)]
    viewers = [report for report in reports if isinstance(report, ViewerReport)]
    return SoakResult(
        options=options,
        machine=machine(),
        seconds=options.seconds,
        gifts=sum(report.accepted for report in senders),
        repeated=sum(report.repeated for report in senders),
        free_events=sum(report.free for report in senders),
        unsent=sum(report.unsent for report in senders),
        refused=dict(sum((Counter(report.refused) for report in senders), Counter())),
        ack=percentiles([text for report in senders for text in report.ack]),
        deliveries=sum(sum(report.events) for report in viewers),
        whims=dict(sum((Counter(report.whims) for report in viewers), Counter())),
        closes=dict(sum((Counter(report.closes) for report in viewers), Counter())),
        memory=memory,
        audit=audit,
    )
