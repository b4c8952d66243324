"""``python -m benchmarks.compare``: the command line."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.compare.options import Options
from benchmarks.compare.peer import PeerError
from benchmarks.compare.registry import all_peers, chosen
from benchmarks.compare.results import FAILED, Results, read
from benchmarks.compare.run import Cell, begin, estimate, plan, run
from benchmarks.compare.table import insert, render
from benchmarks.compare.workloads import WORKLOADS
from benchmarks.compare.workloads.workload import Workload
from gifting.errors import StartError

RESULTS = Path(__file__).resolve().parents[1] / "results"
DEFAULT = Options()
console = Console(soft_wrap=True)


def main(
    peer: Annotated[list[str] | None, typer.Option(help="Only peers with this in their name; again for more.")] = None,
    workload: Annotated[
        list[str] | None, typer.Option(help=f"Only this one; again for more: {', '.join(w.name for w in WORKLOADS)}.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help=f"Rounds of all peers in turn [{DEFAULT.rounds}].")] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.5, max=60, help=f"Measured per case [{DEFAULT.seconds:g}].")
    ] = None,
    viewers: Annotated[
        int | None, typer.Option(min=1, max=10_000, help=f"In the one room [{DEFAULT.viewers:,}].")
    ] = None,
    idle: Annotated[int | None, typer.Option(min=1, max=12_000, help=f"Idle viewers [{DEFAULT.idle:,}].")] = None,
    storm: Annotated[
        int | None, typer.Option(min=1, max=12_000, help=f"Viewers that drop and come back [{DEFAULT.storm:,}].")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small run that only shows that all works.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = RESULTS,
    show: Annotated[bool, typer.Option("--list", help="List the peers, installed or not, and end.")] = False,
    from_file: Annotated[
        Path | None, typer.Option("--render", help="Print a results file as Markdown, draw its plots, and end.")
    ] = None,
    update: Annotated[
        Path | None, typer.Option(help="Results file in which the workloads run now replace what it has of them.")
    ] = None,
    into: Annotated[Path | None, typer.Option(help="With --render: put it into this document, at its marks.")] = None,
) -> None:
    """Compare this server with its peers: the same work, the same load, on this machine."""
    if from_file is not None:
        _render(from_file, into)
        return
    given = {name: value for name, value in locals().items() if name in _OPTIONS and value is not None}
    options = replace(DEFAULT.quick() if quick else DEFAULT, **given)
    try:
        workloads = _workloads(workload or ())
        peers = chosen(all_peers(), peer or ())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    console.print("Looking for the peers …")
    results = begin(peers, options)
    _list(results)
    if not show:
        ready = {info.name for info in results.peers if info.version is not None}
        cells = plan([one for one in peers if one.name in ready], workloads, options)
        older = None if update is None else read(update)
        sys.exit(_compare(results, cells, options, update or out / f"{results.date}.json", older))


_OPTIONS = frozenset(one.name for one in fields(Options))


def _render(file: Path, into: Path | None) -> None:
    results = read(file)
    plots = _draw(results, file.parent)
    if into is None:
        print(render(results), end="")
        return
    addresses = [os.path.relpath(plot, into.parent) for plot in plots]
    into.write_text(insert(into.read_text(), render(results), addresses))


def _workloads(wanted: Sequence[str]) -> list[Workload]:
    """Raises ValueError for a name that is none."""
    names = {one.name: one for one in WORKLOADS}
    if unknown := set(wanted) - set(names):
        raise ValueError(f"There is no workload {', '.join(sorted(unknown))}. There are: {', '.join(names)}.")
    return [one for name, one in names.items() if not wanted or name in wanted]


def _compare(results: Results, cells: list[Cell], options: Options, path: Path, older: Results | None) -> int:
    """0: all ran. 1: a peer failed somewhere. 2: it could not be run. 130: interrupted; what there is was written."""
    minutes = estimate(cells, options) / 60
    console.print(f"{len(cells)} runs, about {minutes:.0f} minutes.\n" if minutes > 1 else f"{len(cells)} runs.\n")
    status = 0
    try:
        asyncio.run(_run(results, cells, options))
    except (PeerError, StartError) as error:
        console.print(str(error), style="red", markup=False)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        status = 130
    results = older.updated(results) if older else results
    results.write(path)
    console.print(Markdown(render(results)))
    for written in [path, *_draw(results, path.parent)]:
        console.print(f"Written: {written}")
    return status or int(any(sample.case == FAILED for sample in results.samples))


async def _run(results: Results, cells: list[Cell], options: Options) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f}%"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        shown, seen = bar.add_task("", total=1.0), 0

        def progress(cell: Cell, done: float) -> None:
            nonlocal seen
            for sample in results.samples[seen:]:
                _say(bar.console, sample.workload, sample.peer, sample.case, sample.figures, sample.problem)
            seen = len(results.samples)
            text = f"round {cell.round}: {cell.workload.title}, {cell.peer.name}"
            bar.update(shown, description=text, completed=done)

        await run(results, cells, options, progress)


MAIN_FIGURES = {
    "deliveries_per_cpu_s": "{:,.0f} deliveries/CPU-s",
    "gifts_per_cpu_s": "{:,.0f} gifts/CPU-s",
    "kib_per_viewer": "{:.1f} KiB/viewer",
    "live_s": "all live after {:.2f} s",
    "p99_ms": "p99 {:.2f} ms",
}


def _say(to: Console, workload: str, peer: str, case: str, figures: dict[str, float], problem: str) -> None:
    """One line per case, as it is done."""
    said = ", ".join(text.format(figures[name]) for name, text in MAIN_FIGURES.items() if name in figures)
    line = f"{workload:8} {peer:28} {case:>12}  {said}" + (f"  [{problem}]" if problem else "")
    to.print(line, markup=False, highlight=False, style="red" if problem else "")


def _list(results: Results) -> None:
    for info in results.peers:
        found = info.version or f"not installed: {info.install}"
        style = "" if info.version else "yellow"
        console.print(f"  {info.name:28} {found}", markup=False, highlight=False, style=style)
    console.print()


def _draw(results: Results, folder: Path) -> list[Path]:
    """The plots; none without matplotlib."""
    from benchmarks.compare.plots import draw  # noqa: PLC0415  matplotlib is optional

    try:
        return draw(results, folder)
    except ImportError:
        print("No plots: pip install -e '.[compare]' brings matplotlib.", file=sys.stderr)
        return []


if __name__ == "__main__":
    typer.run(main)
