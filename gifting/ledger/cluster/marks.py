"""What a partition has been credited, as its replicas have it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple

from gifting.ledger.cluster.owed import Reached, read_mark
from gifting.ledger.cluster.said import Said
from gifting.ledger.connect import BinaryRedis

WITHIN: Final = 2.0
"""Seconds that a partition has for saying so."""


class Held(NamedTuple):
    """In which epoch, and its marks."""

    epoch: int
    marks: Mapping[int, Reached]


async def ask_held(redis: BinaryRedis, said: Said, base: str, number: int) -> Held:
    """Of the partition of that number, whose keys begin with ``base``; read after a call that is held there.

    Raises RedisError, OSError: it does not take it.
    """
    async with asyncio.timeout(WITHIN):
        await said.credit(number, ())
    pipe = redis.pipeline(transaction=True).hget(f"{base}:line", "epoch").hgetall(f"{base}:marks")
    epoch, marks = await pipe.execute()
    return Held(int(epoch), read_mark(marks))
