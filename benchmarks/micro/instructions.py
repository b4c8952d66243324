"""Instructions per call, counted by valgrind: a figure that neither neighbours nor clocks change.

Everything is imported and built once. Then the process forks twice per case; one child makes N calls and the other 2N,
and what start, fork and end cost cancels out in the difference. Hardware counters (``perf stat``) would be quicker, but
virtual machines rarely have them.
"""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.micro.cases import CASES, Call
from benchmarks.micro.stage import Stage

WARM_UP: Final = 20
"""Calls before the forks: the interpreter specialises its bytecode and caches fill."""

WITHIN_S: Final = 600.0
"""Longest a count of all cases may take."""

ROOT: Final = Path(__file__).resolve().parents[2]
OUT: Final = "out."


class CountError(RuntimeError):
    """Instructions could not be counted; says why."""


def available() -> bool:
    return shutil.which("valgrind") is not None and sys.platform == "linux"


def count(names: Sequence[str], scale: float) -> dict[str, float]:
    """Instructions per call of each case, over ``scale`` times its calls.

    Raises:
        CountError: there is no valgrind, or it failed.
    """
    if not available():
        raise CountError("Counting instructions needs valgrind (Debian: apt install valgrind).")
    with tempfile.TemporaryDirectory(prefix="gifting-micro-") as directory:
        command = [
            *(("setarch", "--addr-no-randomize") if shutil.which("setarch") else ()),
            *("valgrind", "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={directory}/{OUT}%p"),
            *(sys.executable, "-m", "benchmarks.micro.instructions", str(scale), *names),
        ]
        environ = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=WITHIN_S, check=False)
        if done.returncode:
            raise CountError(f"The count under valgrind failed:\n{done.stderr[-2000:]}")
        return dict(_read(done.stdout, Path(directory)))


def _read(lines: str, directory: Path) -> Iterator[tuple[str, float]]:
    """From what the counted process said: name, calls, and the children with so many and twice as many."""
    for line in lines.splitlines():
        name, calls, once, twice = line.split("\t")
        yield name, (_total(directory / f"{OUT}{twice}") - _total(directory / f"{OUT}{once}")) / int(calls)


def _total(path: Path) -> int:
    """The instructions in a file of cachegrind."""
    for line in path.read_text().splitlines():
        if line.startswith("summary:"):
            return int(line.split()[1])
    raise CountError(f"{path} has no summary.")


def _child(call: Call, calls: int) -> int:
    """The pid of a child that has made so many calls."""
    pid = os.fork()
    if not pid:
        for _ in range(calls):
            call()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if status:
        raise CountError(f"A child ended with {status}.")
    return pid


def main(scale: float, names: Sequence[str]) -> None:
    """Under valgrind: build and fork."""
    gc.disable()
    for case in CASES:
        if case.name in names:
            with Stage() as stage:
                call = case.make(stage)
                for _ in range(WARM_UP):
                    call()
                calls = max(1, round(case.calls * scale))
                once, twice = _child(call, calls), _child(call, 2 * calls)
                print(case.name, calls, once, twice, sep="\t", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
