"""Room batches: what the ledger appends to a room's log and publishes, and how it becomes a message to subscribers.

A batch is one msgpack array, made in Lua (``ledger/lua/include/room.lua``)::

    [room, last, count, index, coins, diamonds, likes, events, rank]

On a cluster ``epoch`` follows: in which of the room's histories (:class:`gifting.model.lineage.Lineage`) it was made.
``events`` is the wire bytes of ``count`` events, one after another; the last has seq ``last``. ``index`` has
``FIELDS`` integers per event: its length in bytes, its streak (the seq of the streak's first event; 0 if it is no
gift), its weight (coins of the streak so far; of ``comment_removed`` the seq of what it removes) and 1 if it closes the
streak. ``coins``, ``diamonds`` and ``likes`` are the room's totals after the batch; ``rank`` is the new top 3 if it
changed, else nil.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgpack
from msgspec import Struct

from gifting.model.lineage import Lineage
from gifting.model.packing import pack

FIELDS: Final = 4
"""Integers of the index for each event."""

READ_SIZE: Final = 16_384
"""Bytes that reading begins with; more are had where a payload is larger. Of itself msgpack would take a MiB."""

FIELDS_ALONE: Final = 9
"""Fields of a batch that has no epoch."""

_BATCHES: Final = (0x99, 0x9A)
_STR8: Final = 0xD9
_SHORT_MAX: Final = 0x1F
"""How a batch begins: an array of nine or ten, and a name with its size in its head, or in a byte or two behind."""


class Totals(Struct, frozen=True, gc=False):
    coins: int
    diamonds: int
    likes: int


class IndexEntry(Struct, frozen=True, gc=False):
    """One event of a batch, as the index tells of it: its bytes are ``events[start:end]``, and need not be decoded."""

    seq: int
    start: int
    end: int
    streak: int
    weight: int
    closes: bool


class RoomBatch(Struct, frozen=True, eq=False, gc=False):
    """Events up to ``last`` of one room, and the totals after them."""

    room: str
    last: int
    count: int
    index: tuple[int, ...]
    totals: Totals
    events: bytes
    rank: Any = None
    epoch: int = 0

    @property
    def first(self) -> int:
        """The seq of the first event."""
        return self.last - self.count + 1

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
        return RoomBatch(
            self.room, self.first + end - 1, end - start, index, self.totals, events, self.rank, self.epoch
        )

    def pieces(self, size: int) -> Iterator[RoomBatch]:
        """This batch cut at events into parts of at most ``size`` bytes, or of a single larger event."""
        rest, filled = self, 0
        for entry in self.entries():
            filled += entry.end - entry.start
            if filled > size and entry.seq > rest.first:
                yield rest.up_to(entry.seq - 1)
                rest, filled = rest.after(entry.seq - 1), entry.end - entry.start
        yield rest


class Page(NamedTuple):
    """Batches of a room's log, and how the room stood when they were read."""

    batches: list[RoomBatch]
    lineage: Lineage


def split(batches: list[RoomBatch], size: int) -> list[list[RoomBatch]]:
    """Runs of batches of at most ``size`` bytes of events, or of a single larger event. Only a larger batch is cut."""
    if len(batches) == 1 and len(batches[0].events) <= size:
        return [batches]
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


def read_batches(payload: bytes) -> list[RoomBatch]:
    """The batches of one log entry, or of several."""
    return BatchReader().read(payload)


class BatchReader:
    """Reads what is published. There is one unpacker for all of it: to clear one takes longer than to read a batch."""

    def __init__(self) -> None:
        self._unpacker = _unpacker()

    def read(self, payload: bytes, wanted: Container[str] | None = None) -> list[RoomBatch]:
        """The batches in one message. Those of rooms that are not ``wanted`` are not unpacked.

        Raises whatever msgpack does, or ValueError, where the payload is something else.
        """
        try:
            return self._read(payload, wanted)
        except Exception:
            self._unpacker = _unpacker()
            raise

    def _read(self, payload: bytes, wanted: Container[str] | None) -> list[RoomBatch]:
        unpacker = self._unpacker
        before = unpacker.tell()
        unpacker.feed(payload)
        start, end, found = 0, len(payload), []
        while start < end:
            if wanted is None or _room_of(payload, start) in wanted:
                fields = unpacker.unpack()
                room, last, count, index, coins, diamonds, likes, events, rank, epoch = (
                    fields if len(fields) > FIELDS_ALONE else (*fields, 0)
                )
                totals = Totals(coins, diamonds, likes)
                found.append(RoomBatch(room.decode(), last, count, index, totals, events, rank, epoch))
            else:
                unpacker.skip()
            start = unpacker.tell() - before
        return found


def _unpacker() -> msgpack.Unpacker:
    return msgpack.Unpacker(raw=True, use_list=False, max_buffer_size=0, read_size=READ_SIZE)


def _room_of(payload: bytes, start: int) -> str:
    """Whose batch begins at ``start``: an id, so 64 bytes at most."""
    if payload[start] not in _BATCHES:
        raise ValueError("This is no room batch.")
    head, name = payload[start + 1], start + 2
    if head < _STR8:
        return payload[name : name + (head & _SHORT_MAX)].decode()
    name += head - _STR8 + 1
    return payload[name : name + payload[name - 1]].decode()


def join_events(
    room: bytes,
    seq: int,
    events: Iterable[bytes],
    count: int,
    totals: dict[str, int] | None = None,
    epoch: int = 0,
) -> bytes:
    """The message ``{room, seq, events[, totals][, epoch]}`` around wire bytes: a room's id, and events."""
    head = _HEADS[(totals is not None) + (epoch > 0)]
    parts = [head, room, b"\xa3seq", pack(seq), b"\xa6events", array_header(count), *events]
    if totals is not None:
        parts += b"\xa6totals", pack(totals)
    if epoch:
        parts += b"\xa5epoch", pack(epoch)
    return b"".join(parts)


_HEADS: Final = (b"\x83\xa4room", b"\x84\xa4room", b"\x85\xa4room")
"""How maps of three to five fields begin, of which the first is ``room``."""


def array_header(count: int) -> bytes:
    if count < 16:
        return _SHORT_ARRAYS[count]
    if count < 65536:
        return b"\xdc" + count.to_bytes(2, "big")
    return b"\xdd" + count.to_bytes(4, "big")


_SHORT_ARRAYS: Final = [bytes((0x90 | count,)) for count in range(16)]
