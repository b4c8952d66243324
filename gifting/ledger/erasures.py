"""Users whose personal data is to be erased: noted here, done by the archiver, and done again on a restored archive."""

from __future__ import annotations

from typing import Final, NamedTuple

from gifting import errors
from gifting.ledger.calls import Calls, translated
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.ledger.meta import ARCHIVE
from gifting.model.packing import pack, unpack

PAGE: Final = 500
"""Erasures read at a time."""


class Erasure(NamedTuple):
    """Of all that a user said up to ``at`` (ms). ``who`` asked for it."""

    user: str
    at: int
    who: str
    why: str


class Erasures:
    """Of all users, each one's last: some 100 bytes, kept for ever."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def ask(self, user: str, who: str, why: str) -> int:
        """Note an erasure; returns up to when what the user said is erased, in ms.

        Raises:
            NoArchive: nobody would do it.
            Unavailable, Unconfirmed
        """
        with translated():
            if not await self._calls.redis.hexists(self._calls.keys.meta, ARCHIVE):
                raise errors.NoArchive
        options = (user, pack((who, why)))
        (at,) = unpack(
            await self._calls.timed("erase", self._calls.keys.erasures(), options, unsure=errors.Unconfirmed)
        )
        return int(at)


async def read_erasures(redis: BinaryRedis, keys: Keys, since: int, until: int) -> list[Erasure]:
    """The next after ``since`` and up to ``until`` (ms), in order; :data:`PAGE` at most. Raises RedisError, OSError."""
    asked, reasons = keys.erasures()
    found = await redis.zrange(asked, f"({since}", until, byscore=True, offset=0, num=PAGE, withscores=True)
    kept = await redis.hmget(reasons, [user for user, _ in found]) if found else []
    return [
        Erasure(user.decode(), int(at), *(unpack(why) if why else ("", "")))
        for (user, at), why in zip(found, kept, strict=True)
    ]
