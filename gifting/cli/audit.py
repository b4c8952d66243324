"""``gifting audit``: prove the books."""

from __future__ import annotations

import sys
import traceback
from json import dumps
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gifting import config
from gifting.cli.options import ArchiveOption, DataOption, JsonOption, PrefixOption, RedisOption
from gifting.cli.target import data_beside
from gifting.errors import GiftingError

if TYPE_CHECKING:
    from gifting.ledger.audit import AuditReport
    from gifting.ledger.connect import BinaryRedis


def audit(
    redis: RedisOption = None,
    data_dir: DataOption = None,
    key_prefix: PrefixOption = None,
    archive: ArchiveOption = None,
    json: JsonOption = False,
) -> None:
    """Prove the books: rebuild every balance from the ledger. Exit status 0: clean; 1: what differs is told by cause;
    2: there was nothing that could be audited."""
    from gifting.cli.data import with_redis

    settings = data_beside({"redis": redis, "data_dir": data_dir, "key_prefix": key_prefix, "archive": archive})
    try:
        report = with_redis(settings, lambda client: _audit(client, settings))
    except GiftingError:
        raise
    except Exception:  # a bug of ours says nothing about the books, as status 1 would
        traceback.print_exc()
        sys.exit(2)
    for line in [dumps(report.as_json(), indent=2)] if json else report.lines():
        print(line)
    sys.exit(0 if report.clean else 1)


async def _audit(client: BinaryRedis, settings: config.Settings) -> AuditReport:
    from gifting.ledger.audit import audit, find_books
    from gifting.ledger.meta import ARCHIVE

    place = _without_password(settings.redis) if settings.redis else f"The data directory {settings.data_path}"
    keys = await find_books(client, settings.key_prefix, place)
    archive = await client.hget(keys.meta, ARCHIVE)
    if archive is None or not (url := settings.archive_url()):
        return await audit(client, keys)
    from gifting.archive.ledger_items import ledger_items

    async with ledger_items(url, keys, archive.decode()) as older:
        return await audit(client, keys, older.of)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
