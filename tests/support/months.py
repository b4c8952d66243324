"""Books of a clock of the test's own, whose streams become what they would be if that had been Redis' clock too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import select

from gifting.archive.archiver import Archiver
from gifting.archive.audited import Audited, audit_archived
from gifting.archive.month_end import MonthEnd
from gifting.archive.schema import books
from gifting.archive.seal_file import SealFile
from gifting.archive.sealing import Sealer
from gifting.archive.signer import find_signer
from gifting.archive.store import Store
from gifting.ledger.audit import AuditReport, audit
from gifting.ledger.entry_parser import parse_entries
from gifting.ledger.keys import Keys
from gifting.ledger.meta import ARCHIVE


async def date(redis: Any, keys: Keys) -> None:
    """Give each item the time of its first entry for an id, or that of the item before."""
    for base in keys.bases:
        found = await redis.xrange(f"{base}:ledger")
        await redis.delete(f"{base}:ledger", f"{base}:archived")
        at = 1
        for number, (_, fields) in enumerate(found):
            at = max(at, next(iter(parse_entries(fields[b"e"]))).ts)
            await redis.xadd(f"{base}:ledger", fields, id=f"{at}-{number}")


class At(MonthEnd):
    """It is that time, in ms."""

    def __init__(self, now: int) -> None:
        super().__init__()
        self._now = now

    def passed(self, redis_ms: int, newest: int) -> int:
        return self._now


class Months:
    """An archive of such books, and its seals."""

    def __init__(self, redis: Any, keys: Keys, store: Store, url: str, folder: Path) -> None:
        self.redis, self.keys, self.store, self.url = redis, keys, store, url
        self.files = folder / "seal.key", folder / "seals.jsonl"

    async def archive(self) -> None:
        archiver = Archiver(self.redis, self.keys, "gifting", self.store)
        while await archiver.round():
            pass

    async def seal(self, now: int) -> int:
        """What is over by then."""
        signer, file = find_signer(self.files[0]), SealFile(self.files[1])
        return await Sealer(self.redis, self.keys, self.store, signer, file, At(now)).seal_due()

    async def both(self) -> tuple[Audited, AuditReport]:
        """The audit as it begins by itself, and from the first item on."""
        async with self.store.engine.connect() as connection:
            own = (await connection.execute(select(books.c.id))).scalar_one()
        await self.redis.hset(self.keys.meta, ARCHIVE, own)
        found = await audit_archived(self.redis, self.keys, self.url, own, *self.files)
        return found, await audit(self.redis, self.keys)
