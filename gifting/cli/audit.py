"""``gifting audit``: prove the books."""

from __future__ import annotations

import sys
import traceback
from json import dumps
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Annotated

import typer

from gifting import config
from gifting.cli.options import ArchiveOption, DataOption, JsonOption, PrefixOption, RedisOption
from gifting.cli.target import data_beside
from gifting.errors import GiftingError

if TYPE_CHECKING:
    from gifting.archive.audited import Audited
    from gifting.archive.verify import Verified
    from gifting.ledger.audit import AuditReport
    from gifting.ledger.connect import BinaryRedis


SealsOption = Annotated[
    str | None, typer.Option("--seals", help="The seals outside the archive; seals.jsonl in the data directory.")
]
SealKeyOption = Annotated[
    str | None, typer.Option("--seal-key", help="Keys by which seals are believed; seal.pub in the data directory.")
]

FromStartOption = Annotated[
    bool, typer.Option("--from-start", help="Read from the first item, not from the closings of sealed months.")
]


def audit(
    redis: RedisOption = None,
    data_dir: DataOption = None,
    key_prefix: PrefixOption = None,
    json: JsonOption = False,
    archive: ArchiveOption = None,
    seals: SealsOption = None,
    seal_key: SealKeyOption = None,
    from_start: FromStartOption = False,
) -> None:
    """Prove the books: rebuild every balance from the ledger, from the newest sealed closings in its archive on. Exit
    status 0: clean; 1: what differs is told by cause; 2: there was nothing that could be audited."""
    from gifting.cli.data import with_redis

    flags = {"redis": redis, "data_dir": data_dir, "key_prefix": key_prefix, "archive": archive}
    settings = data_beside(flags | {"seals": seals, "seal_key": seal_key})
    try:
        report = with_redis(settings, lambda client: _audit(client, settings, from_start=from_start or bool(archive)))
        proved = None
        if archive:
            files = settings.seal_key_path, settings.seals_path
            proved = with_redis(settings, lambda client: prove(client, settings.key_prefix, archive, *files))
    except GiftingError:
        raise
    except Exception:  # a bug of ours says nothing about the books, as status 1 would
        traceback.print_exc()
        sys.exit(2)
    told = report.as_json() | ({"archive": proved.as_json()} if proved else {})
    for line in [dumps(told, indent=2)] if json else [*report.lines(), *(proved.lines() if proved else [])]:
        print(line)
    sys.exit(0 if report.clean and not (proved and proved.broken) else 1)


async def prove(client: BinaryRedis, prefix: str, url: str, public: Path, outside: Path) -> Verified:
    """Prove an archive by the keys and the seals outside of it. Raises GiftingError, and what its libraries do."""
    from gifting.archive.overlap import Overlap
    from gifting.archive.seal_file import SealFile
    from gifting.archive.signer import read_public
    from gifting.archive.store import open_store
    from gifting.archive.verify import verify
    from gifting.ledger.audit import find_books

    believed, now = read_public(public), int(time() * 1000)
    keys = await find_books(client, prefix, "Redis")
    store = open_store(url)
    try:
        return await verify(store, believed, SealFile(outside).read(), Overlap(client, keys.bases), now)
    finally:
        await store.close()


async def _audit(client: BinaryRedis, settings: config.Settings, *, from_start: bool) -> AuditReport | Audited:
    from gifting.ledger.address import shown
    from gifting.ledger.audit import audit, find_books
    from gifting.ledger.meta import ARCHIVE

    place = shown(settings.redis) if settings.redis else f"The data directory {settings.data_path}"
    keys = await find_books(client, settings.key_prefix, place)
    archive = await client.hget(keys.meta, ARCHIVE)
    if archive is None or not (url := settings.archive_url()):
        return await audit(client, keys)
    from gifting.archive.audited import audit_archived

    files = settings.seal_key_path, settings.seals_path
    return await audit_archived(client, keys, url, archive.decode(), *files, from_start=from_start)
