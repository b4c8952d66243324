"""What a gift costs on a cluster: the tool measures who did the work."""

from __future__ import annotations

from contextlib import AsyncExitStack

from benchmarks.cluster import FULL, ONE_REDIS, Contender, Sample, contend, rows, turn
from gifting.bench.options import BenchOptions
from gifting.bench.server import Server


async def test_one_redis_has_one_master_and_no_replica() -> None:
    async with AsyncExitStack() as stack:
        one = await contend(ONE_REDIS, "", stack)
        sample = await turn(one, "200", 4.0)
    assert 100 < sample.gifts < 300
    assert sample.node > 0
    assert len(sample.masters) == 1
    assert sample.replicas == 0


def test_the_table_has_medians_of_all_masters_and_of_the_busiest() -> None:
    samples = [Sample(1000.0, node, [10.0, 20.0], 7.0, 1.0, 2.0) for node in (5.0, 90.0, 6.0)]
    one = Contender("one Redis", Server(BenchOptions()), [], samples={FULL: samples, "100": samples[:1]})
    assert list(rows([one])) == [
        ("full", "one Redis", "1,000", "6.0", "30.0", "20.0", "7.0", "1.0", "2.0"),
        ("100/s", "one Redis", "1,000", "5.0", "30.0", "20.0", "7.0", "1.0", "2.0"),
    ]
