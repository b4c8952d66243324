"""What is installed: programs, what they say of themselves, and Python packages."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

SAYS_WITHIN: Final = 5.0
"""Longest wait for a program's ``--version``, seconds."""
HERE: Final = Path(__file__).parent


def go_program(name: str) -> Path | None:
    """A program on PATH or where ``go install`` puts it; None if there is none."""
    if found := shutil.which(name):
        return Path(found)
    places = [os.environ.get("GOBIN"), *(f"{root}/bin" for root in _go_roots())]
    return next((path for place in places if place and os.access(path := Path(place) / name, os.X_OK)), None)


def _go_roots() -> list[str]:
    return [*filter(None, os.environ.get("GOPATH", "").split(os.pathsep)), str(Path.home() / "go")]


def go_module_version(program: Path) -> str | None:
    """The version of the module a program was built from, as Go wrote into it; None if it can't be told."""
    return says(["go", "version", "-m", program], r"\smod\s+\S+\s+v(\S+)")


def says(command: Sequence[str | Path], pattern: str) -> str | None:
    """The first group of ``pattern`` in what a command prints; None if it can't be run or prints no such thing.

    Blocks for as long as the command runs, 5 s at most.
    """
    try:
        done = subprocess.run(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SAYS_WITHIN,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(pattern, done.stdout)
    return found[1] if found else None


def python_packages(*names: str) -> str | None:
    """``name version, …`` of installed distributions; None if one is missing."""
    try:
        return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    except importlib.metadata.PackageNotFoundError:
        return None
