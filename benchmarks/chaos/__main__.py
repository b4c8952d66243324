"""Run it: ``python -m benchmarks.chaos --seed 1 2 3 --faults 100 [--engine PATH] [--replicas 2] [--control]``.

With ``--replicas 2 --durability replica`` gifts may be lost, where a replica that lags is elected; by default none may.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.chaos.control import lose
from benchmarks.chaos.run import run
from benchmarks.chaos.shape import Options, Result


def table(results: Sequence[Result]) -> Table:
    """A line per run, and one of all."""
    found = Table(box=None, padding=(0, 1))
    for title in ("engine", "shape", "seed"):
        found.add_column(title, no_wrap=True)
    for title in (
        "faults",
        "acked",
        "lost",
        "double",
        "disordered",
        "phantom",
        "fenced",
        "gaps",
        "death: median",
        "worst",
    ):
        found.add_column(title, justify="right")
    for one in results:
        found.add_row(*_row(one), style="red" if one.verdict.problems else "")
    return found


def _row(one: Result) -> Iterator[str]:
    verdict, shape = one.verdict, f"{one.options.masters} + {one.options.masters * one.options.replicas}"
    yield from (one.engine, shape, str(one.options.seed), f"{one.total:,}", f"{verdict.acked:,}")
    yield from (str(count) for count in (verdict.lost, verdict.double, verdict.disordered, verdict.phantom))
    yield from (str(one.fenced), str(one.gaps))
    yield from (f"{median(one.deaths):.1f} s", f"{max(one.deaths):.1f} s") if one.deaths else ("", "")


def faults(results: Sequence[Result]) -> Table:
    """How often each kind came, and how long until every node acked again."""
    found = Table(
        box=None, padding=(0, 1), title="faults, and seconds until every node acked again", title_justify="left"
    )
    found.add_column("kind", no_wrap=True)
    for title in ("times", "median", "longest"):
        found.add_column(title, justify="right")
    for kind in sorted({kind for one in results for kind in one.faults}):
        took = [seconds for one in results for seconds in one.faults.get(kind, [])]
        found.add_row(kind, f"{len(took):,}", f"{median(took):.2f}", f"{max(took):.2f}")
    found.add_row("in all", f"{sum(one.total for one in results):,}", style="bold")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """1 if anything was violated, or if the negative control violated nothing."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chaos", description="Faults on a Redis Cluster under load."
    )
    parser.add_argument("--seed", type=int, nargs="+", default=[1])
    for name, value in (("faults", 100), ("masters", 3), ("replicas", 1), ("gateways", 2), ("senders", 24)):
        parser.add_argument(f"--{name}", type=int, default=value)
    for name, value in (("watchers", 8), ("rooms", 6), ("partitions", 16)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument(
        "--min-replicas",
        type=int,
        default=1,
        help="0: only WAIT guards acks; for faults that restart no node.",
    )
    parser.add_argument("--durability", default="every-replica", help="Of the nodes.")
    parser.add_argument("--rate", type=float, default=60.0, help="Gifts/s of all senders.")
    parser.add_argument("--engine", default="", help="A redis-server or valkey-server; the bundled one if not given.")
    parser.add_argument("--only", default="", help="Faults with that in their name.")
    parser.add_argument("--control", action="store_true", help="Without waiting for a replica: gifts must be lost.")
    parser.add_argument("--json", default="", help="Keep the results in this file.")
    given = vars(parser.parse_args(arguments))
    console, seeds, control, file = (
        Console(width=150, highlight=False),
        given.pop("seed"),
        given.pop("control"),
        given.pop("json"),
    )
    results = []
    for seed in seeds:
        one = Options(seed=seed, **given)
        results.append(asyncio.run(lose(one) if control else run(one, console.out)))
        for problem in results[-1].verdict.problems:
            console.print(f"seed {seed}: {problem}", style="red", markup=False)
    console.print(table(results))
    if not control:
        console.print(faults(results))
    if file:
        Path(file).write_text(json.dumps([one.told() for one in results], indent=1))
    if control:
        return int(not all(one.verdict.lost for one in results))
    return int(any(one.verdict.problems for one in results))


if __name__ == "__main__":
    sys.exit(main())
