"""As an archiver does, but for the archive: what is in the ledger counts as archived."""

from __future__ import annotations

from typing import Any

from gifting.ledger.keys import Keys
from gifting.ledger.trimming import Trimmed, raise_archived, trim


async def archive_all(redis: Any, keys: Keys) -> dict[str, str]:
    """Up to which item, of each partition that has any."""
    archived = {}
    for base in keys.bases:
        if last := await redis.xrevrange(f"{base}:ledger", count=1):
            archived[base] = last[0][0].decode()
    await raise_archived(redis, keys, archived)
    return archived


async def archive_and_trim(redis: Any, keys: Keys) -> Trimmed:
    """However young it is."""
    await archive_all(redis, keys)
    return await trim(redis, keys, 0, str(2**45))
