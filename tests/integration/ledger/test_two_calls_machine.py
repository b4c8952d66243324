"""Gifts between partitions that go back to older states, sent by nodes that know nothing of each other."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.two_calls_machine import TwoCallsMachine

pytestmark = pytest.mark.one_redis("it sends both calls itself, on the wire of one server")


def drive(url_of: str, examples: int, steps: int) -> None:
    class Machine(TwoCallsMachine):
        url = url_of

    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    how = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=checks,
    )
    run_state_machine_as_test(Machine, settings=how)


@pytest.mark.timeout(400)
def test_each_gift_that_is_left_is_credited_once_and_in_order(redis_url: str) -> None:
    drive(redis_url, 25, 40)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_it_is_for_long(redis_url: str) -> None:
    drive(redis_url, 1000, 60)
