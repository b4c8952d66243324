"""What operators did, newest first: from Redis what it still has, from the archive, where there is one, the rest."""

from __future__ import annotations

import re
from typing import Final

from gifting.archive.reading import Archive
from gifting.errors import BadCursor, NoArchive
from gifting.ledger.acts import PAGE, Act, newest_acts
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys

_CURSOR: Final = re.compile(r"[0-9]{16}-[0-9]{8}")


async def acts_page(
    archive: Archive, redis: BinaryRedis, keys: Keys, who: str, since: int, cursor: str, limit: int
) -> tuple[list[Act], str]:
    """Acts from ``since`` (ms since 1970) on, of one operator ('': of all), and the cursor of the next page or ''.

    Redis is read first: what it forgets meanwhile is in the archive by then.

    Raises:
        BadCursor, ArchiveUnavailable, Unavailable
    """
    if cursor and not _CURSOR.fullmatch(cursor):
        raise BadCursor
    found = await _recent(redis, keys, who, since, cursor, limit + 1)
    try:
        async with archive.reading() as connection:
            from gifting.archive.acts import archived_acts  # noqa: PLC0415

            rows = await archived_acts(connection, who, since, cursor, limit + 1)
    except NoArchive:
        rows = []
    known = {act.id: act for act in [*found, *(Act(*row) for row in rows)]}
    acts = [known[name] for name in sorted(known, reverse=True)]
    return acts[:limit], acts[limit - 1].id if len(acts) > limit else ""


async def _recent(redis: BinaryRedis, keys: Keys, who: str, since: int, before: str, limit: int) -> list[Act]:
    found: list[Act] = []
    while len(found) < limit:
        page = await newest_acts(redis, keys, before)
        found += [act for act in page if act.at >= since and who in ("", act.who)]
        if len(page) < PAGE or page[-1].at < since:
            break
        before = page[-1].id
    return found
