"""Redis' memory does not grow with the gifts, once these are archived; and the books are whole."""

from __future__ import annotations

import pytest

from benchmarks.bounded import run

pytestmark = pytest.mark.slow


async def test_memory_is_bounded_while_gifts_are_archived_and_trimmed() -> None:
    """Three times as many gifts as are kept at a time; without trimming the last line has three times the first."""
    seen, clean = await run(gifts=90_000, rate=3000, keep=1, archive="")
    assert clean
    third = len(seen) // 3
    assert max(seen[2 * third :]) < 1.6 * max(seen[:third] + seen[third : 2 * third])
