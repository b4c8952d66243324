"""Takes a cut: on one Redis in one transaction, on a cluster in one of each partition, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, Final

from gifting.ledger.audit.cut import Cut, Stream
from gifting.ledger.audit.cut_reader import CutReader
from gifting.ledger.audit.halves import COMMANDS as HALF
from gifting.ledger.audit.halves import ask_half, read_half
from gifting.ledger.audit.report import Findings
from gifting.ledger.audit.values import text
from gifting.ledger.clock import in_ms
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.days import EARNED, FIELD
from gifting.ledger.keys import Keys

PAGE: Final = 500
"""Rooms looked up at a time."""

LATE: Final = 3_600_000
"""Ms after a room has ended in which gifts to it may still be on their way."""

_PARTS: Final = ("coins", "diamonds", "carry", "totals", "directory")

_REPLIES: Final = len(_PARTS) + 3
"""Of a partition, beside those of its half."""

Rooms = list[tuple[str, str]]
"""Rooms and their hosts."""


async def take_cut(redis: BinaryRedis, keys: Keys, findings: Findings) -> Cut:
    """An ended room never changes again, so its state is read before; all else is read in transactions. On a cluster it
    does by a gift that comes late, so that lately ended ones are read as live ones.
    """
    reader = CutReader(keys, findings)
    others = await _read_ended(redis, keys, reader)
    if not keys.apart:
        await _take(redis, keys, reader, keys.bases, others)
        return reader.cut
    by_base: dict[str, Rooms] = {base: [] for base in keys.bases}
    for room, host in others:
        by_base[keys.base(host)].append((room, host))
    for base, rooms in by_base.items():
        await _take(redis, keys, reader, [base], rooms)
    await _find_rooms(redis, keys, reader.cut)
    return reader.cut


async def _take(redis: BinaryRedis, keys: Keys, reader: CutReader, bases: Sequence[str], rooms: Rooms) -> None:
    """These partitions, with rooms of theirs, at one moment."""
    pipe, first = redis.pipeline(transaction=True), bases[0] == keys.bases[0]
    if first:
        pipe.hgetall(keys.meta)
    for base in bases:
        for part in _PARTS:
            pipe.hgetall(f"{base}:{part}")
        pipe.hmget(f"{base}:floors", FIELD, EARNED).xrevrange(f"{base}:ledger", count=1)
        pipe.xinfo_stream(f"{base}:ledger")
        if keys.apart:
            ask_half(pipe, keys, base)
    for room, host in rooms:
        key = keys.room(host, room)
        pipe.hgetall(key).zrange(f"{key}/top", 0, -1, withscores=True).hgetall(f"{key}/streaks")
    replies = iter(await _all(pipe))
    if first:
        reader.cut.meta = {text(name): text(value) for name, value in next(replies).items()}
    for base in bases:
        reader.partition(base, *(next(replies) for _ in range(_REPLIES - 1)))
        reader.cut.streams[base] = _stream(next(replies))
        if keys.apart:
            own = [next(replies) for _ in range(HALF + len(keys.bases))]
            reader.cut.halves.append(read_half(keys, base, own, reader.findings))
    for room, _ in rooms:
        reader.live_room(room, next(replies), next(replies), next(replies))


async def _all(pipe: Any) -> list[Any]:
    """The replies of a transaction, in which a stream may be missing."""
    replies: list[Any] = await pipe.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, Exception) and "no such key" not in str(reply):
            raise reply
    return replies


def _stream(info: Any) -> Stream:
    if isinstance(info, Exception):
        return Stream(0, "0-0")
    return Stream(info["entries-added"], text(info["max-deleted-entry-id"]))


async def _read_ended(redis: BinaryRedis, keys: Keys, reader: CutReader) -> Rooms:
    """Read the ended rooms; returns all others and their hosts."""
    names: Rooms = []
    for base in keys.bases:
        found = await redis.hgetall(f"{base}:directory")
        names += ((text(room), text(host)) for room, host in found.items())
    until = in_ms(await redis.time()) - LATE if keys.apart else inf
    others = []
    for at in range(0, len(names), PAGE):
        page = names[at : at + PAGE]
        pipe = redis.pipeline(transaction=False)
        for room, host in page:
            pipe.hgetall(keys.room(host, room))
        for (room, host), state in zip(page, await pipe.execute(), strict=True):
            if state.get(b"state") == b"ended" and int(state.get(b"ended", 0)) < until:
                reader.room(room, state)
            else:
                others.append((room, host))
    return others


async def _find_rooms(redis: BinaryRedis, keys: Keys, cut: Cut) -> None:
    """What was opened between two cuts is in the directory by now."""
    pipe = redis.pipeline(transaction=False)
    for base in keys.bases:
        pipe.hgetall(f"{base}:directory")
    for found in await pipe.execute():
        cut.directory |= {text(room): text(host) for room, host in found.items() if text(room) not in cut.directory}
