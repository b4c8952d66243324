"""Millions of gifts while the ledger is archived and trimmed: does Redis' memory stay? ``python -m benchmarks.bounded``

The batcher alone sends ``--rate`` gifts a second to a private Redis; an archiver of its own process follows into an
SQLite (or ``--archive postgresql://…``) and trims what is older than ``--keep`` seconds. Redis' memory is printed on
the way, and at the end the audit, of the archive and of what is left in Redis. Keys are forgotten after 10 s here.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import uvloop

from gifting.archive.archiver import Archiver
from gifting.archive.ledger_items import ledger_items
from gifting.archive.store import open_store
from gifting.archive.trimming import Trimmer
from gifting.config import load
from gifting.ledger.audit import audit
from gifting.ledger.clock import in_ms
from gifting.ledger.connect import connect
from gifting.ledger.embedded import EmbeddedRedis
from gifting.ledger.floors import HOLD_MAX
from gifting.ledger.keys import Keys
from gifting.ledger.ledger import Ledger
from gifting.ledger.meta import ARCHIVE
from gifting.model.catalog import load_catalog
from gifting.model.money import make_key

IN_FLIGHT: Final = 2048
SENDERS: Final = 200
LINES: Final = 20
SETTINGS: Final[dict[str, Any]] = {"dedupe_window": 10, "key_lead": 1, "log_keep": 1000}


async def follow(url: str, archive: str, keep: float) -> None:
    """The archiver, until its input ends."""
    redis, store, stop = connect(url, 60), open_store(archive), asyncio.Event()
    asyncio.get_running_loop().add_reader(0, stop.set)
    keys = Keys("gifting", load(SETTINGS, environ={}).partitions)
    await store.upgrade()
    await Archiver(redis, keys, "gifting", store, [Trimmer(redis, keys, keep).trim]).run(stop)
    await store.close()
    await redis.aclose()


class Load:
    """So many gifts, at so many a second at most."""

    def __init__(self, ledger: Ledger, gifts: int, rate: float) -> None:
        self._ledger = ledger
        self._left = self._gifts = gifts
        self._rate = rate
        self._began = 0.0
        self._flying = 0
        self.done = 0
        self.refused = 0
        self.over = asyncio.Event()

    async def start(self) -> None:
        self._room = await self._ledger.rooms.open("room", "host", "Host", "")
        users = [f"u{n}" for n in range(SENDERS)]
        self._senders = [self._ledger.gifts.sender(user, {"id": user, "name": user, "level": 1}) for user in users]
        for sender in self._senders:
            await self._ledger.wallets.grant(sender.id, 10**9, new_key(), "bench", "bench")
        self._began = time.monotonic()

    def fill(self) -> None:
        """Send what is due by now."""
        due = self._rate * (time.monotonic() - self._began)
        while self._left and self._flying < IN_FLIGHT and self._gifts - self._left < due:
            self._send()

    def _send(self) -> None:
        self._left -= 1
        self._flying += 1
        sender = self._senders[self._left % SENDERS]
        self._ledger.gifts.submit(sender, self._room, "spark", new_key(), 1, None, self._told)

    def _told(self, outcome: object) -> None:
        self._flying -= 1
        self.done += 1
        self.refused += isinstance(outcome, Exception)
        self.fill()
        if not self._left and not self._flying:
            self.over.set()


def new_key() -> str:
    return make_key(time.time_ns() // 1_000_000, os.urandom(10))


async def watch(ledger: Ledger, load: Load, gifts: int) -> list[float]:
    """Print what Redis holds; returns MiB, from line to line. Keys of gifts are forgotten as their window says."""
    redis, seen, began = ledger.redis, list[float](), time.monotonic()
    while not load.over.is_set():
        load.fill()
        await asyncio.sleep(0.01)
        if load.done < (len(seen) + 1) * gifts / LINES:
            continue
        now = in_ms(await redis.time())
        await ledger.upkeep.floors.raise_to(now, HOLD_MAX)
        await ledger.upkeep.backlog.read(now)
        used = (await redis.info("memory"))["used_memory"] / 2**20
        items = sum([await redis.xlen(f"{base}:ledger") for base in ledger.keys.bases])
        seen.append(used)
        rate, behind = load.done / (time.monotonic() - began), ledger.upkeep.backlog.seconds
        told = f"{load.done:>10,} gifts {rate:>8,.0f}/s  Redis {used:6.1f} MiB, {items:>7,} items"
        print(f"{told}, archive {behind:.1f} s behind", flush=True)
    return seen


async def run(gifts: int, rate: float, keep: float, archive: str) -> tuple[list[float], bool]:
    """Memory in MiB from line to line, and whether the audit was clean."""
    with tempfile.TemporaryDirectory(prefix="gifting-bounded-") as folder:
        embedded = EmbeddedRedis(Path(folder) / "data")
        url, archive = await embedded.start(), archive or f"sqlite:///{folder}/archive.db"
        ledger = Ledger(url, load(SETTINGS, environ={}), load_catalog())
        await ledger.start()
        follower = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.bounded", "--follow", url, "--archive", archive, "--keep", str(keep)),
            stdin=asyncio.subprocess.PIPE,
        )
        sending = Load(ledger, gifts, rate)
        await sending.start()
        seen = await watch(ledger, sending, gifts)
        assert follower.stdin is not None
        follower.stdin.close()
        await follower.wait()
        own = await ledger.redis.hget(ledger.keys.meta, ARCHIVE)
        async with ledger_items(archive, ledger.keys, own.decode()) as older:
            report = await audit(ledger.redis, ledger.keys, older.of)
        print(*report.lines(), f"{sending.refused} refused", sep="\n")
        await ledger.stop()
        await embedded.stop()
    return seen, report.clean and not sending.refused and report.gifts == gifts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--gifts", type=int, default=5_000_000)
    parser.add_argument("--rate", type=float, default=5_000)
    parser.add_argument("--keep", type=float, default=15.0, help="seconds that items stay in Redis")
    parser.add_argument("--archive", default="")
    parser.add_argument("--follow", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.follow:
        uvloop.run(follow(asked.follow, asked.archive, asked.keep))
    else:
        sys.exit(not uvloop.run(run(asked.gifts, asked.rate, asked.keep, asked.archive))[1])


if __name__ == "__main__":
    main()
