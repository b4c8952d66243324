"""``pytest benchmarks/micro``: the cases, timed by pytest-benchmark. Times are of this machine and this moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from benchmarks.micro.cases import CASES, Case
from benchmarks.micro.stage import Stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as built:
        yield built


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_inner_loop(benchmark: Callable[[Any], Any], stage: Stage, case: Case) -> None:
    benchmark(case.make(stage))
