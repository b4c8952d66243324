"""That a partition was born: without it the scripts refuse, as an empty replica may be elected that has nothing."""

from __future__ import annotations

import asyncio
from typing import Final

from gifting.errors import ClusterLost
from gifting.ledger.clock import in_ms
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.ledger.meta import FIXED

BORN: Final = "born"
"""Field of each partition's ``line``, and of ``meta`` once all have it: when that was, in ms since 1970."""


async def require_born(redis: BinaryRedis, keys: Keys) -> None:
    """Refuse data of which a partition is missing, the first with ``meta`` included. Where ``meta`` says that there are
    more or fewer than these, they are not looked for: :meth:`Meta.agree` refuses that.

    Raises:
        ClusterLost: these partitions were born, and know nothing of it.
        RedisError, OSError
    """
    pipe = redis.pipeline(transaction=False).hmget(keys.meta, BORN, FIXED)
    for base in keys.bases:
        pipe.hexists(_line(base), BORN)
    (all_were, partitions), *there = await pipe.execute()
    if partitions is not None and int(partitions) != len(keys.bases):
        return
    begun = all_were or (any(there) and not there[0])  # the first is born before the others
    lost = [base for base, known in zip(keys.bases, there, strict=True) if begun and not known]
    if lost:
        raise ClusterLost(f"There is nothing in {', '.join(lost)}, where this data was.")


async def bear(redis: BinaryRedis, keys: Keys) -> None:
    """At the first start on a cluster: say in each partition that it is there. Never again: what has lost that has lost
    its data. Raises RedisError, OSError.
    """
    if await redis.hexists(keys.meta, BORN):
        return
    now = in_ms(await redis.time())
    first, *others = keys.bases
    await redis.hsetnx(_line(first), BORN, now)
    await asyncio.gather(*(redis.hsetnx(_line(base), BORN, now) for base in others))
    await redis.hsetnx(keys.meta, BORN, now)


def _line(base: str) -> str:
    return f"{base}:line"
