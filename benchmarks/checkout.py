"""Another commit of this repository, in a worktree of its own, to be measured beside this one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
OUTPUT_MAX: Final = 2000
"""Last characters of a failed command's output that its error repeats."""


class CheckoutError(RuntimeError):
    """There is no such commit, or what was run in it failed; has its last words."""


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """The tree of a commit, branch or tag; gone again after the ``with``. Raises :class:`CheckoutError`."""
    with tempfile.TemporaryDirectory(prefix="gifting-checkout-") as directory:
        tree = Path(directory) / "tree"
        _run(["git", "worktree", "add", "--detach", "--quiet", str(tree), revision], ROOT)
        try:
            yield tree
        finally:
            _run(["git", "worktree", "remove", "--force", str(tree)], ROOT)


def run_module(tree: Path, arguments: Sequence[str], *, allowed: Sequence[int] = (0,)) -> None:
    """``python -m ARGUMENTS`` with the code of ``tree``. Raises :class:`CheckoutError`: another status than allowed."""
    _run([sys.executable, "-m", *arguments], tree, allowed)


def _run(command: Sequence[str], tree: Path, allowed: Sequence[int] = (0,)) -> None:
    done = subprocess.run(
        command, cwd=tree, env=os.environ | {"PYTHONPATH": str(tree)}, capture_output=True, text=True, check=False
    )
    if done.returncode not in allowed:
        words = (done.stdout + done.stderr).strip()[-OUTPUT_MAX:]
        raise CheckoutError(f"{' '.join(command)} in {tree} ended with {done.returncode}:\n{words}")
