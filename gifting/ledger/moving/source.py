"""The one Redis whose books are moved: that nobody writes into them, while they are copied and ever after."""

from __future__ import annotations

import time
from typing import Any, Final, NamedTuple

from redis.exceptions import WatchError

from gifting.errors import BooksMoved, SourceInUse, Unmovable
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.halt import FIELD as HALTED
from gifting.ledger.keys import Keys
from gifting.ledger.moved import MOVED

WHY: Final = "the books are being moved to a Redis Cluster"
"""What the halt says."""


class Written(NamedTuple):
    """Whose count of all that was written it is, when that began anew, and what it says."""

    run: str
    saved: int
    changes: int


class Source:
    def __init__(self, redis: BinaryRedis, keys: Keys) -> None:
        self.redis = redis
        self.keys = keys

    async def meta(self) -> dict[bytes, bytes]:
        return dict(await self.redis.hgetall(self.keys.meta))

    async def require_unused(self) -> None:
        """Every process of a server hears what is published to all. Raises SourceInUse, RedisError, OSError."""
        ((_, servers),) = await self.redis.pubsub_shardnumsub(self.keys.notices)
        if servers:
            raise SourceInUse(f"{servers} server processes are at work on these books.")

    async def written(self) -> Written:
        """The same as before: nothing was written since. Raises RedisError, OSError."""
        said: dict[str, Any] = await self.redis.info()
        return Written(said["run_id"], said["rdb_last_save_time"], said["rdb_changes_since_last_save"])

    async def halt(self) -> None:
        """Close the books. Raises Unmovable: they are closed for another reason."""
        await self.redis.hsetnx(self.keys.meta, HALTED, f"{_now()} UTC, {WHY}")
        self._require_halted_for_this(await self.meta())

    def _require_halted_for_this(self, meta: dict[bytes, bytes]) -> None:
        why = meta.get(HALTED.encode(), b"").decode(errors="replace")
        if not why:
            raise SourceInUse("Somebody has opened these books again.")
        if not why.endswith(WHY):
            raise Unmovable(f"The ledger is halted: {why}. First `gifting audit`, and `gifting resume` if it is clean.")

    async def leave(self, since: Written, where: str, place: str) -> bool:
        """Mark that the books are elsewhere, for ever; False, and nothing is done, if any was written ``since``.

        Args:
            where: the address, for people.
            place: the name, which no other cluster has.

        Raises:
            BooksMoved: another run has moved them elsewhere.
            SourceInUse: a server has come, or somebody has opened them again.
            RedisError, OSError
        """
        async with self.redis.pipeline(transaction=True) as pipe:
            await pipe.watch(self.keys.meta)
            meta = await pipe.hgetall(self.keys.meta)
            if moved := meta.get(MOVED.encode(), b"").decode():
                require_moved_to(moved, place)
                return True
            self._require_halted_for_this(meta)
            await self.require_unused()
            if await self.written() != since:
                return False
            pipe.multi()
            pipe.hset(self.keys.meta, MOVED, f"{_now()} UTC, to {where} ({place})")
            try:
                await pipe.execute()
            except WatchError:
                return False
        return True


def require_moved_to(moved: str, place: str) -> None:
    """That books were moved to the cluster of that name, and not to another. Raises BooksMoved."""
    if not (place and moved.endswith(f"({place})")):
        raise BooksMoved(f"These books were moved: {moved}.")


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
