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
from gifting.load.sender import Desk, Sender
from gifting.load.viewer import Gallery, Viewer

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


class SenderCrew:
    """The senders of this process, from their plan to their report."""

    def __init__(self, plan: SenderPlan, say: Say) -> None:
        self.plan = plan
        self._say = say
        self.desk = Desk(plan)
        self._pacer: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self.senders = [
            self._sender(f"sender-{number}", plan.rooms[number % len(plan.rooms)])
            for number in range(plan.first, plan.first + plan.count)
        ]

    def _sender(self, user: str, room: str) -> Sender:
        return Sender(asyncio.get_running_loop(), self.desk, user, room)

    async def connect(self) -> None:
        target = self.plan.target
        await connect_all(partial(sender.open, target, target.token(sender.user)) for sender in self.senders)

    def begin(self, order: Begin) -> None:
        loop = asyncio.get_running_loop()
        self.desk.phases.schedule(loop, order)
        now = time.monotonic_ns()
        loop.call_later(max(0, order.start - now) / 1e9, self._start, order)
        loop.call_later(max(0, order.boundaries[-1] - now) / 1e9, self._stop)

    def _start(self, order: Begin) -> None:
        self.desk.open = True
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
        while (due := int(start + offset + number * step)) < end and self.desk.open:
            now = time.monotonic_ns()
            if due > now:
                await asyncio.sleep((due - now) / 1e9)
                continue
            self.senders[number % len(self.senders)].send(due, now)
            number += 1

    def _stop(self) -> None:
        self._settling = asyncio.create_task(self._settle(), name="settle")

    async def _settle(self) -> None:
        self.desk.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWERS_WITHIN_S):
                await self.desk.settled.wait()
        self._say(plans.Sent(self.desk.issued - self.desk.answered))

    def progress(self) -> Progress:
        return Progress(gifts=self.desk.accepted)

    async def finish(self, order: Finish) -> SenderReport:
        desk = self.desk
        unanswered = desk.issued - desk.answered
        for sender in self.senders:
            sender.close()
        return SenderReport(
            gifts=desk.phases.counts(0),
            accepted=desk.accepted,
            unanswered=unanswered,
            refused=dict(desk.refused),
            late=desk.late,
            unsent=desk.unsent,
            spent=dict(desk.spent),
            seqs=desk.seqs.encode(),
            ack=desk.phases.latencies(),
            discrepancies=desk.complaints.count,
            complaints=desk.complaints.texts,
            free=desk.free,
            repeated=desk.repeated,
            keys={room: bytes(keys) for room, keys in desk.keys.items()},
        )


class ViewerCrew:
    """The viewers of this process, from their plan to their report."""

    def __init__(self, plan: ViewerPlan) -> None:
        self.plan = plan
        self.gallery = Gallery(plan.lane, exact=plan.churn > 0)
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
        return kind(loop, self.gallery, target=target, token=target.token(user), room=room, user=user, slow=slow)

    def kind_of(self, number: int) -> type[Viewer]:
        """What the ``number``-th viewer is."""
        return Viewer

    @property
    def everyone(self) -> list[Viewer]:
        return [*self.viewers, self.slow] if self.slow else self.viewers

    async def connect(self) -> None:
        await connect_all(viewer.join for viewer in self.everyone)

    def begin(self, order: Begin) -> None:
        self.gallery.phases.schedule(asyncio.get_running_loop(), order, self._passed)

    def _passed(self) -> None:
        """The slow viewer reads nothing from the second boundary to the third."""
        if self.slow is not None:
            if self.gallery.phases.number == 2:
                self.slow.pause()
            elif self.gallery.phases.number == 3:
                self._woke = time.monotonic()
                self.slow.resume()

    def progress(self) -> Progress:
        if self.slow is not None and self._woke and self._caught_up < 0 and self._level_with_others():
            self._caught_up = time.monotonic() - self._woke
        return Progress(events=self.gallery.events)

    def _level_with_others(self) -> bool:
        assert self.slow is not None
        others = [viewer.last for viewer in self.viewers if viewer.room == self.slow.room]
        return self.slow.last >= min(others, default=0)

    async def finish(self, order: Finish) -> ViewerReport:
        behind = await self._wait_for(order)
        self.progress()
        for viewer in self.everyone:
            viewer.stop()
        gallery = self.gallery
        return ViewerReport(
            events=gallery.phases.counts(0),
            frames=gallery.phases.counts(1),
            viewers=len(self.everyone),
            behind=len(behind),
            closes=dict(gallery.closes),
            seen=gallery.seen.encode(),
            delivery=gallery.phases.latencies(),
            discrepancies=gallery.complaints.count,
            complaints=gallery.complaints.texts,
            slow_caught_up_s=self._caught_up,
            slow_closed=self.slow.closes if self.slow else 0,
            whims=dict(gallery.whims),
        )

    async def _wait_for(self, order: Finish) -> list[Viewer]:
        """The viewers that don't have their room's final seq when the patience ends."""
        end = time.monotonic() + order.patience
        while True:
            self.gallery.progressed.clear()
            behind = [viewer for viewer in self.everyone if viewer.last < order.final.get(viewer.room, 0)]
            if not behind or time.monotonic() > end:
                return behind
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self.gallery.progressed.wait()
