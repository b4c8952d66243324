"""One change of the code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Mutant(NamedTuple):
    """``old``, which is in the file once, becomes ``new``; the tests of ``tests`` (files, or nodes) must notice."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def of(file: str, tests: str, *changes: tuple[str, str]) -> Iterable[Mutant]:
    """Mutants of one file, which the same tests (by name, with spaces between) must notice."""
    names = tuple(f"test_{name}.py" if "::" not in name else f"test_{name}" for name in tests.split())
    return [Mutant(file, old, new, names) for old, new in changes]
