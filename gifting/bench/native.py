"""What is written in C, compiled on the spot: the load (``drive``), and the faults that are preloaded into Redis."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from gifting.errors import BenchFailed, MissingTool

SOURCES: Final = next(
    path
    for path in (Path(__file__).with_name("native"), Path(__file__).resolve().parents[2] / "benchmarks" / "native")
    if path.is_dir() or path.parent.name == "benchmarks"
)
"""In a wheel they stand beside this module, in the repository under ``benchmarks``."""

DRIVE: Final = (
    *("common.c", "drive.c", "connection.c", "frames.c", "spec.c", "viewers.c", "watch.c", "publish.c", "gifts.c"),
    *("histogram.c", "commands.c", "floor.c"),
)
COMPILE_WITHIN_S: Final = 60.0


def available() -> bool:
    """Whether it can be compiled and run here."""
    return sys.platform == "linux" and shutil.which("cc") is not None


def compile_drive(directory: Path) -> Path:
    """The load as a program; ``drive.c`` says how it is used. Blocks for about a second. Raises as :func:`_compile`."""
    return _compile(directory / "drive", *DRIVE)


def compile_faults(directory: Path) -> Path:
    """The faults as a library; ``faults.c`` says how it is used. Blocks for 0.1 s. Raises as :func:`_compile`."""
    return _compile(directory / "faults.so", "-shared", "-fPIC", "faults.c", "-ldl")


def _compile(target: Path, *arguments: str) -> Path:
    """Raises :class:`MissingTool` where it can't be, :class:`BenchFailed` where the compiler says no."""
    compiler = shutil.which("cc")
    if compiler is None or not available():
        raise MissingTool("What is measured or broken in C needs Linux and a compiler: apt-get install gcc libc6-dev.")
    command = [compiler, "-O2", "-o", str(target), *arguments]
    done = subprocess.run(  # noqa: S603
        command, cwd=SOURCES, capture_output=True, text=True, timeout=COMPILE_WITHIN_S, check=False
    )
    if done.returncode:
        raise BenchFailed(f"{target.name} does not compile: {done.stderr.strip()}")
    return target
