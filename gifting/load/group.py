"""The senders and the viewers of one load process, each from their plan to their report."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Final

from gifting.load import plan as plans
from gifting.load.plan import Begin, Finish, Progress, SenderPlan, SenderReport, ViewerPlan, ViewerReport
from gifting.load.sender import Sender, SenderTally
from gifting.load.viewer import Viewer, ViewerTally

CONNECT_AT_ONCE: Final = 64
ANSWERS_WITHIN_S: Final = 15.0
"""How long senders wait for outstanding replies after the load."""

Say = Callable[[plans.Notice], None]


async def connect_all(openings: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Open connections, a few at a time."""
    gate = asyncio.Semaphore(CONNECT_AT_ONCE)

    async def one(opening: Callable[[], Awaitable[None]]) -> None:
        async with gate:
            await opening()

    async with asyncio.TaskGroup() as group:
        for opening in openings:
            group.create_task(one(opening))


class SenderGroup:
    """The senders of this process, from their plan to their report."""

    def __init__(self, plan: SenderPlan, say: Say) -> None:
        self.plan = plan
        self._say = say
        self.tally = SenderTally(plan)
        self._pacer: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self.senders = [
            self._sender(f"sender-{number}", plan.rooms[number % len(plan.rooms)])
            for number in range(plan.first, plan.first + plan.count)
        ]

    def _sender(self, user: str, room: str) -> Sender:
        return Sender(asyncio.get_running_loop(), self.tally, user, room)

    async def connect(self) -> None:
        target = self.plan.target
        await connect_all(partial(sender.open, target, target.token(sender.user)) for sender in self.senders)

    def begin(self, order: Begin) -> None:
        loop = asyncio.get_running_loop()
        self.tally.phases.schedule(loop, order)
        now = time.monotonic_ns()
        loop.call_later(max(0, order.start - now) / 1e9, self._start, order)
        loop.call_later(max(0, order.boundaries[-1] - now) / 1e9, self._stop)

    def _start(self, order: Begin) -> None:
        self.tally.open = True
        if self.plan.rate:
            self._pacer = asyncio.create_task(self._pace(order.start, order.boundaries[-1]))
        else:
            for sender in self.senders:
                sender.fill()

    async def _pace(self, start: int, end: int) -> None:
        """Send gift ``i`` at ``start + i / rate``, or as soon as possible after."""
        step = 1e9 / self.plan.rate
        offset = random.random() * step  # noqa: S311
        number = 0
        while (due := int(start + offset + number * step)) < end and self.tally.open:
            now = time.monotonic_ns()
            if due > now:
                await asyncio.sleep((due - now) / 1e9)
                continue
            self.senders[number % len(self.senders)].send(due, now)
            number += 1

    def _stop(self) -> None:
        self._settling = asyncio.create_task(self._settle(), name="settle")

    async def _settle(self) -> None:
        self.tally.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWERS_WITHIN_S):
                await self.tally.settled.wait()
        self._say(plans.Sent(self.tally.issued - self.tally.answered))

    def progress(self) -> Progress:
        return Progress(gifts=self.tally.accepted)

    async def finish(self, order: Finish) -> SenderReport:
        tally = self.tally
        unanswered = tally.issued - tally.answered
        for sender in self.senders:
            sender.close()
        return SenderReport(
            gifts=tally.phases.counts(0),
            accepted=tally.accepted,
            unanswered=unanswered,
            refused=dict(tally.refused),
            late=tally.late,
            unsent=tally.unsent,
            spent=dict(tally.spent),
            seqs=tally.seqs.encode(),
            ack=tally.phases.latencies(),
            discrepancies=tally.complaints.count,
            complaints=tally.complaints.texts,
            free=tally.free,
            repeated=tally.repeated,
            keys={room: bytes(keys) for room, keys in tally.keys.items()},
        )


class ViewerGroup:
    """The viewers of this process, from their plan to their report."""

    def __init__(self, plan: ViewerPlan) -> None:
        self.plan = plan
        self.tally = ViewerTally(plan.lane, exact=plan.churn > 0)
        self._woke = 0.0
        self._caught_up = -1.0
        self.viewers = [
            self._viewer(number, f"viewer-{number}", plan.rooms[number % len(plan.rooms)])
            for number in range(plan.first, plan.first + plan.count)
        ]
        self.slow = self._viewer(-1, "viewer-slow", plan.rooms[0], slow=True) if plan.slow else None

    def _viewer(self, number: int, user: str, room: str, *, slow: bool = False) -> Viewer:
        target, kind = self.plan.target, self.kind_of(number)
        loop = asyncio.get_running_loop()
        return kind(loop, self.tally, target=target, token=target.token(user), room=room, user=user, slow=slow)

    def kind_of(self, number: int) -> type[Viewer]:
        """What the ``number``-th viewer is."""
        return Viewer

    @property
    def everyone(self) -> list[Viewer]:
        return [*self.viewers, self.slow] if self.slow else self.viewers

    async def connect(self) -> None:
        await connect_all(viewer.join for viewer in self.everyone)

    def begin(self, order: Begin) -> None:
        self.tally.phases.schedule(asyncio.get_running_loop(), order, self._passed)

    def _passed(self) -> None:
        """The slow viewer reads nothing from the second boundary to the third."""
        if self.slow is not None:
            if self.tally.phases.number == 2:
                self.slow.pause()
            elif self.tally.phases.number == 3:
                self._woke = time.monotonic()
                self.slow.resume()

    def progress(self) -> Progress:
        if self.slow is not None and self._woke and self._caught_up < 0 and self._level_with_others():
            self._caught_up = time.monotonic() - self._woke
        return Progress(events=self.tally.events)

    def _level_with_others(self) -> bool:
        assert self.slow is not None
        others = [viewer.last for viewer in self.viewers if viewer.room == self.slow.room]
        return self.slow.last >= min(others, default=0)

    async def finish(self, order: Finish) -> ViewerReport:
        behind = await self._wait_for(order)
        self.progress()
        for viewer in self.everyone:
            viewer.stop()
        tally = self.tally
        return ViewerReport(
            events=tally.phases.counts(0),
            frames=tally.phases.counts(1),
            viewers=len(self.everyone),
            behind=len(behind),
            closes=dict(tally.closes),
            seen=tally.seen.encode(),
            delivery=tally.phases.latencies(),
            discrepancies=tally.complaints.count,
            complaints=tally.complaints.texts,
            slow_caught_up_s=self._caught_up,
            slow_closed=self.slow.closes if self.slow else 0,
            actions=dict(tally.actions),
        )

    async def _wait_for(self, order: Finish) -> list[Viewer]:
        """The viewers that don't have their room's final seq when the patience ends."""
        end = time.monotonic() + order.patience
        while True:
            self.tally.progressed.clear()
            behind = [viewer for viewer in self.everyone if viewer.last < order.final.get(viewer.room, 0)]
            if not behind or time.monotonic() > end:
                return behind
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self.tally.progressed.wait()
