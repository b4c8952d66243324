"""Whatever happens to the books while an archive follows, months are sealed and Redis is trimmed: the archive, and what
Redis has after it, tell the same as the reference; and what a clock that went back brings late breaks no seal.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from redis.asyncio import Redis
from sqlalchemy import select, update

from gifting.archive.archiver import Archiver
from gifting.archive.closing import Closing
from gifting.archive.ledger_items import ledger_items
from gifting.archive.month_end import MonthEnd
from gifting.archive.origin import read_cursors
from gifting.archive.overlap import Overlap
from gifting.archive.pages import pages
from gifting.archive.schema import cursors, items, make_partitions
from gifting.archive.seal_file import SealFile
from gifting.archive.sealing import Sealer, read_closing, read_seals
from gifting.archive.signer import find_signer, read_public
from gifting.archive.store import Store, open_store
from gifting.archive.verify import verify
from gifting.ledger.audit import audit
from gifting.ledger.meta import ARCHIVE
from gifting.ledger.trimming import trim
from tests.support.books_machine import HOSTS, USERS
from tests.support.breaking_machine import BreakingMachine
from tests.support.cuts import STAMPED
from tests.support.lua import hook
from tests.support.sealed import Sealed

KEPT = 900.0
"""Seconds that an item stays in Redis."""
BOOKS = ("coins", "bonus", "debt", "sent", "diamonds", "host_debt")


class Clocked:
    """Redis, whose clock is the machine's."""

    def __init__(self, machine: ArchivedMachine) -> None:
        self._machine = machine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._machine.ledger.redis, name)

    async def time(self) -> tuple[int, int]:
        return divmod(self._machine.clock * 1000, 1_000_000)


class ArchivedMachine(BreakingMachine):
    """The ledger's items have ids by the machine's clock, by which months are sealed, too."""

    call = STAMPED

    def __init__(self) -> None:
        self.patch = pytest.MonkeyPatch()
        hook(self.patch, "", STAMPED)
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.archive_url = f"sqlite:///{self.folder / 'archive.db'}"
        super().__init__()
        self.store = open_store(self.archive_url)
        self.looks = itertools.count(0, 3600)
        self.file, self.signer = SealFile(self.folder / "seals.jsonl"), find_signer(self.folder / "seal.key")
        self.begin()

    def begin(self) -> None:
        """An archiver and a sealer that know nothing yet."""
        redis: Any = Clocked(self)
        self.archiver = Archiver(redis, self.ledger.keys, "gifting", self.store)
        own = MonthEnd(wall=self.seconds, monotonic=self.seconds)
        self.run(self.catch_up())
        self.sealer = Sealer(
            redis, self.ledger.keys, self.store, self.signer, self.file, own, lambda: float(next(self.looks))
        )

    def seconds(self) -> float:
        return self.clock / 1000

    def teardown(self) -> None:
        try:
            self.run(self.prove())
            super().teardown()
        finally:
            self.patch.undo()
            shutil.rmtree(self.folder)

    @rule()
    def the_archiver_looks_once(self) -> None:
        self.run(self.archiver.round())

    @rule()
    def the_archiver_catches_up(self) -> None:
        self.run(self.catch_up())

    async def catch_up(self) -> None:
        while await self.archiver.round():
            pass

    @rule()
    def the_archiver_is_started_again(self) -> None:
        self.begin()

    @rule()
    def months_are_sealed(self) -> None:
        self.run(self.sealer.seal_due())

    @rule(kept=st.sampled_from([0, KEPT]))
    def redis_is_trimmed(self, kept: float) -> None:
        self.run(trim(self.ledger.redis, self.ledger.keys, kept, str(self.clock)))

    @rule(days=st.sampled_from([1, 32, 63]))
    def a_month_is_over_and_the_clock_goes_back(self, days: int) -> None:
        """What comes now is late."""
        self.run(self.catch_up())
        self.clock += days * 86_400_000
        self.run(self.sealer.seal_due())
        self.clock -= days * 86_400_000

    async def audit(self) -> None:
        """By the archive, where Redis is trimmed."""
        name = (await self.ledger.redis.hget(self.ledger.keys.meta, ARCHIVE)).decode()
        async with ledger_items(self.archive_url, self.ledger.keys, name) as older:
            report = await audit(self.ledger.redis, self.ledger.keys, older.of)
        assert {problem.name for problem in report.problems} <= self.excused(), report.lines()

    async def prove(self) -> None:
        try:
            await self.archiver.round()
            found = await self.replayed()
            for user in USERS:
                purse = self.books.shop.purse(user)
                told = (found["coins"][user], found["bonus"][user], found["debt"][user], found["sent"][user])
                assert told == (purse.coins, purse.bonus, purse.debt, purse.sent)
            for host in HOSTS:
                earner = self.books.office.earner(host)
                assert (found["diamonds"][host], found["host_debt"][host]) == (earner.balance, earner.debt)
            public, overlap = read_public(self.folder / "seal.key"), Overlap(self.ledger.redis, self.ledger.keys.bases)
            assert not (await verify(self.store, public, self.file.read(), overlap, 1 << 53)).broken
        finally:
            await self.store.close()

    async def replayed(self) -> dict[str, Counter[str]]:
        """The books by the last closing of each partition, what was archived since, and what Redis has after that."""
        found: dict[str, Counter[str]] = {}
        async with self.store.engine.connect() as connection:
            last = {seal.partition: seal for seal in await read_seals(connection)}
            for cursor in await read_cursors(connection):
                seal = last.get(cursor.partition)
                period, after = (seal.period, seal.last_seq) if seal else (0, 0)
                closing = Closing([row async for row in read_closing(connection, cursor.partition, period)])
                newer = select(items).where(items.c.partition == cursor.partition, items.c.seq > after)
                async for row in pages(connection, newer, items.c.seq):
                    closing.enter(row.data)
                base = self.ledger.keys.bases[cursor.partition]
                for _, fields in await self.ledger.redis.xrange(f"{base}:ledger", min=f"({cursor.item_id}"):
                    closing.enter(fields[b"e"])
                for (book, name), amount in closing.amounts().items():
                    found.setdefault(book, Counter())[name] += amount
        return {book: found.get(book, Counter()) for book in BOOKS}


def drive(url_of: str, examples: int, steps: int) -> None:
    class Machine(ArchivedMachine):
        url = url_of

    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    how = settings(max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=checks)
    run_state_machine_as_test(Machine, settings=how)


@pytest.mark.timeout(400)
def test_archive_and_redis_tell_what_the_reference_does(redis_url: str) -> None:
    drive(redis_url, 6, 20)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_they_do_it_for_long(redis_url: str) -> None:
    drive(redis_url, 150, 50)


async def test_a_partition_s_first_item_may_be_late(redis_client: Redis, store: Store, tmp_path: Path) -> None:
    """Months closed in it while it had nothing; then a clock went back. Once that is sealed, it is moved no more."""
    books = Sealed(redis_client, store, tmp_path)
    await books.add(202401)
    await books.seal()
    await books.add(202401, partition=1)
    async with store.writing() as connection:
        await connection.execute(update(cursors).where(cursors.c.partition == 1).values(period=202403))
    await books.archive()
    assert not await books.broken(redis=True)
    await books.seal()
    assert not await books.broken(redis=True)
    async with store.writing() as connection:
        await make_partitions(connection, items, [202404])
        await connection.execute(update(items).where(items.c.partition == 1).values(period=202404))
    assert "its period is 202404" in str(await books.broken())
