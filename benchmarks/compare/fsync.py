"""What one fsync takes on the disk that the servers' data is on: this server shows no event before its own."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from typing import Final

from benchmarks.compare.figures import percentile

APPEND: Final = b"x" * 640
"""As much as this server's Redis appends for one comment of 200 bytes."""


async def probe(rate: float, seconds: float) -> dict[str, float]:
    """Median and 99th percentile (ms) of an append and its fdatasync, ``rate`` of them a second, as Redis does them
    with ``appendfsync always``: in the folder in which peers get theirs, and meant for when nothing else runs."""
    cells = await asyncio.to_thread(_append, rate, round(rate * seconds))
    return {f"fsync_p{percent}_ms": percentile(cells, percent) for percent in (50, 99)}


def _append(rate: float, times: int) -> list[tuple[float, int]]:
    """How long each took, µs, once each."""
    found = []
    with tempfile.NamedTemporaryFile(prefix="compare-", buffering=0) as file:
        start = time.perf_counter()
        for number in range(times):
            time.sleep(max(0.0, start + number / rate - time.perf_counter()))
            began = time.perf_counter()
            file.write(APPEND)
            os.fdatasync(file.fileno())
            found.append(((time.perf_counter() - began) * 1e6, 1))
    return found
