"""Redis' memory does not grow with the gifts, once these are archived; and the books are whole."""

from __future__ import annotations

import pytest

from benchmarks import bounded

pytestmark = pytest.mark.slow


async def test_memory_is_bounded_while_gifts_are_archived_and_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several times as many gifts as are kept at a time."""
    monkeypatch.setattr(bounded, "GROWTH_MAX", 1.6)  # where others have most of the machine
    assert await bounded.run(gifts=120_000, rate=2000, keep=1, archive="") == []


def look(at: float, redis: float, archiver: float = 100.0, behind: float = 0.1) -> bounded.Look:
    return bounded.Look(at, 1, 1, redis, archiver, behind)


@pytest.mark.parametrize(
    ("looks", "wrong"),
    [
        ([look(at, 30) for at in range(60)], []),
        ([look(at, min(at, 20)) for at in range(60)], []),
        ([look(at, at) for at in range(60)], ["Redis grew from 39 to 59 MiB"]),
        ([look(at, 30, 50 + at) for at in range(60)], []),
        ([look(at, 30, 50 + 5 * at) for at in range(60)], ["the archiver grew from 245 to 345 MiB"]),
        ([look(at, 30, behind=2.0 * at) for at in range(32)], ["the archive is 62 s behind"]),
        ([look(at, 30) for at in range(20)], ["too short"]),
    ],
)
def test_the_verdict_names_what_grew(looks: list[bounded.Look], wrong: list[str]) -> None:
    watch = bounded.Watch.__new__(bounded.Watch)
    watch.looks = looks
    found = watch.verdict(20)
    assert [told.partition(":")[0] for told in found] == wrong
