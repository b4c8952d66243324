"""Mutants: the code with one thing wrong at a time, and the tests that must notice. Run by hand, from the repository:

    python tests/mutants.py                 all of them, some ten minutes
    python tests/mutants.py --only batcher  those whose file or text has this
    python tests/mutants.py --jobs 2        side by side

Each is made in a copy of the tree. It is killed when a test of the files that it names fails, or takes too long; one
that survives is a hole in the tests. Text that is not there, or more than once, is an error: the list is stale then.
Exit status 0: all killed; 1: some survived; 2: the list is stale, or the tests fail without a mutant too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.mutations import ALL, Mutant  # noqa: E402

TEST_TIMEOUT = 60
"""Seconds one test may take."""
TESTS_TIMEOUT = 300
"""Seconds the tests of a mutant may take in all."""
ATTEMPTS = 3
"""Times that the tests are run while what fails does not fail again."""
STEADY = (
    "/unit/",
    *(f"/test_{name}.py" for name in ("ledger", "audit", "attack_cuts", "attack_large", "clock", "queue", "two_calls")),
)
"""Tests with a clock of their own, or none."""
COPIED = ("gifting", "tests", "docs", "benchmarks", "pyproject.toml", "README.md", "Dockerfile")


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    chosen = [mutant for mutant in ALL if options.only in f"{mutant.file} {mutant.old} {mutant.new}"]
    if stale := [mutant for mutant in ALL if (ROOT / mutant.file).read_text().count(mutant.old) != 1]:
        for mutant in stale:
            print(f"STALE     {mutant.file}: {mutant.old!r}")
        return 2
    with _trees(options.jobs) as trees:
        if not options.unchecked and not _sound(chosen, trees):
            return 2
        with ThreadPoolExecutor(options.jobs) as pool:
            killed = list(pool.map(lambda mutant: _try(mutant, trees), chosen))
    print(f"{sum(killed)} killed, {len(killed) - sum(killed)} survived, of {len(killed)}")
    return 0 if all(killed) else 1


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Change the code in one place at a time: do the tests notice?")
    parser.add_argument("--only", default="", help="text that a mutant's file or change must have")
    parser.add_argument("--jobs", type=int, default=1, help="mutants side by side")
    parser.add_argument("--unchecked", action="store_true", help="don't run the tests without a mutant first")
    return parser.parse_args(arguments)


@contextmanager
def _trees(count: int) -> Iterator[SimpleQueue[Path]]:
    """Copies of the repository, for one mutant at a time each."""
    trees: SimpleQueue[Path] = SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="gifting-mutants-") as folder:
        for number in range(count):
            tree = Path(folder) / str(number)
            tree.mkdir()
            for name in COPIED:
                _copy(ROOT / name, tree / name)
            trees.put(tree)
        yield trees


def _copy(path: Path, to: Path) -> None:
    if path.is_dir():
        shutil.copytree(path, to, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    elif path.exists():
        shutil.copy(path, to)


def _sound(mutants: Sequence[Mutant], trees: SimpleQueue[Path]) -> bool:
    tree = trees.get()
    passed = True
    for test in sorted(set(chain.from_iterable(mutant.tests for mutant in mutants))):
        failure = _run((test,), tree)
        if failure:
            print(f"{test} fails without a mutant: {failure}")
            passed = False
    trees.put(tree)
    return passed


def _try(mutant: Mutant, trees: SimpleQueue[Path]) -> bool:
    tree = trees.get()
    path = tree / mutant.file
    source = path.read_text()
    began = time.monotonic()
    try:
        path.write_text(source.replace(mutant.old, mutant.new))
        failure = _fail(mutant.tests, tree)
    finally:
        path.write_text(source)
        trees.put(tree)
    change = " ".join(f"{mutant.old}  ->  {mutant.new or '(nothing)'}".split())
    told = f"killed    {mutant.file}: {change}" if failure else f"SURVIVED  {mutant.file}: {change}"
    print(f"{told}\n          {time.monotonic() - began:.0f} s, {failure or ' '.join(mutant.tests)}", flush=True)
    return bool(failure)


def _fail(tests: Sequence[str], tree: Path) -> str:
    """The first test that fails, and where time matters does so again when it is alone: else it was chance."""
    for _ in range(ATTEMPTS):
        failure = _run(tests, tree)
        node = failure.removeprefix("FAILED ").removeprefix("ERROR ").partition(" - ")[0]
        if not failure or "::" not in node or any(steady in node for steady in STEADY) or _run((node,), tree):
            return failure
    return ""


def _run(tests: Sequence[str], tree: Path) -> str:
    """The first failure of some tests; '' if they pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--timeout={TEST_TIMEOUT}"]
    command += ["--no-header", "--tb=no", *tests]
    environ = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, cwd=tree, env=environ, text=True, start_new_session=True, **pipes) as process:
        try:
            said, _ = process.communicate(timeout=TESTS_TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            return "it took too long"
    if process.returncode == 0:
        return ""
    failed = [line for line in said.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0] if failed else f"status {process.returncode}: {said.strip()[-300:]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
