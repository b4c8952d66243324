"""Where things are, as a commit call names them: keys that always go together, already in Redis' protocol."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from gifting.ledger.keys import account_keys, credit_keys, house_keys, room_keys
from gifting.ledger.resp import bulks

SENDERS_KEYS: Final = 6
HOSTS_KEYS: Final = 4
ROOM_KEYS: Final = 7
"""How many keys a partition of senders, one of hosts, and a room have in a call."""

SPOTS_CACHED: Final = 20_000
"""Rooms and, apart from them, buckets whose names are remembered; some 300 bytes each."""


class Spot(NamedTuple):
    """A room or a bucket: its partition, its keys on the wire, and a bucket's number."""

    base: str
    keys: bytes
    number: int = 0


@lru_cache(SPOTS_CACHED)
def bucket_spot(base: str, number: int) -> Spot:
    """The bucket of gifts' keys of that minute since 1970, in the sender's partition."""
    return Spot(base, bulks([f"{base}:keys:{number}"]), number)


@lru_cache(SPOTS_CACHED)
def room_spot(base: str, room: str, host: str) -> Spot:
    """A room in its host's partition, as ``room.open`` and ``house.open`` in Lua take it."""
    return Spot(base, bulks([*room_keys(base, room), *house_keys(base, room, host)]))


@lru_cache
def senders_bulks(base: str) -> bytes:
    """The keys of a partition of senders, as ``accounts.open`` in Lua takes them."""
    return bulks(account_keys(base))


@lru_cache
def hosts_bulks(base: str) -> bytes:
    """The keys of a partition of hosts, as ``credit.add_room`` in Lua takes them."""
    return bulks(credit_keys(base))
