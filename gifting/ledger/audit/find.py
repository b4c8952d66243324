"""Which books there are to audit: nothing is taken on trust but the prefix, so that nothing is ever called clean."""

from __future__ import annotations

import re
from typing import Final

from gifting.config import PARTITIONS_MAX
from gifting.errors import BadSetting
from gifting.ledger.audit.values import text
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys

SCAN_COUNT, SCANS_MAX = 1000, 1000
"""Keys that one SCAN looks at, and how many SCANs look for other prefixes: about a million keys."""

NAMED_MAX: Final = 10
"""Other prefixes named in an error."""

_COUNT: Final = re.compile(rb"[1-9]\d{0,2}")


async def find_books(redis: BinaryRedis, prefix: str, place: str) -> Keys:
    """The keys of the books under ``prefix``, over as many partitions as their ``meta`` says.

    Args:
        place: what ``redis`` is, for the error.

    Raises:
        BadSetting: there are none; it names the prefixes that have some.
        RedisError, OSError: Redis could not be read.
    """
    meta = Keys(prefix, 1).meta
    found = await redis.hget(meta, "partitions")
    if found is None:
        others = await _prefixes(redis)
        known = f"There are books under {', '.join(others)}" if others else "There are none under another prefix either"
        raise BadSetting(f"{place} has no books under the prefix {prefix}: there is no {meta}. {known}.")
    if not _COUNT.fullmatch(found) or int(found) > PARTITIONS_MAX:
        raise BadSetting(f"{place} has {text(found)!r} partitions by {meta}; it must be 1 to {PARTITIONS_MAX}.")
    return Keys(prefix, int(found))


async def _prefixes(redis: BinaryRedis) -> list[str]:
    """Prefixes that have books, the first few by name."""
    ending = Keys("", 1).meta
    cursor, found = 0, set[str]()
    for _ in range(SCANS_MAX):
        cursor, page = await redis.scan(cursor, match=f"*{ending}", count=SCAN_COUNT)
        found.update(text(name).removesuffix(ending) for name in page)
        if not cursor or len(found) > NAMED_MAX:
            break
    return sorted(found)[:NAMED_MAX]
