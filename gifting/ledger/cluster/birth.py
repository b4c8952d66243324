"""That a partition was born: without it the scripts refuse, as an empty replica may be elected that has nothing."""

from __future__ import annotations

import asyncio
from typing import Final

from gifting.ledger.clock import in_ms
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys

BORN: Final = "born"
"""Field of each partition's ``line``, and of ``meta`` once all have it: when that was, in ms since 1970."""


async def bear(redis: BinaryRedis, keys: Keys) -> None:
    """At the first start on a cluster: say in each partition that it is there. Never again: what has lost that has lost
    its data. Raises RedisError, OSError.
    """
    if await redis.hexists(keys.meta, BORN):
        return
    now = in_ms(await redis.time())
    await asyncio.gather(*(redis.hsetnx(f"{base}:line", BORN, now) for base in keys.bases))
    await redis.hsetnx(keys.meta, BORN, now)
