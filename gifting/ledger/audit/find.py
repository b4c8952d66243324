"""Which books there are to audit: nothing is taken on trust but the prefix, so that nothing is ever called clean."""

from __future__ import annotations

import re
from typing import Final

from gifting.config import PARTITIONS_MAX
from gifting.errors import BadSetting
from gifting.ledger.audit.values import text
from gifting.ledger.connect import BinaryRedis, keys_of
from gifting.ledger.keys import Keys

SCAN_COUNT = 1000
"""Keys that one SCAN looks at."""

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
    meta = keys_of(redis, prefix, 1).meta
    found = await redis.hget(meta, "partitions")
    if found is None:
        others = await _prefixes(redis)
        known = f"There are books under {', '.join(others)}" if others else "There are none under another prefix either"
        raise BadSetting(f"{place} has no books under the prefix {prefix}: there is no {meta}. {known}.")
    if not _COUNT.fullmatch(found) or int(found) > PARTITIONS_MAX:
        raise BadSetting(f"{place} has {text(found)!r} partitions by {meta}; it must be 1 to {PARTITIONS_MAX}.")
    return keys_of(redis, prefix, int(found))


async def _prefixes(redis: BinaryRedis) -> list[str]:
    """Prefixes that have books, the first few by name."""
    ending, found = keys_of(redis, "", 1).meta, set[str]()
    async for name in redis.scan_iter(match=f"*{ending}", count=SCAN_COUNT):
        found.add(text(name).removesuffix(ending))
        if len(found) > NAMED_MAX:
            break
    return sorted(found)[:NAMED_MAX]
