"""What operators did, who and why: noted where no crash loses it, until an archive has it."""

from __future__ import annotations

import logging
from typing import Final, NamedTuple

import msgspec

from gifting.ledger.calls import REDIS_ERRORS, Calls, translated
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.ledger.meta import ARCHIVE

log = logging.getLogger(__name__)

KEPT_MAX: Final = 100_000
"""Acts that are kept where no archive follows, the newest."""

WAITING_MAX: Final = 1_000_000
"""Acts that wait for an archive at most. These stay, as they are evidence; what comes then is in the log only."""

ABOUT_MAX: Final = 1000
"""Characters of what an act was about; the rest is cut off."""

PAGE: Final = 500
"""Acts read at a time."""


class Act(NamedTuple):
    """``id`` sorts as the acts came; ``at`` in ms since 1970; ``about`` is JSON."""

    id: str
    at: int
    who: str
    role: str
    act: str
    about: str
    why: str


class Acts:
    """Of all operators."""

    def __init__(self, calls: Calls, waiting_max: int = WAITING_MAX) -> None:
        self._calls = calls
        self._waiting_max = waiting_max

    async def note(self, who: str, role: str, act: str, on: dict[str, object], why: str) -> None:
        """Note what is done already. Who did it is not told if that fails: it would be done again for it."""
        about = msgspec.json.encode(on).decode()[:ABOUT_MAX]
        fields = {"who": who, "role": role, "act": act, "about": about, "why": why}
        redis, keys = self._calls.redis, self._calls.keys
        try:
            followed = await redis.hexists(keys.meta, ARCHIVE)
            if followed and await redis.xlen(keys.acts) >= self._waiting_max:
                log.error("an act is in this log only: %d wait for the archive already", self._waiting_max)
                return
            await redis.xadd(keys.acts, fields, maxlen=None if followed else KEPT_MAX)
        except REDIS_ERRORS as error:
            log.error("an act is in this log only: it could not be noted (%s)", error)


async def read_acts(redis: BinaryRedis, keys: Keys, after: str) -> list[Act]:
    """The next after the act of that id ('': from the first on), in order, :data:`PAGE` at most.

    Raises RedisError, OSError.
    """
    found = await redis.xrange(keys.acts, f"({_native(after)}" if after else "-", "+", PAGE)
    return [_act(name, fields) for name, fields in found]


async def newest_acts(redis: BinaryRedis, keys: Keys, before: str) -> list[Act]:
    """The next before that act, the newest first ('': from the last on). Raises Unavailable."""
    with translated():
        found = await redis.xrevrange(keys.acts, f"({_native(before)}" if before else "+", "-", PAGE)
    return [_act(name, fields) for name, fields in found]


async def trim_acts(redis: BinaryRedis, keys: Keys, upto: str, before: int) -> None:
    """Take away those before the act of that id and before that time, in ms. Raises RedisError, OSError."""
    minid = _native(upto) if int(upto.partition("-")[0]) < before else f"{before}-0"
    await redis.xtrim(keys.acts, minid=minid, approximate=False)


def _act(name: bytes, fields: dict[bytes, bytes]) -> Act:
    at, _, number = name.decode().partition("-")
    said = {key.decode(): value.decode() for key, value in fields.items()}
    return Act(f"{int(at):016}-{int(number):08}", int(at), **said)


def _native(name: str) -> str:
    at, _, number = name.partition("-")
    return f"{int(at)}-{int(number)}"
