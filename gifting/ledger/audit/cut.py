"""The consistent cut: all balances at one moment, and where each stream ended then."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgpack

from gifting.ledger.audit.report import Findings
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys

PAGE: Final = 500
"""Rooms looked up at a time."""

_NUMBER: Final = re.compile(rb"-?\d{1,20}")
_COUNTED: Final = (b"seq", b"coins", b"diamonds", b"likes")


class OpenStreak(NamedTuple):
    gifts: int
    coins: int


@dataclass(slots=True)
class RoomState:
    """A room as Redis has it. ``top`` and ``streaks`` (by the streak's first seq) are None if it had ended before."""

    host: str
    live: bool
    seq: int
    coins: int
    diamonds: int
    likes: int
    top: dict[str, int] | None = None
    streaks: dict[int, OpenStreak] | None = None


@dataclass(slots=True)
class Cut:
    """Books are by user, host or host/denominator; ``totals`` by partition and name; ``directory`` is room → host.

    ``missing`` are rooms of the directory that are nowhere else.
    """

    coins: dict[str, int] = field(default_factory=dict)
    diamonds: dict[str, int] = field(default_factory=dict)
    carry: dict[str, int] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    ledger_ends: dict[str, str] = field(default_factory=dict)
    directory: dict[str, str] = field(default_factory=dict)
    rooms: dict[str, RoomState] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)


async def take_cut(redis: BinaryRedis, keys: Keys, findings: Findings) -> Cut:
    """An ended room never changes again, so its state is read before; all else is read in one transaction."""
    reader = _Reader(keys, findings)
    others = await _read_ended(redis, keys, reader)
    pipe = redis.pipeline(transaction=True)
    for base in keys.bases:
        for part in ("coins", "diamonds", "carry", "totals", "directory"):
            pipe.hgetall(f"{base}:{part}")
        pipe.xrevrange(f"{base}:ledger", count=1)
    for room, host in others:
        key = keys.room(host, room)
        pipe.hgetall(key).zrange(f"{key}/top", 0, -1, withscores=True).hgetall(f"{key}/streaks")
    replies = iter(await pipe.execute())
    for base in keys.bases:
        reader.partition(base, *(next(replies) for _ in range(6)))
    for room, _ in others:
        reader.live_room(room, next(replies), next(replies), next(replies))
    return reader.cut


async def _read_ended(redis: BinaryRedis, keys: Keys, reader: _Reader) -> list[tuple[str, str]]:
    """Reads the ended rooms; returns all others and their hosts."""
    names: list[tuple[str, str]] = []
    for base in keys.bases:
        found = await redis.hgetall(f"{base}:directory")
        names += ((room.decode(), host.decode()) for room, host in found.items())
    others = []
    for at in range(0, len(names), PAGE):
        page = names[at : at + PAGE]
        pipe = redis.pipeline(transaction=False)
        for room, host in page:
            pipe.hgetall(keys.room(host, room))
        for (room, host), state in zip(page, await pipe.execute(), strict=True):
            if state.get(b"state") == b"ended":
                reader.room(room, state)
            else:
                others.append((room, host))
    return others


class _Reader:
    """Makes a cut of Redis' replies, and names what in them is no number or out of place."""

    def __init__(self, keys: Keys, findings: Findings) -> None:
        self._keys = keys
        self._findings = findings
        self.cut = Cut()

    def partition(
        self, base: str, coins: Any, diamonds: Any, carry: Any, totals: Any, directory: Any, last: Any
    ) -> None:
        cut = self.cut
        for book, name, found in ((cut.coins, "coins", coins), (cut.diamonds, "diamonds", diamonds)):
            self._add(book, base, name, found)
        self._add(cut.carry, base, "carry", carry)
        for name, value in totals.items():
            cut.totals[f"{base} {name.decode()}"] = self._number(value, f"{base}:totals {name.decode()}")
        cut.directory.update((room.decode(), host.decode()) for room, host in directory.items())
        if last:
            cut.ledger_ends[base] = last[0][0].decode()

    def _add(self, book: dict[str, int], base: str, name: str, found: dict[bytes, bytes]) -> None:
        for field_, value in found.items():
            key = field_.decode()
            owner = key.rpartition("/")[0] if name == "carry" else key
            if self._keys.base(owner) != base:
                self._findings.found("wrong_partition", f"{base}:{name} has {key}, which belongs elsewhere.")
            book[key] = book.get(key, 0) + self._number(value, f"{base}:{name} {key}")

    def room(self, room: str, state: dict[bytes, bytes]) -> RoomState | None:
        if b"state" not in state:
            return None
        seq, coins, diamonds, likes = (
            self._number(state.get(name, b""), f"{room}, {name.decode()}") for name in _COUNTED
        )
        host, live = state.get(b"host", b"").decode(), state[b"state"] == b"live"
        found = RoomState(host, live, seq, coins, diamonds, likes)
        self.cut.rooms[room] = found
        return found

    def live_room(self, room: str, state: dict[bytes, bytes], top: Any, streaks: dict[bytes, bytes]) -> None:
        found = self.room(room, state)
        if found is None:
            self.cut.missing.add(room)
            return
        found.top = {user.decode(): int(coins) for user, coins in top}
        found.streaks = {}
        for name, record in streaks.items():
            if not name.startswith(b"="):
                first, count, coins = _read_streak(record)
                found.streaks[first] = OpenStreak(count, coins)

    def _number(self, value: bytes, where: str) -> int:
        if _NUMBER.fullmatch(value):
            return int(value)
        self._findings.found("not_a_number", f"{where} is {value[:40]!r}.")
        return 0


def _read_streak(record: bytes) -> tuple[int, int, int]:
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(record)
    first, count, coins, *_ = unpacker
    return first, count, coins
