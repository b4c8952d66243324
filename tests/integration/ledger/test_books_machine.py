"""Bought, given, reversed, paid out, in whatever order, twice, and broken off: two nodes do what the reference does."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.breaking_machine import BreakingMachine


def drive(url_of: str, examples: int, steps: int) -> None:
    class Machine(BreakingMachine):
        url = url_of

    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    how = settings(max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=checks)
    run_state_machine_as_test(Machine, settings=how)


@pytest.mark.timeout(400)
def test_two_nodes_do_what_the_reference_does(redis_url: str) -> None:
    drive(redis_url, 15, 25)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_they_do_it_for_long(redis_url: str) -> None:
    drive(redis_url, 300, 60)
