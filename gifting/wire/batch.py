"""Room batches: what the ledger appends to a room's log and publishes, and how it becomes a message to subscribers.

A batch is one msgpack array, made in Lua (``ledger/lua/include/room.lua``)::

    [room, last, count, index, coins, diamonds, likes, events, rank]

``events`` is the wire bytes of ``count`` events, one after another; the last has seq ``last``. ``index`` has
``FIELDS`` integers per event: its length in bytes, its streak (the seq of the streak's first event; 0 if it is no
gift), its weight (coins of the streak so far) and 1 if it closes the streak. ``coins``, ``diamonds`` and ``likes`` are
the room's totals after the batch; ``rank`` is the new top 3 if it changed, else nil.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgpack

from gifting.model.packing import pack

FIELDS: Final = 4
"""Integers of the index for each event."""

READ_SIZE: Final = 16_384
"""Bytes that reading begins with; more are had where a payload is larger. Of itself msgpack would take a MiB."""

_BATCH: Final = 0x99
_LONG_NAME: Final = 0xD9
_SHORT_MAX: Final = 0x1F
"""How a batch begins: an array of nine; and its room, whose name has its size in one byte or, below 32, in its head."""


class Totals(NamedTuple):
    coins: int
    diamonds: int
    likes: int


class IndexEntry(NamedTuple):
    """One event of a batch, as the index tells of it: its bytes are ``events[start:end]``, and need not be decoded."""

    seq: int
    start: int
    end: int
    streak: int
    weight: int
    closes: bool


class RoomBatch:
    """Events ``first`` to ``last`` of one room, and the totals after them."""

    __slots__ = ("count", "events", "first", "index", "last", "rank", "room", "totals")

    def __init__(
        self, room: str, last: int, count: int, index: tuple[int, ...], totals: Totals, events: bytes, rank: Any = None
    ) -> None:
        self.room = room
        self.first = last - count + 1
        self.last = last
        self.count = count
        self.index = index
        self.totals = totals
        self.events = events
        self.rank = rank

    def entries(self) -> Iterator[IndexEntry]:
        start = 0
        numbers = iter(self.index)
        for seq, (size, streak, weight, closes) in enumerate(
            zip(numbers, numbers, numbers, numbers, strict=True), self.first
        ):
            yield IndexEntry(seq, start, start + size, streak, weight, bool(closes))
            start += size

    def after(self, seq: int) -> RoomBatch:
        """The part of this batch that comes after ``seq``."""
        return self if seq < self.first else self._part(seq - self.first + 1, self.count)

    def up_to(self, seq: int) -> RoomBatch:
        """The part that comes before what :meth:`after` gives, with the totals of the whole."""
        return self if seq >= self.last else self._part(0, seq - self.first + 1)

    def _part(self, start: int, end: int) -> RoomBatch:
        """The events at the places ``start`` up to ``end``, which are counted from 0."""
        skipped = sum(self.index[: start * FIELDS : FIELDS])
        index = self.index[start * FIELDS : end * FIELDS]
        events = self.events[skipped : skipped + sum(index[::FIELDS])]
        return RoomBatch(self.room, self.first + end - 1, end - start, index, self.totals, events, self.rank)

    def pieces(self, size: int) -> Iterator[RoomBatch]:
        """This batch cut at events into parts of at most ``size`` bytes, or of a single larger event."""
        rest, filled = self, 0
        for entry in self.entries():
            filled += entry.end - entry.start
            if filled > size and entry.seq > rest.first:
                yield rest.up_to(entry.seq - 1)
                rest, filled = rest.after(entry.seq - 1), entry.end - entry.start
        yield rest


def split(batches: Iterable[RoomBatch], size: int) -> list[list[RoomBatch]]:
    """Runs of batches of at most ``size`` bytes of events, or of a single larger event. Only a larger batch is cut."""
    runs: list[list[RoomBatch]] = []
    filled = size
    for batch in batches:
        for piece in (batch,) if len(batch.events) <= size else batch.pieces(size):
            filled += len(piece.events)
            if filled > size or not runs:
                runs.append([])
                filled = len(piece.events)
            runs[-1].append(piece)
    return runs


def read_batches(payload: bytes, wanted: Container[str] | None = None) -> Iterator[RoomBatch]:
    """The batches in one published message or one log entry. Those of rooms that are not ``wanted`` are not unpacked.

    Raises whatever msgpack does, or ValueError, where the payload is something else.
    """
    unpacker = msgpack.Unpacker(raw=True, use_list=False, max_buffer_size=0, read_size=READ_SIZE)
    unpacker.feed(payload)
    start, end = 0, len(payload)
    while start < end:
        if wanted is None or _room_of(payload, start) in wanted:
            room, last, count, index, coins, diamonds, likes, events, rank = unpacker.unpack()
            yield RoomBatch(room.decode(), last, count, index, Totals(coins, diamonds, likes), events, rank)
        else:
            unpacker.skip()
        start = unpacker.tell()


def _room_of(payload: bytes, start: int) -> str:
    """Whose batch begins at ``start``."""
    if payload[start] != _BATCH:
        raise ValueError("This is no room batch.")
    size, name = payload[start + 1], start + 2
    if size == _LONG_NAME:
        size, name = payload[name], name + 1
    else:
        size &= _SHORT_MAX
    return payload[name : name + size].decode()


def join_events(
    room: str, seq: int, events: Iterable[bytes], count: int, totals: dict[str, int] | None = None
) -> bytes:
    """The message ``{room, seq, events[, totals]}`` around events that are wire bytes already."""
    head = b"\x84" if totals is not None else b"\x83"
    parts = [head, b"\xa4room", pack(room), b"\xa3seq", pack(seq), b"\xa6events", array_header(count), *events]
    if totals is not None:
        parts += [b"\xa6totals", pack(totals)]
    return b"".join(parts)


def array_header(count: int) -> bytes:
    if count < 16:
        return bytes((0x90 | count,))
    if count < 65536:
        return b"\xdc" + count.to_bytes(2, "big")
    return b"\xdd" + count.to_bytes(4, "big")
