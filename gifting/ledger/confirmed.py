"""Whether what was read is there to stay: what the archive writes down must not be ahead of the books ever after."""

from __future__ import annotations

from typing import Final, Protocol

from redis.exceptions import RedisError


class Unsettled(RedisError):
    """What was read may be lost yet, or is no longer what there is: read it again later."""


class Confirmation(Protocol):
    """Everything raises :class:`Unsettled`, RedisError or OSError."""

    async def begin(self) -> None:
        """From now on it is one history of each partition that is read."""

    async def hold(self) -> None:
        """All that was read since :meth:`begin` is on replicas, and still there."""


class OneRedis:
    """Where nobody takes over from Redis, nothing is lost that was read: it is on its disk."""

    async def begin(self) -> None: ...

    async def hold(self) -> None: ...


ONE_REDIS: Final = OneRedis()
