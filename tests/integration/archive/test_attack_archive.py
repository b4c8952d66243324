"""Whoever changes an archive is found: what was changed first is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import delete, insert, select, update

from gifting.archive.schema import closings, cursors, entries, items, seals
from gifting.archive.seal_file import SealFile
from gifting.archive.signer import find_signer
from gifting.archive.store import Store
from gifting.errors import BadArchive, BadSetting
from gifting.model.chain import first_hash, next_hash
from tests.support.archive import rows_of
from tests.support.sealed import Sealed

pytestmark = pytest.mark.attack


@pytest.fixture
async def sealed(redis_client: Redis, store: Store, tmp_path: Path) -> Sealed:
    made = Sealed(redis_client, store, tmp_path)
    for period in (202608, 202609, 202610):
        for partition in (0, 1):
            for _ in range(3):
                await made.add(period, partition=partition)
    await made.seal()
    assert (await made.verified()).broken == []
    return made


async def change(sealed: Sealed, *statements: Any) -> None:
    async with sealed.store.writing() as connection:
        for statement in statements:
            await connection.execute(statement)


def item(table: Any, seq: int, partition: int = 0) -> tuple[Any, Any]:
    return table.c.partition == partition, table.c.seq == seq


async def chain_anew(sealed: Sealed, partition: int = 0) -> None:
    """All hashes, as who tampers would write them, and the cursor's."""
    async with sealed.store.writing() as connection:
        found = (await connection.execute(select(items).where(items.c.partition == partition))).all()
        own = sealed.file.read()[0, 202608].books
        chained = first_hash(own, partition)
        for row in sorted(found, key=lambda row: row.seq):
            chained = next_hash(chained, partition, row.item_id, row.data)
            await connection.execute(update(items).where(*item(items, row.seq, partition)).values(hash=chained))
        await connection.execute(update(cursors).where(cursors.c.partition == partition).values(hash=chained))


async def test_a_tampered_row_is_named(sealed: Sealed) -> None:
    await change(sealed, update(items).where(*item(items, 5)).values(data=b"other"))
    (told,) = await sealed.broken()
    assert told.startswith("partition 0, item 5 (")
    assert "its hash is not that of its bytes" in told


async def test_a_removed_row_is_named(sealed: Sealed) -> None:
    await change(sealed, delete(items).where(*item(items, 5, 1)))
    (told,) = await sealed.broken()
    assert told.startswith("partition 1, item 5 (none): it is not there: item 6")


async def test_all_hashes_written_anew_are_told_by_the_seal_and_by_redis(sealed: Sealed) -> None:
    """The reason of a grant: no balance changes, and no key."""
    async with sealed.store.engine.connect() as connection:
        row = (await connection.execute(select(items).where(*item(items, 5)))).one()
    data = row.data.replace(b"why", b"who")
    await change(
        sealed,
        update(items).where(*item(items, 5)).values(data=data),
        update(entries).where(*item(entries, 5)).values(reason="who"),
    )
    await chain_anew(sealed)
    (told,) = await sealed.broken()
    assert "seal of 202609: its hash is not that of the chain: items 4 to 6 were written anew" in told
    (told,) = await sealed.broken(redis=True)
    assert told.startswith("partition 0, item 5 (")
    assert "Redis has other bytes" in told


async def test_a_swapped_seal_is_named(sealed: Sealed) -> None:
    """That of another partition; the database's and the file's differ too."""
    rows = {row[:2]: row for row in await rows_of(sealed.store, seals)}
    await change(
        sealed,
        update(seals).where(seals.c.partition == 0, seals.c.period == 202609).values(signature=rows[1, 202609][9]),
    )
    told = await sealed.broken()
    assert any("seal of 202609: its signature is not of it" in one for one in told)
    assert any("seal of 202609: the file outside has another" in one for one in told)


async def test_a_seal_by_another_key_is_named(sealed: Sealed) -> None:
    other = find_signer(sealed.folder / "other" / "seal.key")
    forged = [other.sign(seal) for seal in sealed.file.read().values()]
    await change(sealed, delete(seals), *(insert(seals).values(seal.row()) for seal in forged))
    sealed.file.path.unlink()
    SealFile(sealed.file.path).add(forged)
    told = await sealed.broken()
    assert len(told) == 2
    assert all(f"it is signed by the key {other.id}, which is not known" in one for one in told)


async def test_a_deleted_seal_is_named(sealed: Sealed) -> None:
    await change(sealed, delete(seals).where(seals.c.partition == 0, seals.c.period == 202609))
    told = await sealed.broken()
    assert any("seal of 202609: the database does not have it" in one for one in told)
    assert any("seal of 202610: there is none of 202609" in one for one in told)


