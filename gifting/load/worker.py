"""One process of the load generator: reads its plan and its orders from stdin, reports on stdout."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any, Final

from gifting.files import raise_limit
from gifting.load import plan as plans
from gifting.load.crew import SenderCrew, ViewerCrew
from gifting.load.patrons import PatronCrew
from gifting.load.plan import Begin, Ready, SenderPlan
from gifting.load.wanderers import WandererCrew

PROGRESS_EVERY_S: Final = 0.5


def say(notice: plans.Notice) -> None:
    sys.stdout.buffer.write(plans.encode(notice) + b"\n")
    sys.stdout.buffer.flush()


async def read_lines() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=plans.LINE_MAX)
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    return reader


async def tell_progress(crew: SenderCrew | ViewerCrew) -> None:
    while True:
        await asyncio.sleep(PROGRESS_EVERY_S)
        say(crew.progress())


def crew_of(plan: plans.Plan) -> SenderCrew | ViewerCrew:
    if isinstance(plan, SenderPlan):
        return PatronCrew(plan, say) if plan.lively else SenderCrew(plan, say)
    return WandererCrew(plan) if plan.churn else ViewerCrew(plan)


async def work() -> None:
    """Follow the orders until the report; end at once when stdin does, since nobody would read it."""
    orders = await read_lines()
    plan = plans.decode_plan(await orders.readline())
    crew = crew_of(plan)
    await crew.connect()
    gc.freeze()
    say(Ready())
    teller: asyncio.Task[Any] = asyncio.create_task(tell_progress(crew))
    while line := await orders.readline():
        order = plans.decode_order(line)
        if isinstance(order, Begin):
            crew.begin(order)
        else:
            teller.cancel()
            say(await crew.finish(order))
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
