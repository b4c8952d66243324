"""The audit of books that an archive follows: from the newest closings on, where they are believed."""

from __future__ import annotations

from pathlib import Path
from time import time
from typing import Any, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from gifting.archive.checkpoint import Checkpoint, find_checkpoint
from gifting.archive.ledger_items import LedgerItems, ledger_items
from gifting.archive.proving import Broken
from gifting.archive.seal_file import SealFile
from gifting.archive.signer import read_public
from gifting.errors import ArchiveUnavailable, BadSetting
from gifting.ledger.audit import AuditReport, audit, audit_since
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.model.periods import show_period


class Audited(NamedTuple):
    """A report; ``since``: the month of the closings it began at (the oldest, if partitions differ; 0: it began at the
    first item); and closings that are not to be believed, for which it did.
    """

    report: AuditReport
    since: int = 0
    broken: tuple[Broken, ...] = ()

    def as_json(self) -> dict[str, Any]:
        since = show_period(self.since) if self.since else None
        return self.report.as_json() | {"closings": {"since": since, "broken": [one._asdict() for one in self.broken]}}

    def lines(self) -> list[str]:
        first, *rest = self.report.lines()
        told = [f"from the closings of {show_period(self.since)} on"] if self.since else []
        told += [f"archive broken, so all is read from the first item: {one}" for one in self.broken]
        return [first, *told, *rest]

    @property
    def clean(self) -> bool:
        return self.report.clean and not self.broken


async def audit_archived(
    redis: BinaryRedis, keys: Keys, url: str, archive: str, key: Path, seals: Path, *, from_start: bool = False
) -> Audited:
    """Audit books whose archive, of that id, is at ``url``; by the key and the file of its seals.

    Raises what :func:`gifting.ledger.audit.audit` and :func:`.ledger_items.ledger_items` do, and BadArchive for a file
    that has something else than seals.
    """
    async with ledger_items(url, keys, archive) as older:
        try:
            told = () if from_start else await _audit_since(redis, keys, older, key, seals)
        except SQLAlchemyError as error:
            raise ArchiveUnavailable(f"The archive can't be read: {str(error).partition(chr(10))[0]}") from None
        if isinstance(told, Audited):
            return told
        return Audited(await audit(redis, keys, older.of), broken=told)


async def _audit_since(
    redis: BinaryRedis, keys: Keys, older: LedgerItems, key: Path, seals: Path
) -> Audited | tuple[Broken, ...]:
    """Where it can't begin at closings: those that are not to be believed."""
    now = int(time() * 1000)
    try:
        believed = read_public(key)
    except BadSetting:
        return ()
    async with older.store.engine.connect() as connection:
        found = await find_checkpoint(connection, keys, believed, SealFile(seals).read(), older, now)
        if not isinstance(found, Checkpoint):
            return tuple(found)
        report = await audit_since(redis, keys, found)
        return Audited(report, min(found.periods)) if report else ()
