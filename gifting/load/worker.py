"""One process of the load generator: reads its plan and its orders from stdin, reports on stdout."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any, Final

from gifting.files import raise_limit
from gifting.load import plan as plans
from gifting.load.churn import ChurningViewerGroup
from gifting.load.group import SenderGroup, ViewerGroup
from gifting.load.lively import LivelySenderGroup
from gifting.load.plan import Begin, Ready, SenderPlan

PROGRESS_EVERY_S: Final = 0.5


def say(notice: plans.Notice) -> None:
    sys.stdout.buffer.write(plans.encode(notice) + b"\n")
    sys.stdout.buffer.flush()


async def read_lines() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=plans.LINE_MAX)
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    return reader


async def tell_progress(group: SenderGroup | ViewerGroup) -> None:
    while True:
        await asyncio.sleep(PROGRESS_EVERY_S)
        say(group.progress())


def group_of(plan: plans.Plan) -> SenderGroup | ViewerGroup:
    if isinstance(plan, SenderPlan):
        return LivelySenderGroup(plan, say) if plan.lively else SenderGroup(plan, say)
    return ChurningViewerGroup(plan) if plan.churn else ViewerGroup(plan)


async def work() -> None:
    """Follow the orders until the report; end at once when stdin does, since nobody would read it."""
    orders = await read_lines()
    plan = plans.decode_plan(await orders.readline())
    group = group_of(plan)
    await group.connect()
    gc.freeze()
    say(Ready())
    teller: asyncio.Task[Any] = asyncio.create_task(tell_progress(group))
    while line := await orders.readline():
        order = plans.decode_order(line)
        if isinstance(order, Begin):
            group.begin(order)
        else:
            teller.cancel()
            say(await group.finish(order))
            return


def main() -> None:
    raise_limit()
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        asyncio.run(work())
    else:
        uvloop.run(work())


if __name__ == "__main__":
    main()
