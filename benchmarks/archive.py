"""Rows a second into the archive: what one core of the archiver, and apart from it of the database, does.

    python -m benchmarks.archive [--rows N] [--archive postgresql://…]

A row is an entry. The ledger is made up first: items of 50 entries, gifts of many users, in 16 partitions of a private
Redis. CPU time counts, not time: neither who waits for a disk nor other processes change it much. By default into an
SQLite in a temporary directory; of a PostgreSQL, which must be on this machine, all of its processes are counted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any, Final

import psutil

from gifting.archive.archiver import Archiver
from gifting.archive.store import open_store
from gifting.ledger.connect import connect
from gifting.ledger.embedded import EmbeddedRedis
from gifting.ledger.keys import Keys
from gifting.model.money import make_key, parse_key
from gifting.model.packing import pack

ITEM: Final = 50
"""Entries of an item."""

PIPE: Final = 200
"""Items that are written at a time."""

NOW: Final = 1_795_000_000_000


def entry(number: int) -> bytes:
    key = parse_key(make_key(NOW + number // 40, os.urandom(10)))
    user, room, host = f"viewer-{number % 5000}", f"room-{number % 40}", f"host-{number % 40}"
    if number % 2:
        return pack(("debit", NOW, key, user.encode(), room.encode(), host.encode(), b"rose", 1, 5))
    return pack(("credit", NOW, key, user.encode(), room.encode(), host.encode(), number + 1, 5, 2500, 500, 1))


async def fill(redis: Any, keys: Keys, rows: int) -> None:
    await redis.hset(keys.meta, "partitions", len(keys.bases))
    numbers = count()
    for _ in range(0, rows, ITEM * PIPE):
        pipe = redis.pipeline(transaction=False)
        for place in range(PIPE):
            data = b"".join(entry(next(numbers)) for _ in range(ITEM))
            pipe.xadd(f"{keys.bases[place % len(keys.bases)]}:ledger", {"e": data})
        await pipe.execute()


def database_time() -> float:
    """CPU seconds of all processes of PostgreSQL, whose backends live as long as we are connected."""
    found = [process for process in psutil.process_iter(["name"]) if process.info["name"] == "postgres"]
    return sum(sum(process.cpu_times()[:2]) for process in found)


async def measure(url: str, rows: int) -> None:
    with tempfile.TemporaryDirectory(prefix="gifting-bench-") as folder:
        embedded = EmbeddedRedis(Path(folder) / "data")
        redis = connect(await embedded.start(), 60)
        keys = Keys("gifting", 16)
        await fill(redis, keys, rows)
        store = open_store(url or f"sqlite:///{folder}/archive.db")
        archiver = Archiver(redis, keys, "gifting", store)
        await archiver.round()
        began, own, others = time.perf_counter(), time.process_time(), database_time()
        while await archiver.round():
            pass
        took, own, others = time.perf_counter() - began, time.process_time() - own, database_time() - others
        print(f"{rows:,} rows into {'PostgreSQL' if url else 'SQLite'}: {took:.1f} s")
        print(f"archiver: {own / rows * 1e6:.2f} µs of CPU a row, {rows / own:,.0f} rows/s on one core")
        if url:
            print(f"database: {others / rows * 1e6:.2f} µs of CPU a row, {rows / others:,.0f} rows/s on one core")
        await store.close()
        await redis.aclose()
        await embedded.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--archive", default="", help="the URL of an empty PostgreSQL")
    options = parser.parse_args()
    asyncio.run(measure(options.archive, options.rows))


if __name__ == "__main__":
    main()