async def test_a_deleted_last_seal_is_named_without_the_file(sealed: Sealed) -> None:
    last = max(place for place in sealed.file.read() if place[0] == 0)
    await change(sealed, delete(seals).where(seals.c.partition == 0, seals.c.period == last[1]))
    lines = [seal for seal in sealed.file.read().values() if seal.place != last]
    sealed.file.path.unlink()
    sealed.file.add(lines)
    (told,) = await sealed.broken()
    assert "a seal before" in told


async def test_a_seal_that_is_only_in_the_database_is_named(sealed: Sealed) -> None:
    kept = [seal for seal in sealed.file.read().values() if seal.place != (1, 202608)]
    sealed.file.path.unlink()
    sealed.file.add(kept)
    (told,) = await sealed.broken()
    assert "seal of 202608: the file outside does not have it" in told


async def test_a_truncated_tail_is_named(sealed: Sealed) -> None:
    await sealed.add(202611)
    await sealed.archive()
    await change(sealed, delete(items).where(*item(items, 10)))
    (told,) = await sealed.broken()
    assert told.startswith("partition 0, item 10 (none): it is not there, and the archive had items up to 10")


async def test_a_tail_that_redis_no_longer_has_is_named(sealed: Sealed) -> None:
    """Also if the cursor was set back: Redis counts what was ever added."""
    name = await sealed.add(202611)
    await sealed.archive()
    (before,) = [row for row in await rows_of(sealed.store, items) if row[1:3] == (0, 9)]
    await change(
        sealed,
        delete(items).where(*item(items, 10)),
        delete(entries).where(*item(entries, 10)),
        update(cursors).where(cursors.c.partition == 0).values(seq=9, item_id=before[3], hash=before[5]),
    )
    await sealed.redis.xtrim(f"{sealed.keys.bases[0]}:ledger", maxlen=0, approximate=False)
    told = await sealed.broken(redis=True)
    assert any("Redis has no more of items 10 to 10" in one for one in told), (name, told)


@pytest.mark.parametrize("column", [one.name for one in entries.columns if one.name not in ("partition", "seq")])
async def test_each_column_of_entries_is_proved(sealed: Sealed, column: str) -> None:
    kind = entries.c[column].type.python_type
    value = {int: 202610, str: "other", bytes: b"0" * 16}[kind]
    await change(sealed, update(entries).where(*item(entries, 2)).values({column: value}))
    (told,) = await sealed.broken()
    assert told.startswith("partition 0, item 2 (")
    assert column in told or "has no row" in told


async def test_a_row_that_no_item_has_is_named(sealed: Sealed) -> None:
    async with sealed.store.engine.connect() as connection:
        row = (await connection.execute(select(entries).where(*item(entries, 2)))).one()
    await change(sealed, insert(entries).values((*row[:2], b"stray key 16 byt", *row[3:])))
    (told,) = await sealed.broken()
    assert "which no item has" in told
    assert b"stray key 16 byt".hex() in told


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (
            update(closings).where(closings.c.name == "ann", closings.c.book == "coins").values(amount=5),
            "has 5 for coins",
        ),
        (delete(closings).where(closings.c.book == "bonus"), "lacks bonus 'ann'"),
        (update(closings).where(closings.c.book == "bonus").values(name="zed"), "bonus 'zed'"),
    ],
)
async def test_a_closing_that_was_changed_is_named(sealed: Sealed, statement: Any, says: str) -> None:
    await change(sealed, statement)
    told = await sealed.broken()
    assert len(told) == 2
    assert all("seal of 202608: its closing" in one and says in one for one in told)


async def test_a_period_that_was_changed_is_named(sealed: Sealed) -> None:
    await change(sealed, update(items).where(*item(items, 5)).values(period=202610))
    (told,) = await sealed.broken()
    assert told.startswith("partition 0, item 5 (none)")


async def test_a_key_that_others_can_read_is_refused(sealed: Sealed) -> None:
    (sealed.folder / "seal.key").chmod(0o640)
    with pytest.raises(BadSetting, match="can be read by others"):
        find_signer(sealed.folder / "seal.key")


async def test_a_line_that_is_no_seal_is_told(sealed: Sealed) -> None:
    with sealed.file.path.open("ab") as file:
        file.write(b"nonsense\n")
    with pytest.raises(BadArchive, match="is no seal"):
        sealed.file.read()
