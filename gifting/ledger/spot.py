"""Where things are, as a commit call names them: keys that always go together, already in Redis' protocol."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

BUCKET_MS: Final = 60_000
DAY_MS: Final = 86_400_000
"""What the keys of one bucket of gifts and of grants span, by their own times."""

PARTITION_KEYS: Final = 8
ROOM_KEYS: Final = 5
"""How many keys a partition and a room have in a call."""

SPOTS_CACHED: Final = 20_000
"""Rooms and, apart from them, buckets whose names are remembered; some 300 bytes each."""


class Spot(NamedTuple):
    """A room or a bucket: its partition, its keys on the wire, and a bucket's number."""

    base: str
    keys: bytes
    number: int = 0


def bulk(value: bytes) -> bytes:
    """A value as an argument of a command."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


def bulks(names: list[str]) -> bytes:
    return b"".join(bulk(name.encode()) for name in names)


@lru_cache(SPOTS_CACHED)
def bucket_spot(base: str, number: int) -> Spot:
    """The bucket of gifts' keys of that minute since 1970, in the sender's partition."""
    return Spot(base, bulks([f"{base}:keys:{number}"]), number)


@lru_cache(SPOTS_CACHED)
def room_spot(base: str, room: str) -> Spot:
    """A room in its host's partition, as ``room.open`` in Lua takes it."""
    return Spot(base, bulks(room_keys(base, room)))


@lru_cache
def partition_keys(base: str, kind: str = "keys") -> list[str]:
    """A partition's keys, as ``commit.lua`` takes them: to the ledger those of debits, from there on those of credits.

    ``kind`` of its buckets.
    """
    parts = ("coins", "totals", "floors", kind, "ledger", "diamonds", "carry", "streaks")
    return [f"{base}:{part}" for part in parts]


@lru_cache
def partition_bulks(base: str) -> bytes:
    return bulks(partition_keys(base))


def room_keys(base: str, room: str) -> list[str]:
    """A room's keys, as ``room.open`` in Lua takes them."""
    key = f"{base}:room:{room}"
    return [key, f"{key}/log", f"{key}/streaks", f"{key}/top", f"{key}/users"]
