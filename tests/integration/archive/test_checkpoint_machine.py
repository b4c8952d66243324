"""Whatever is played over months: the audit from the newest closings says what the audit from the first item says."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from gifting.archive.store import open_store
from tests.support.books_machine import DAY
from tests.support.breaking_machine import BreakingMachine
from tests.support.months import Months, date

pytestmark = pytest.mark.slow


class CheckpointMachine(BreakingMachine):
    """At its end the books are archived, and sealed up to some month in between."""

    begun = 0

    async def audit(self) -> None:
        await super().audit()
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/archive.db"
            store = open_store(url)
            try:
                await self.compare_audits(Months(self.ledger.redis, self.ledger.keys, store, url, Path(folder)))
            finally:
                await store.close()

    async def compare_audits(self, months: Months) -> None:
        await date(months.redis, months.keys)
        await months.archive()
        dice = random.Random(self.made)
        newest = max([self.clock, *(one.at for one in self.given.values())])
        for _ in range(2):
            await months.seal(newest + dice.choice((-400, -31, -1, 0, 32)) * DAY)
            sealed = months.files[1].exists() and months.files[1].stat().st_size
            since, whole = await months.both()
            assert since.report.counts() == whole.counts()
            assert since.report.as_json() == whole.as_json()
            assert not since.broken
            assert bool(since.since) == bool(sealed and whole.clean)
            type(self).begun += bool(since.since)


@pytest.mark.timeout(900)
def test_random_books_are_audited_alike_from_closings(redis_url: str) -> None:
    class Machine(CheckpointMachine):
        url = redis_url

    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    how = settings(
        max_examples=40,  # of 25 there were at times no ten that are clean
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=checks,
        phases=[Phase.explicit, Phase.generate],  # to shrink it takes as long as all else
    )
    run_state_machine_as_test(Machine, settings=how)
    assert Machine.begun > 10, "most of them begin at a closing"
