"""Redis' memory does not grow with the gifts, once these are archived; and the books are whole."""

from __future__ import annotations

import pytest

from benchmarks import bounded

pytestmark = pytest.mark.slow


@pytest.mark.timeout(400)
async def test_the_ledger_in_redis_is_bounded_while_it_is_archived_and_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """For half a minute, in which no key is forgotten yet; untrimmed, its items would be twice as many at the end."""
    monkeypatch.setattr(bounded, "GROWTH_MAX", 1.6)  # where others have most of the machine
    wrong = await bounded.run(gifts=60_000, rate=1500, keep=1, archive="")
    assert [told.partition(":")[0] for told in wrong] == [
        "too short for MiB of Redis",
        "too short for MiB of the archiver",
    ]


def look(at: float, redis: float = 30, archiver: float = 100, behind: float = 0.1, items: int = 5) -> bounded.Look:
    return bounded.Look(at, 1, items, redis, archiver, behind)


@pytest.mark.parametrize(
    ("looks", "wrong"),
    [
        ([look(at) for at in range(300)], []),
        ([look(at, min(at, 160)) for at in range(300)], []),
        ([look(at, at) for at in range(420)], ["MiB of Redis grew from 289 to 419"]),
        ([look(at, archiver=50 + at / 2) for at in range(300)], []),
        ([look(at, archiver=5 * at) for at in range(420)], ["MiB of the archiver grew from 1,445 to 2,095"]),
        ([look(at, items=at) for at in range(300)], ["items in Redis grew from 159 to 299"]),
        ([look(at, behind=2.0 * at) for at in range(32)], ["the archive is 62 s behind"]),
        ([look(at) for at in range(10)], ["too short for items in Redis", "too short for MiB of Redis"]),
    ],
)
def test_the_verdict_names_what_grew(looks: list[bounded.Look], wrong: list[str]) -> None:
    watch = bounded.Watch.__new__(bounded.Watch)
    watch.looks = looks
    found = watch.verdict(10)
    assert [told.partition(":")[0] for told in found][:2] == wrong
