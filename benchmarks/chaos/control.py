"""The negative control: acks wait for no replica, and the master dies while it is cut off: gifts must be lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from benchmarks.chaos.run import run
from benchmarks.chaos.shape import Options, Result

CUT_KIND: Final = "replication cut, then master killed"
TIMES: Final = 3


async def lose(options: Options) -> Result:
    """One run with ``--durability disk`` in which nothing but that is done, a few times."""
    return await run(replace(options, durability="disk", min_replicas=0, only=CUT_KIND, faults=TIMES, patience=1.0))
