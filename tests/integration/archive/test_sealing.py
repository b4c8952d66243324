"""Months are sealed once they are over, once each, whatever is late, empty, or broke off."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import delete, update

from gifting.archive.month_end import MonthEnd
from gifting.archive.schema import closings, cursors, items, seals
from gifting.archive.sealing import MARGIN, Sealer
from gifting.archive.seals import read_seal
from gifting.archive.store import Store, open_store
from gifting.cli.audit import prove
from gifting.ledger.clock import in_ms
from gifting.model.periods import following, month_of, preceding, starts
from tests.support.archive import rows_of
from tests.support.sealed import Sealed

ANN = b"ann"


@pytest.fixture
async def sealed(redis_client: Redis, store: Store, tmp_path: Path) -> Sealed:
    return Sealed(redis_client, store, tmp_path)


async def now_of(sealed: Sealed) -> int:
    seconds, _ = await sealed.redis.time()
    return int(month_of(seconds * 1000))


async def test_each_month_that_is_over_is_sealed_and_the_open_one_not(sealed: Sealed) -> None:
    this = await now_of(sealed)
    last = preceding(this)
    first = preceding(last)
    for period in (first, last, this):
        await sealed.add(period, day=0)
    assert await sealed.seal() in (1, 2)  # the last one waits for an hour after its end
    made = await rows_of(sealed.store, seals)
    assert [row[:4] for row in made][:1] == [(0, first, 1, 1)]
    assert len(made) < 3
    assert (await sealed.verified()).broken == []


async def test_empty_months_are_sealed_and_partitions_without_items_are_not(sealed: Sealed) -> None:
    await sealed.add(202511)
    await sealed.add(202602)
    await sealed.add(202602)
    await sealed.seal()
    made = await rows_of(sealed.store, seals)
    spans = [row[1:4] for row in made][:5]
    assert spans == [(202511, 1, 1), (202512, 2, 1), (202601, 2, 1), (202602, 2, 3), (202603, 4, 3)]
    assert {row[0] for row in made} == {0}
    assert await sealed.seal() == 0
    assert (await sealed.verified()).broken == []
    (cursor, empty) = await rows_of(sealed.store, cursors)
    assert cursor[4] == following(made[-1][1])
    assert empty[4] == month_of(in_ms(await sealed.redis.time()) - MARGIN)


async def test_a_partition_whose_first_item_waits_to_be_archived_closes_no_month(sealed: Sealed) -> None:
    await sealed.add(202511)
    await sealed.archive()
    await sealed.add(202511, partition=1)
    await sealed.sealer().seal_due()
    assert (await rows_of(sealed.store, cursors))[1][4] == 0
    await sealed.seal()
    assert (await rows_of(sealed.store, items))[1][:3] == (202511, 1, 1)
    assert (await sealed.verified()).broken == []


async def test_what_is_late_belongs_to_the_next_month(sealed: Sealed) -> None:
    """Its id is of a month that was sealed: Redis' clock has stepped back."""
    await sealed.add(202511)
    await sealed.seal()
    opened = (await rows_of(sealed.store, cursors))[0][4]
    await sealed.add(202511, day=20)
    await sealed.archive()
    assert [row[0] for row in await rows_of(sealed.store, items)] == [202511, opened]
    assert (await sealed.verified()).broken == []


async def test_what_waits_in_the_stream_is_archived_before_its_month_is_sealed(sealed: Sealed) -> None:
    await sealed.add(202511)
    await sealed.archive()
    await sealed.add(202511)
    assert await sealed.sealer().seal_due() == 0
    assert await rows_of(sealed.store, seals) == []
    assert await sealed.seal() > 0
    assert (await rows_of(sealed.store, seals))[0][3] == 2


async def test_two_who_seal_at_once_make_one_seal(sealed: Sealed) -> None:
    await sealed.add(202511)
    await sealed.archive()
    await asyncio.gather(sealed.sealer().seal_due(), sealed.sealer().seal_due())
    await sealed.sealer().seal_due()
    made = await rows_of(sealed.store, seals)
    assert len({row[1] for row in made}) == len(made) == len(sealed.file.read())
    assert (await sealed.verified()).broken == []


async def test_a_crash_before_the_file_is_healed(sealed: Sealed) -> None:
    await sealed.add(202511)
    await sealed.seal()
    whole = sealed.file.path.read_bytes()
    lines = whole.splitlines(keepends=True)
    sealed.file.path.write_bytes(b"".join(lines[:-1]) + lines[-1][:40])
    assert await sealed.seal() == 0
    assert sealed.file.path.read_bytes() == whole
    sealed.file.path.unlink()
    await sealed.seal()
    assert sealed.file.path.read_bytes() == whole


async def test_a_database_from_before_a_seal_is_sealed_by_the_one_outside(sealed: Sealed) -> None:
    """Also where something was late: what came after the seal belongs to the next month."""
    await sealed.add(202511)
    await sealed.seal()
    outside = sealed.file.path.read_bytes()
    await sealed.add(202511, day=9)
    async with sealed.store.writing() as connection:
        await connection.execute(delete(seals))
        await connection.execute(delete(closings))
        await connection.execute(update(cursors).where(cursors.c.seq > 0).values(period=202511))
    await sealed.seal()
    assert sealed.file.path.read_bytes() == outside
    made = await rows_of(sealed.store, seals)
    assert [row[0] for row in await rows_of(sealed.store, items)] == [202511, following(made[-1][1])]
    assert (await sealed.verified()).broken == []


