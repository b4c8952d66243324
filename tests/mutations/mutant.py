"""One change of the code."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parents[1]

LEDGER = "statuses dedupe amounts streaks room_events ledger"
"""The tests of the ledger's scripts, each at its edges."""


class Mutant(NamedTuple):
    """``old``, which is in the file once, becomes ``new``; the tests of ``tests`` (files, or nodes) must notice."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def of(file: str, tests: str, *changes: tuple[str, str]) -> Iterable[Mutant]:
    """Mutants of one file, which the same tests (by name, with spaces between) must notice."""
    nodes = tuple(_node(*name.partition("::")) for name in tests.split())
    return [Mutant(file, old, new, nodes) for old, new in changes]


def _node(name: str, *test: str) -> str:
    """Where the tests of that name are: ``hub/limits`` are in ``tests/unit/hub/test_limits.py``."""
    place = Path(name.removesuffix(".py"))
    (path,) = TESTS.glob(f"**/{place.with_name(f'test_{place.name}.py')}")
    return f"{path.relative_to(TESTS.parent)}{''.join(test)}"
