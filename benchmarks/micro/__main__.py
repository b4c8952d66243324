"""``python -m benchmarks.micro [--against FILE | --against-commit REVISION]``: did an inner loop get slower?"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.checkout import CheckoutError, checkout, run_module
from benchmarks.micro.cases import CASES
from benchmarks.micro.instructions import CountError
from benchmarks.micro.measurement import TOLERANCE, UNITS, Measurement, Method, Row, best_method, compare

QUICK: Final = 0.1
"""``--quick`` makes a tenth of the calls: counts differ by about 1 % from those in full."""

PROBLEM: Final = 2
"""Exit status where nothing could be compared."""

Against = Annotated[str, typer.Option(help="Compare with this file; exit status 1 if a case got worse.")]
Commit = Annotated[str, typer.Option(help="Measure this commit too, and compare with it.")]
Save = Annotated[str, typer.Option(help="Keep what was measured in this file.")]
Tolerance = Annotated[float, typer.Option(help="Percent a case may get worse; 0: 5 for instructions, 15 for ratios.")]
How = Annotated[
    str, typer.Option(help="instructions (needs valgrind) or ratios. Empty: as --against, else what works.")
]
Only = Annotated[str, typer.Option("--case", help="Only cases with this in their name.")]
Quick = Annotated[bool, typer.Option(help="A tenth of the calls.")]


def main(
    against: Against = "",
    against_commit: Commit = "",
    save: Save = "",
    tolerance: Tolerance = 0.0,
    method: How = "",
    only: Only = "",
    quick: Quick = False,
) -> None:
    """Measure the inner loops, by instructions per call or as ratios to a reference loop; never by absolute times."""
    console = Console(soft_wrap=True, highlight=False)
    names = [case.name for case in CASES if only in case.name]
    try:
        before = _before(against, against_commit, method, only, quick)
        chosen = _method(method, before)
        now = Measurement.take(chosen, names, QUICK if quick else 1.0)
    except (CountError, CheckoutError, ValueError, OSError, msgspec.DecodeError) as error:
        console.print(f"benchmarks.micro: {error}", style="red", markup=False)
        sys.exit(PROBLEM)
    if save:
        now.write(Path(save))
    known = {name: value for name, value in before.cases.items() if only in name} if before else {}
    rows = list(compare(now.cases, known))
    allowed = tolerance or TOLERANCE[chosen]
    console.print(_table(rows, chosen, allowed))
    if before is not None:
        sys.exit(_verdict(console, rows, before, now, allowed))


def _before(file: str, commit: str, method: str, only: str, quick: bool) -> Measurement | None:
    """What to compare with: what was kept in a file, or a commit, measured now by its own cases."""
    if not commit:
        return Measurement.read(Path(file)) if file else None
    if file:
        raise ValueError("--against and --against-commit are two things to compare with; give one.")
    with checkout(commit) as tree, tempfile.TemporaryDirectory(prefix="gifting-micro-") as directory:
        found = Path(directory) / "before.json"
        options = {"--save": str(found), "--case": only, "--method": method}
        words = [word for name, value in options.items() if value for word in (name, value)]
        run_module(tree, ["benchmarks.micro", *words, *(["--quick"] if quick else [])])
        return Measurement.read(found)


def _method(asked: str, before: Measurement | None) -> Method:
    """What is measured: figures of two kinds can't be compared."""
    if asked not in {"", *UNITS}:
        raise ValueError(f"--method is {asked!r}; it must be one of {', '.join(UNITS)}.")
    if before is not None and asked not in {"", before.method}:
        raise ValueError(f"The file holds {before.method}, which {asked} can't be compared with.")
    return before.method if before is not None else next((name for name in UNITS if name == asked), best_method())


def _table(rows: list[Row], method: Method, tolerance: float) -> Table:
    table = Table(box=None, padding=(0, 1))
    table.add_column("case", no_wrap=True)
    for title in ("before", UNITS[method], "change"):
        table.add_column(title, justify="right", no_wrap=True)
    digits = 0 if method == "instructions" else 3
    for row in rows:
        before, now = ("" if value is None else f"{value:,.{digits}f}" for value in (row.before, row.now))
        change = "" if row.change is None else f"{row.change:+.1f} %"
        table.add_row(row.name, before, now, change, style="red" if row.worse_than(tolerance) else "")
    return table


def _verdict(console: Console, rows: list[Row], before: Measurement, now: Measurement, tolerance: float) -> int:
    """Say what is wrong; the exit status."""
    for name, was in before.made_with.items():
        if (is_now := now.made_with.get(name, "")) != was:
            console.print(f"note: {name} was {was}, is {is_now}; the figures depend on it", markup=False)
    for row in rows:
        if row.change is None:
            where = "the file" if row.before is None else "this version"
            console.print(f"missing: {row.name} is not in {where}", markup=False)
    worse = [row for row in rows if row.worse_than(tolerance)]
    for row in worse:
        console.print(f"WORSE: {row.name}: {row.change:+.1f} % (allowed {tolerance:g} %)", style="red", markup=False)
    return 1 if worse else 0


if __name__ == "__main__":
    typer.run(main)