async def test_a_closing_has_all_balances_and_lots(sealed: Sealed) -> None:
    await sealed.add(
        202511,
        ("purchase", 1, bytes(15) + b"p", ANN, b"o1", 100, 10, 0),
        ("purchase", 1, bytes(15) + b"q", ANN, b"o2", 50, 0, 0),
        ("debit", 1, bytes(15) + b"d", ANN, b"room", b"bob", b"rose", 1, 30),
    )
    await sealed.add(202512, ("credit", 1, bytes(15) + b"c", b"zoe", b"room", b"bob", 1, 30, 21000, 700, 1))
    await sealed.seal()
    rows = {tuple(row[2:4]): row[4] for row in await rows_of(sealed.store, closings) if row[0] == 202511}
    assert rows == {
        ("coins", "ann"): 130,
        ("sent", "ann"): 30,
        ("purchased", "ann"): 150,
        ("totals", "issued"): 160,
        ("totals", "spent"): 30,
        ("counts", "gifts"): 1,
        ("sides", "debited"): 67376648873764761,
        ("kept", "ann\n0\no1"): 100,
        ("kept", "ann\n100\no2"): 50,
        ("lot", "ann\no1"): 80,
        ("lot", "ann\no2"): 50,
    }
    assert (await sealed.verified()).broken == []


async def test_what_does_not_fit_is_not_sealed(sealed: Sealed, caplog: pytest.LogCaptureFixture) -> None:
    await sealed.add(202511)
    await sealed.archive()
    async with sealed.store.writing() as connection:
        await connection.execute(update(items).values(data=b"other"))
    assert await sealed.sealer().seal_due() == 0
    assert "item 1" in caplog.text


async def test_a_seal_is_read_as_it_was_written_only(sealed: Sealed) -> None:
    await sealed.add(202511)
    await sealed.seal()
    line = sealed.file.path.read_bytes().splitlines()[0]
    assert read_seal(line).line() == line + b"\n"
    for other in (
        b"",
        b"{}",
        b"[]",
        b"null",
        line[:-1],
        line.replace(b":", b": ", 1),
        line.replace(b'"made"', b'"mode"'),
    ):
        with pytest.raises(ValueError, match="is no seal"):
            read_seal(other)


async def test_the_audit_proves_an_archive_by_what_is_outside_of_it(sealed: Sealed, archive_url: str) -> None:
    await sealed.add(202511)
    await sealed.seal()
    await sealed.redis.hset(sealed.keys.meta, "partitions", "2")
    files = (sealed.folder / "seal.pub", sealed.file.path)
    proved = await prove(sealed.redis, "gifting", archive_url, *files)
    assert proved.lines()[0].startswith("archive: 1 items, 1 entries, ")
    assert proved.as_json()["broken"] == []
    async with sealed.store.writing() as connection:
        await connection.execute(update(items).values(data=b"other"))
    assert "item 1" in (await prove(sealed.redis, "gifting", archive_url, *files)).lines()[1]


async def test_a_clock_that_jumps_a_year_ahead_and_back_seals_nothing_early(sealed: Sealed) -> None:
    await sealed.add(202611, day=0)
    await sealed.archive()
    hands = {"own": starts(202611) / 1000 + 10 * 86_400, "ahead": 0.0, "at": 1000.0}

    class Redis:
        """Redis, but for its clock."""

        xrange, xlen = sealed.redis.xrange, sealed.redis.xlen

        async def time(self) -> tuple[int, int]:
            return int(hands["own"] + hands["ahead"]), 0

    month_end = MonthEnd(lambda: hands["own"] + hands["ahead"], lambda: hands["at"])
    clock: Any = Redis()
    sealer = Sealer(
        clock, sealed.keys, sealed.store, sealed.signer, sealed.file, month_end, monotonic=lambda: hands["at"]
    )
    for ahead in (0.0, 366 * 86_400.0, 366 * 86_400.0, 0.0):
        hands |= {"ahead": ahead, "own": hands["own"] + 3600, "at": hands["at"] + 3600}
        assert await sealer.seal_due() == 0
    assert await rows_of(sealed.store, seals) == []
    hands["own"] += 32 * 86_400
    hands["at"] += 32 * 86_400
    assert await sealer.seal_due() == 1, "by then it is over"


async def test_what_is_kept_beside_the_books_is_nobody_elses_to_read(sealed: Sealed, tmp_path: Path) -> None:
    path = tmp_path / "made" / "archive.db"
    path.parent.mkdir()
    store = open_store(f"sqlite:///{path}")
    await store.upgrade()
    await sealed.add(202511)
    await sealed.seal()
    kept = [*path.parent.iterdir(), sealed.file.path]
    assert {one.name for one in kept} == {"archive.db", "archive.db-wal", "archive.db-shm", "seals.jsonl"}
    for one in kept:
        assert stat.S_IMODE(one.stat().st_mode) == 0o600, one
    await store.close()
