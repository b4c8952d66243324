"""What a report of finance takes: CPU time an entry, and memory, over an archive that is made up first.

    python -m benchmarks.finance [--entries N] [--users N]

Most are gifts and credits; one entry in twenty is a purchase of 1000 coins, one in a hundred a refund of nothing. Few
users have many purchases each. All is of one month, in an SQLite in a temporary directory.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gifting.archive.finance import replay
from gifting.archive.schema import items
from gifting.archive.store import Store, open_store
from gifting.model.packing import pack

MONTH: Final = 202611
NOW: Final = 1_793_500_000_000
ITEM: Final = 8
"""Entries of an item."""
ITEMS: Final = 1000
"""Items that are written at a time."""
PARTITIONS: Final = 16


def entries(users: int) -> Iterator[bytes]:
    """For ever."""
    draw = random.Random(1)
    number, bought = 0, set[str]()
    while True:
        number += 1
        user, host, what = f"user-{draw.randrange(users)}", f"host-{draw.randrange(1000)}", draw.random()
        head = (NOW, number.to_bytes(16, "big"), user)
        if what < 0.05 or user not in bought:
            bought.add(user)
            yield pack(("purchase", *head, f"o{number}", 1000, 50, 0, 999, "EUR", "stripe"))
        elif what < 0.06:
            yield pack(("reversal", *head, f"o{number}", 0, 0, 0, 0, "EUR", "refund", 0))
        elif what < 0.53:
            yield pack(("debit", *head, "room", host, "rose", 1, 10))
        else:
            yield pack(("credit", *head, "room", host, 1, 10, 5000, 1, 2, 0))


async def fill(store: Store, count: int, users: int) -> None:
    made, seq = entries(users), 0
    while seq * ITEM < count:
        rows = []
        for _ in range(ITEMS):
            seq += 1
            data = b"".join(next(made) for _ in range(ITEM))
            rows.append((MONTH, seq % PARTITIONS, seq, f"{NOW}-{seq}", data, b""))
        async with store.writing() as connection:
            await store.insert(connection, items, rows)


def peak() -> float:
    """MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def measure(count: int, users: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{Path(folder) / 'archive.db'}")
        await store.upgrade()
        await fill(store, count, users)
        before, began = peak(), time.process_time()
        await replay(store, MONTH)
        spent = time.process_time() - began
        await store.close()
    print(f"{count} entries of {users} users: {spent / count * 1e6:.2f} µs of CPU each, {peak() - before:.0f} MiB more")


def main() -> None:
    parser = argparse.ArgumentParser(description="What a report of finance takes.")
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=20_000)
    options = parser.parse_args()
    asyncio.run(measure(options.entries, options.users))


if __name__ == "__main__":
    main()
