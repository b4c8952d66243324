"""A call of ``credit`` (``lua/credit.lua``): blobs of debits go in as they came out, and what became of them comes
back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgpack
import msgspec

from gifting.config import Settings
from gifting.ledger.cluster.script_call import ScriptCall
from gifting.ledger.keys import mark_keys, park_key, room_keys
from gifting.ledger.resp import bulks
from gifting.model.packing import pack

APPLIED, BEFORE, PARKED, EARLY, GONE = range(5)
"""What became of a blob: it is credited now; it was before; it will be when those before it have come; it came too
early, and is to be sent again; its source was rolled back and has lost it, as the script knows by a later epoch.
"""

_KEYS: Final = 7
_ROOM_KEYS: Final = 5
"""How many keys a partition of hosts and a room have in a call."""

ROOMS_CACHED: Final = 20_000
"""Rooms whose names are remembered, some 300 bytes each."""


class Blob(NamedTuple):
    """All gifts of one debit call for one partition: the number of their source, their place in what it owes to that
    partition, the epoch in which it was given, and their rooms, each with its host.
    """

    source: int
    seq: int
    epoch: int
    rooms: list[tuple[str, str]]
    packed: bytes


class Told(NamedTuple):
    """What is said of a blob; ``epoch`` and ``seq``: up to where its source is credited now. ``results`` are of each
    gift, in order, seq, repeat_count and streak; None where they are not known (any more).
    """

    how: int
    epoch: int
    seq: int
    results: list[int] | None


class Parked(NamedTuple):
    """A blob that had come early, in this call or another, and was credited in this one."""

    source: int
    seq: int
    results: list[int]


class Credited(NamedTuple):
    """What a call says: of each blob, and of those that were parked."""

    told: list[Told]
    parked: list[Parked]


def read_blob(packed: bytes) -> Blob:
    """What a blob says of itself. Raises ValueError: it is none."""
    try:
        source, seq, epochs, rooms, _, _ = msgpack.unpackb(packed, raw=True)
        return Blob(source, seq, epochs[-1][0], [(room.decode(), host.decode()) for room, host in rooms], packed)
    except (TypeError, IndexError, msgpack.UnpackException) as error:
        raise ValueError(f"that is no blob of gifts: {error}") from error


def credit_options(settings: Settings, commission: int) -> bytes:
    """What all calls have in common; ``commission`` in basis points."""
    window = round(settings.streak_window * 1000)
    return pack((window, *settings.diamond_rate(), settings.log_keep, commission))


class CreditCalls:
    """Calls for one partition of hosts, whose keys begin with ``base``; ``now`` is the script's time."""

    def __init__(self, base: str, options: bytes, now: Callable[[], str]) -> None:
        self._base = base
        self._keys = bulks(mark_keys(base))
        self._options = options
        self._now = now
        self._call = ScriptCall("credit", base)
        self.load_script = self._call.load_script

    def use(self, options: bytes) -> None:
        """Other options, from the next call on."""
        self._options = options

    def pack(self, blobs: Sequence[Blob]) -> bytes:
        """The next call, as it goes on the wire; of each source in the order of their numbers."""
        names = _Names(self._base)
        places = [[names.park(blob.source), *[names.room(room) for room, _ in blob.rooms]] for blob in blobs]
        keys, count = names.packed()
        arguments = [self._now().encode(), self._options, pack(places), *[blob.packed for blob in blobs]]
        return self._call.pack(self._keys + keys, _KEYS + count, arguments)


class _Names:
    """Keys of rooms and parks in a call: where each begins in KEYS."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._at: dict[str | int, int] = {}
        self._keys: list[bytes] = []
        self._next = _KEYS + 1

    def room(self, room: str) -> int:
        return self._at.get(room) or self._add(room, _room_bulks(self._base, room), _ROOM_KEYS)

    def park(self, source: int) -> int:
        return self._at.get(source) or self._add(source, _park_bulk(self._base, source), 1)

    def _add(self, name: str | int, keys: bytes, count: int) -> int:
        at = self._at[name] = self._next
        self._keys.append(keys)
        self._next += count
        return at

    def packed(self) -> tuple[bytes, int]:
        return b"".join(self._keys), self._next - _KEYS - 1


@lru_cache(ROOMS_CACHED)
def _room_bulks(base: str, room: str) -> bytes:
    return bulks(room_keys(base, room))


@lru_cache(1000)
def _park_bulk(base: str, source: int) -> bytes:
    return bulks([park_key(base, source)])


_decode: Final = msgspec.msgpack.Decoder(Credited).decode


def read_credit(reply: Any, count: int) -> Credited:
    """What came of a call of ``count`` blobs. Raises ValueError: it is no such thing."""
    credited = _decode(reply)
    if len(credited.told) != count:
        raise ValueError(f"what came is no reply for each of {count} blobs")
    return credited
