"""All load processes, from the side of the one who ordered them."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Self

from gifting.load import plan as plans
from gifting.load.plan import Begin, Finish, Plan, Progress, Ready, Report, SenderPlan, Sent

CONNECT_WITHIN_S: Final = 120.0
STOP_WITHIN_S: Final = 5.0
LEAD_NS: Final = 300_000_000
"""Between the order to begin and the beginning, so that every process has heard of it."""


class LoadError(RuntimeError):
    """A load process failed; its own words are on stderr."""


class Worker:
    """One load process."""

    def __init__(self, process: asyncio.subprocess.Process, plan: Plan) -> None:
        self.plan = plan
        self.progress = Progress()
        self.report: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        self.ready = asyncio.Event()
        self.sent: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._process = process
        self._reader = asyncio.create_task(self._read(), name="load worker")

    @property
    def pid(self) -> int:
        return self._process.pid

    def order(self, document: Plan | plans.Order) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(plans.encode(document) + b"\n")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            notice = plans.decode_notice(line)
            if isinstance(notice, Ready):
                self.ready.set()
            elif isinstance(notice, Progress):
                self.progress = notice
            elif isinstance(notice, Sent):
                self.sent.set_result(notice.unanswered)
            else:
                self.report.set_result(notice)

    async def until(self, what: asyncio.Future[Any]) -> None:
        """Wait for ``what``.

        Raises:
            LoadError: the process ended first.
        """
        await asyncio.wait([what, self._reader], return_when=asyncio.FIRST_COMPLETED)
        if not what.done():
            what.cancel()
            raise LoadError(f"Load process {self.pid} ended with {await self._process.wait()}.")

    async def stop(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await self._process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        await asyncio.wait([self._reader])
        for future in (self.report, self.sent):
            future.cancel()


class Fleet:
    """Load processes that begin together. Leaving the ``async with`` ends them all."""

    def __init__(self, fleet_plans: Sequence[Plan]) -> None:
        self._plans = fleet_plans
        self.workers: list[Worker] = []

    async def __aenter__(self) -> Self:
        """Start and connect everything.

        Raises:
            LoadError: a process failed.
            TimeoutError: connecting took longer than ``CONNECT_WITHIN_S``.
        """
        try:
            for plan in self._plans:
                await self._start(plan)
            async with asyncio.timeout(CONNECT_WITHIN_S):
                for worker in self.workers:
                    await worker.until(asyncio.create_task(worker.ready.wait()))
        except BaseException:
            await self.close()
            raise
        return self

    async def _start(self, plan: Plan) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gifting.load.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=plans.LINE_MAX,
            start_new_session=True,
        )
        worker = Worker(process, plan)
        self.workers.append(worker)
        worker.order(plan)

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await asyncio.gather(*(worker.stop() for worker in self.workers))

    def begin(self, warmup: float, phases: Sequence[float]) -> list[int]:
        """Order the load: ``warmup`` seconds, then phases of the given seconds.

        Returns:
            The boundaries of the phases, monotonic ns.
        """
        start = time.monotonic_ns() + LEAD_NS
        boundaries = [start + int(warmup * 1e9)]
        for seconds in phases:
            boundaries.append(boundaries[-1] + int(seconds * 1e9))
        for worker in self.workers:
            worker.order(Begin(start, boundaries))
        return boundaries

    def progress(self) -> Progress:
        """Gifts and events so far, over all processes."""
        return Progress(
            sum(worker.progress.gifts for worker in self.workers),
            sum(worker.progress.events for worker in self.workers),
        )

    async def sent(self) -> int:
        """Wait until the senders are through; returns how many gifts got no reply."""
        unanswered = 0
        for worker in self.workers:
            if isinstance(worker.plan, SenderPlan):
                await worker.until(worker.sent)
                unanswered += worker.sent.result()
        return unanswered

    async def finish(self, final: dict[str, int], patience: float) -> list[Report]:
        """Wait for the viewers to have the ``final`` seqs, ``patience`` seconds at most; then the reports."""
        for worker in self.workers:
            worker.order(Finish(final, patience))
        for worker in self.workers:
            await worker.until(worker.report)
        return [worker.report.result() for worker in self.workers]
