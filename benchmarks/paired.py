"""``python -m benchmarks.paired REVISION``: did the server get slower since that commit?

Runs ``gifting bench`` of this checkout and of the commit in turn, a pair per round, and divides pair by pair: what
slows the machine down for a while slows both halves of a pair. Each side runs its own code from its own tree, so the
commit may be laid out otherwise, as long as it has ``gifting bench`` with these flags.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.checkout import ROOT, CheckoutError, checkout, run_module

TOLERANCE: Final = 3.0
"""Percent by which the median of the pairs may be worse."""

WIDTH: Final = 120
"""Columns of what is printed where there is no terminal."""

PROBLEM: Final = 2
"""Exit status where nothing could be compared."""

WORKLOADS: Final = {
    "gift": "--senders 200 --in-flight 8 --viewers 0 --duration 8",
    "fan-out": "--senders 1 --rate 20 --viewers 20 --drain 1980 --duration 8",
    "busy": "--senders 200 --viewers 20 --drain 980 --duration 6",
    "idle": "--idle 4000 --senders 1 --rate 1 --viewers 1 --duration 1",
    "light": "--senders 20 --rate 100 --viewers 100 --duration 8",
    "slow": "--senders 20 --rate 200 --viewers 50 --slow-reader 15 --duration 6",
}
"""Flags of ``gifting bench``: the rows of benchmarks/README.md."""

Better = Literal["less", "more"]


class Figure(NamedTuple):
    """A figure of a bench's result, and the workloads in which it means something."""

    path: str
    better: Better
    workloads: Sequence[str]


FIGURES: Final = (
    Figure("gifts_per_s", "more", ["gift", "busy"]),
    Figure("server_us_per_gift", "less", ["gift", "light"]),
    Figure("redis_us_per_gift", "less", ["gift", "light"]),
    Figure("ack.p50", "less", ["gift", "light"]),
    Figure("ack.p99", "less", ["gift", "light"]),
    Figure("server_us_per_frame", "less", ["fan-out", "busy"]),
    Figure("deliveries_per_server_cpu_s", "more", ["fan-out", "busy"]),
    Figure("delivery.p50", "less", ["busy", "light"]),
    Figure("delivery.p99", "less", ["busy", "light"]),
    Figure("idle.kib_per_viewer", "less", ["idle"]),
    Figure("slow.during.p99", "less", ["slow"]),
)


class Comparison(NamedTuple):
    """One figure in one workload, over all pairs; ``ratios`` are now over before."""

    workload: str
    figure: Figure
    before: float
    now: float
    ratios: list[float]

    def worse_than(self, tolerance: float) -> bool:
        """The median by more than so many percent, and every single pair too: else it may be noise."""
        worse = [ratio if self.figure.better == "less" else 1 / ratio for ratio in self.ratios]
        return statistics.median(worse) > 1 + tolerance / 100 and min(worse) > 1


Pairs = dict[str, list[tuple[dict[str, Any], dict[str, Any]]]]
"""Of each workload the results of its rounds: before, now."""


def compare(pairs: Pairs) -> Iterator[Comparison]:
    """All figures that both sides have."""
    for workload, results in pairs.items():
        for figure in FIGURES:
            if workload in figure.workloads:
                found = [(look_up(before, figure.path), look_up(now, figure.path)) for before, now in results]
                known = [(before, now) for before, now in found if before and now]
                if known:
                    before, now = map(statistics.median, zip(*known, strict=True))
                    yield Comparison(workload, figure, before, now, [now / before for before, now in known])


def look_up(result: dict[str, Any], path: str) -> float | None:
    """The figure at a dotted path; None where the result has none."""
    found: Any = result
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return float(found) if isinstance(found, int | float) else None


def measure(before: Path, names: Sequence[str], rounds: int, extra: Sequence[str], console: Console) -> Pairs:
    """Bench both trees; who begins changes every round. Raises CheckoutError."""
    pairs: Pairs = defaultdict(list)
    for number in range(rounds):
        for name in names:
            flags = [*WORKLOADS[name].split(), *extra]
            trees = (before, ROOT) if number % 2 == 0 else (ROOT, before)
            found = {tree: bench(tree, flags) for tree in trees}
            pairs[name].append((found[before], found[ROOT]))
            console.print(f"round {number + 1} of {rounds}: {name}", style="dim")
    return pairs


def bench(tree: Path, flags: Sequence[str]) -> dict[str, Any]:
    """The result of one ``gifting bench``. Raises CheckoutError, also where its audit failed."""
    with tempfile.TemporaryDirectory(prefix="gifting-paired-") as directory:
        file = Path(directory) / "result.json"
        run_module(tree, ["gifting", "bench", *flags, "--json", str(file)])
        found: dict[str, Any] = msgspec.json.decode(file.read_bytes())
        return found


def table(rows: Sequence[Comparison], tolerance: float) -> Table:
    """Medians of both sides, and the ratios of the pairs."""
    found = Table(box=None, padding=(0, 1))
    for title in ("workload", "figure", "better"):
        found.add_column(title, no_wrap=True)
    for title in ("before", "now", "ratio", "of pairs"):
        found.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        ratios = f"{min(row.ratios):.2f}-{max(row.ratios):.2f}"
        found.add_row(
            *(row.workload, row.figure.path, row.figure.better, number(row.before)),
            *(number(row.now), f"{statistics.median(row.ratios):.3f}", ratios),
            style="red" if row.worse_than(tolerance) else "",
        )
    return found


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}"


def main(
    revision: Annotated[str, typer.Argument(help="The commit, branch or tag to compare with.")],
    rounds: Annotated[int, typer.Option(min=1, help="Pairs of runs per workload.")] = 3,
    only: Annotated[str, typer.Option(help=f"Comma-separated, of {', '.join(WORKLOADS)}.")] = ",".join(WORKLOADS),
    tolerance: Annotated[float, typer.Option(help="Percent a figure may be worse.")] = TOLERANCE,
    flags: Annotated[str, typer.Option(help="More flags for every bench, such as '--duration 3'.")] = "",
    save: Annotated[str, typer.Option(help="Keep all results in this file.")] = "",
) -> None:
    """Bench this checkout and a commit in turn; exit status 1 if a figure is worse beyond doubt."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    names = only.split(",")
    if unknown := sorted(set(names) - set(WORKLOADS)):
        raise typer.BadParameter(f"--only has {', '.join(unknown)}; it knows {', '.join(WORKLOADS)}.")
    try:
        with checkout(revision) as before:
            pairs = measure(before, names, rounds, flags.split(), console)
    except CheckoutError as error:
        console.print(f"benchmarks.paired: {error}", style="red", markup=False)
        sys.exit(PROBLEM)
    if save:
        Path(save).write_bytes(msgspec.json.encode(pairs))
    rows = list(compare(pairs))
    console.print(table(rows, tolerance))
    sys.exit(any(row.worse_than(tolerance) for row in rows))


if __name__ == "__main__":
    typer.run(main)
