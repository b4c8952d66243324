"""The comparison: rounds of all peers in turn, one cell after the other."""

from __future__ import annotations

import asyncio
import datetime
import platform
import tempfile
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.compare.options import Options
from benchmarks.compare.peer import Peer
from benchmarks.compare.process import raise_file_limit
from benchmarks.compare.registry import describe
from benchmarks.compare.results import FAILED, Results, Sample
from benchmarks.compare.workloads.workload import Workload
from gifting.bench.native import compile_drive
from gifting.bench.run import machine

PATIENCE = 4.0
"""A cell is given up after this many times as long as it should take, and ``GRACE_S`` more."""
GRACE_S = 60.0


class Cell(NamedTuple):
    """One peer in one workload in one round."""

    round: int
    workload: Workload
    peer: type[Peer]


Progress = Callable[[Cell, float], None]
"""Told before each cell, with the share of the time that is behind us; 1 at the end of the last."""


def plan(peers: Sequence[type[Peer]], workloads: Sequence[Workload], options: Options) -> list[Cell]:
    """Within a round each workload takes the peers in turn: what drifts on the machine drifts for all of them."""
    return [
        Cell(number, workload, peer)
        for number in range(1, options.rounds + 1)
        for workload in workloads
        for peer in peers
        if workload.suits(peer)
    ]


def estimate(cells: Sequence[Cell], options: Options) -> float:
    """Seconds that these cells take, about."""
    return sum(cell.workload.seconds(options) for cell in cells)


def begin(peers: Sequence[type[Peer]], options: Options) -> Results:
    """Empty results that know the machine and the peers. Blocks for a second or two per peer."""
    date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    about = machine() | {"model": _processor(), "kernel": platform.release()}
    return Results(date=date, machine=about, options=options.as_dict(), peers=[describe(peer) for peer in peers])


async def run(results: Results, cells: Sequence[Cell], options: Options, progress: Progress) -> None:
    """Run the cells; their samples are added to the results as they come. A peer that fails is a sample too.

    Raises:
        StartError: the load can't be built.
    """
    raise_file_limit()
    total, done = estimate(cells, options), 0.0
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        program = await asyncio.to_thread(compile_drive, Path(folder))
        for cell in cells:
            progress(cell, done / total)
            results.samples += await run_cell(program, cell, options)
            done += cell.workload.seconds(options)
            progress(cell, done / total)


async def run_cell(program: Path, cell: Cell, options: Options) -> list[Sample]:
    """The samples of a cell; if it failed, the last one has the reason and no figures."""
    samples: list[Sample] = []
    place: dict[str, Any] = {"round": cell.round, "workload": cell.workload.name, "peer": cell.peer.name}
    problem, limit = "", PATIENCE * cell.workload.seconds(options) + GRACE_S
    try:
        async with asyncio.timeout(limit), aclosing(cell.workload.run(program, cell.peer(), options)) as outcomes:
            async for one in outcomes:
                samples.append(Sample(**place, case=one.case, figures=one.figures, problem=one.problem))
    except TimeoutError:
        problem = f"was given up after {limit:.0f} s"
    except Exception as error:  # whatever a peer does, the others go on, and the table says what it was
        problem = f"{type(error).__name__}: {error}"
    if problem:
        samples.append(Sample(**place, case=FAILED, problem=problem))
    return samples


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
