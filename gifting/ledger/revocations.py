"""Revoked tokens: each is remembered until it would have expired."""

from __future__ import annotations

import time

from gifting.errors import LedgerUnavailable, Overloaded, Unconfirmed
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.rooms import REDIS_ERRORS, translate

REVOKED_MAX = 100_000
"""Revoked tokens that have not expired."""


class Revocations:
    """The revoked tokens of all nodes, in the sorted set ``key``."""

    def __init__(self, redis: BinaryRedis, key: str) -> None:
        self._redis = redis
        self._key = key

    async def add(self, token_id: str, ttl: float) -> None:
        """Revoke a token for ``ttl`` seconds, by when it has expired. Raises Overloaded when too many are revoked."""
        now = time.time()
        try:
            await self._redis.zremrangebyscore(self._key, "-inf", now)
            if await self._redis.zcard(self._key) >= REVOKED_MAX:
                raise Overloaded("Too many tokens are revoked.")
            await self._redis.zadd(self._key, {token_id: now + ttl})
        except REDIS_ERRORS as error:
            raise translate(error, Unconfirmed) from None

    async def current(self) -> frozenset[str]:
        try:
            found = await self._redis.zrange(self._key, 0, REVOKED_MAX)
        except REDIS_ERRORS as error:
            raise translate(error, LedgerUnavailable) from None
        return frozenset(token.decode() for token in found)
