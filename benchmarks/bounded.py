"""Millions of gifts while the ledger is archived and trimmed: does Redis' memory stay? ``python -m benchmarks.bounded``

The batcher alone sends ``--rate`` gifts a second to a private Redis; an archiver of its own process follows into an
SQLite (or ``--archive postgresql://…``) and trims what is older than ``--keep`` seconds. Each second it is looked at
the memory of Redis and of the archiver, and how far that is behind; a line has the most since the line before. At the
end are the audit, of the archive and of what is left in Redis, and the verdict, by which it exits. It stops before that
where the archive is behind for good. Keys are forgotten after 10 s here.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil
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
BEHIND_MAX: Final = 60.0
"""Seconds that the archive may be behind."""

WARM: Final = 10.0
"""Seconds until as many items are trimmed as come, beside those that they are kept."""

KEYS_WARM: Final = 150.0
"""Seconds until as many keys are forgotten as come: with their minute, and their window after it."""

GROWTH_MAX: Final = 1.25
"""What may have grown by so much has not grown: load comes and goes."""

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


def new_key() -> str:
    return make_key(time.time_ns() // 1_000_000, os.urandom(10))


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

    async def stop(self) -> None:
        """After those that are on their way."""
        self._left = 0
        while self._flying:
            await asyncio.sleep(0.01)


class Look(NamedTuple):
    """After ``at`` seconds: gifts, items in Redis, MiB of Redis and of the archiver, seconds that this is behind."""

    at: float
    gifts: int
    items: int
    redis: float
    archiver: float
    behind: float

    def __str__(self) -> str:
        told = f"{self.at:6.0f} s {self.gifts:>10,} gifts  Redis {self.redis:6.1f} MiB, {self.items:>7,} items"
        return f"{told}  archiver {self.archiver:5.1f} MiB, {self.behind:4.1f} s behind"


def most(looks: Sequence[Look]) -> Look:
    """The most of each."""
    return Look(*map(max, zip(*looks, strict=True)))


class Watch:
    """What is seen each second."""

    def __init__(self, ledger: Ledger, load: Load, follower: psutil.Process) -> None:
        self._ledger = ledger
        self._load = load
        self._follower = follower
        self.looks: list[Look] = []

    async def run(self, gifts: int) -> None:
        """Until all are sent, or the archive is too far behind."""
        began, told = time.monotonic(), 0
        while not self._load.over.is_set() and not self.is_behind:
            self._load.fill()
            await asyncio.sleep(0.01)
            if (at := time.monotonic() - began) < len(self.looks):
                continue
            self.looks.append(await self._look(at))
            if self._load.done * LINES >= gifts * (told + 1):
                print(most(self.looks[-max(len(self.looks) // (told + 1), 1) :]), flush=True)
                told = self._load.done * LINES // gifts

    @property
    def is_behind(self) -> bool:
        return bool(self.looks) and self.looks[-1].behind > BEHIND_MAX

    async def _look(self, at: float) -> Look:
        redis, upkeep = self._ledger.redis, self._ledger.upkeep
        now = in_ms(await redis.time())
        await upkeep.floors.raise_to(now, HOLD_MAX)
        await upkeep.backlog.read(now)
        items = sum([await redis.xlen(f"{base}:ledger") for base in self._ledger.keys.bases])
        redis_used = (await redis.info("memory"))["used_memory"] / 2**20
        own = self._follower.memory_info().rss / 2**20
        return Look(at, self._load.done, items, redis_used, own, upkeep.backlog.seconds)

    def verdict(self, keep: float) -> list[str]:
        """What is wrong: what grew from the first half of the time to the second, once that begins."""
        if self.is_behind:
            return [f"the archive is {self.looks[-1].behind:.0f} s behind: this machine has not the time for both"]
        grew = self._growth(keep + WARM, "items in Redis", attrgetter("items"))
        sizes = {"MiB of Redis": attrgetter("redis"), "MiB of the archiver": attrgetter("archiver")}
        return grew + [told for name, of in sizes.items() for told in self._growth(keep + KEYS_WARM, name, of)]

    def _growth(self, warm: float, name: str, size: Callable[[Look], float]) -> list[str]:
        sizes = [size(look) for look in self.looks if look.at > warm]
        if len(sizes) < 2:
            return [f"too short for {name}: {warm:.0f} s do not count"]
        early, late = max(sizes[: len(sizes) // 2]), max(sizes[len(sizes) // 2 :])
        return [f"{name} grew from {early:,.0f} to {late:,.0f}"] if late > GROWTH_MAX * early else []


async def run(gifts: int, rate: float, keep: float, archive: str) -> list[str]:
    """What is wrong; nothing, if memory stayed and the books are whole."""
    with tempfile.TemporaryDirectory(prefix="gifting-bounded-") as folder:
        embedded = EmbeddedRedis(Path(folder) / "data")
        url, archive = await embedded.start(), archive or f"sqlite:///{folder}/archive.db"
        ledger = Ledger(url, load(SETTINGS, environ={}), load_catalog())
        await ledger.start()
        follower = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.bounded", "--follow", url, "--archive", archive, "--keep", str(keep)),
            stdin=asyncio.subprocess.PIPE,
        )
        process = psutil.Process(follower.pid)
        sending = Load(ledger, gifts, rate)
        watch = Watch(ledger, sending, process)
        await sending.start()
        await watch.run(gifts)
        await sending.stop()
        took = sum(process.cpu_times()[:2])
        assert follower.stdin is not None
        follower.stdin.close()
        await follower.wait()
        print(f"most:  {most(watch.looks)}", f"archiver: {took / sending.done * 1e6:.1f} µs of CPU a gift", sep="\n")
        wrong = watch.verdict(keep) + await audited(ledger, archive, sending)
        await ledger.stop()
        await embedded.stop()
    return wrong


async def audited(ledger: Ledger, archive: str, load: Load) -> list[str]:
    """What is wrong with the books, which are printed."""
    own = await ledger.redis.hget(ledger.keys.meta, ARCHIVE)
    async with ledger_items(archive, ledger.keys, own.decode()) as older:
        report = await audit(ledger.redis, ledger.keys, older.of)
    print(*report.lines(), sep="\n")
    wrong = {
        "the audit is not clean": not report.clean,
        f"{load.refused} gifts were refused": load.refused,
        f"{load.done} gifts were sent, and {report.gifts} are in the books": report.gifts != load.done,
    }
    return [told for told, is_so in wrong.items() if is_so]


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
        wrong = uvloop.run(run(asked.gifts, asked.rate, asked.keep, asked.archive))
        print(f"NOT BOUNDED: {'; '.join(wrong)}" if wrong else "bounded: memory stays, and the books are whole")
        sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
