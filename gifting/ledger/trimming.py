"""The ledger's streams are trimmed: what is archived, durably, and older than is kept, goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from gifting.ledger import scripts
from gifting.ledger.clock import in_ms
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.halt import FIELD as HALTED
from gifting.ledger.keys import Keys
from gifting.model.packing import pack, unpack

MARK: Final = b"redo\n\n"
"""What a field of totals begins with that marks a key (``lua/include/redo_marks.lua``)."""


class Trimmed(NamedTuple):
    """Items that were taken away, and how many changes that broke off are in the way of more."""

    items: int
    waiting: int


async def raise_archived(redis: BinaryRedis, keys: Keys, archived: Mapping[str, str]) -> None:
    """Note of partitions, by their base, which is the last item that is in the archive, durably.

    Raises:
        RedisError, OSError: for some it may not be noted.
    """
    for base, item_id in archived.items():
        await scripts.call(redis, "archived", [f"{base}:archived"], item_id)


async def trim(redis: BinaryRedis, keys: Keys, keep: float, now: str = "") -> Trimmed:
    """Trim all partitions; nothing while the ledger is halted. What becomes old meanwhile is for the next time: who
    waited for that would never end.

    Args:
        keep: seconds that each item stays, by Redis' clock.
        now: the time in ms; '' is Redis' own.

    Raises:
        RedisError, OSError: what is trimmed until then is trimmed in order.
    """
    items = waiting = 0
    now = now or str(in_ms(await redis.time()))
    if not await redis.hexists(keys.meta, HALTED):
        for base in keys.bases:
            while (done := await _trim(redis, base, round(keep * 1000), now)).items:
                items += done.items
            waiting += done.waiting
    return Trimmed(items, waiting)


async def _trim(redis: BinaryRedis, base: str, keep: int, now: str) -> Trimmed:
    """A piece of one partition's."""
    totals = f"{base}:totals"
    marked = [name[len(MARK) :] for name in await redis.hkeys(totals) if name.startswith(MARK)]
    names = [f"{base}:ledger", f"{base}:archived", f"{base}:trimmed", totals, *marked]
    return Trimmed(*unpack(await scripts.call(redis, "trim", names, now, pack((keep,)))))


async def read_trimmed(redis: BinaryRedis, base: str) -> str:
    """The id before which a partition's stream may lack items; ``0-0`` where it has all."""
    found = await redis.get(f"{base}:trimmed")
    return found.decode() if found else "0-0"
