"""Keys of each type and their copies: what a chunk of one is, and how much there is of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Final

from redis.exceptions import ResponseError

from gifting.ledger.moving.copy import Command, Copy, Measure
from gifting.ledger.moving.names import COPIED, MERGED, Names, Place, Type, added

FIELDS: Final = 500
"""Fields of a hash, or members of a set, that are read at a time: so many and, of small ones, as many as are packed
together, which Redis gives at once (``hash-max-listpack-entries``).
"""

ITEMS_FIRST: Final = 10
ITEMS_MOST: Final = 1000
CHUNK: Final = 256 << 10
"""Items of a stream that are read at a time: first, at most, and else what are some so many bytes by those before."""


class _Fields(Copy):
    """What hashes and sorted sets have in common: members, each with a value."""

    def restart(self) -> None:
        super().restart()
        self._cursor, self._begun = 0, False
        self._chunk: dict[bytes, Any] = {}

    def _taken(self, cursor: int, found: Mapping[bytes, Any]) -> bool:
        self._cursor, self.read, kind = cursor, not cursor, self.place.kind
        self._chunk = {self._names.member(kind, name): value for name, value in found.items()}
        if found and not self._begun:
            self._chunk |= added(kind)
            self._begun = True
        return bool(found)

    def size_of(self, reply: Any, *, copy: bool) -> object:
        size: int = super().size_of(reply, copy=copy)  # type: ignore[assignment]
        return size if copy or not size else size + len(added(self.place.kind))

    def compare(self, reply: Any) -> bool:
        pairs = zip(self._chunk.items(), reply, strict=True)
        self._chunk = {name: value for (name, value), there in pairs if there != value}
        return bool(self._chunk)


class HashCopy(_Fields):
    def ask(self, pipe: Any) -> None:
        pipe.hscan(self.place.key, self._cursor, count=FIELDS)

    def take(self, reply: Any) -> bool:
        cursor, found = reply
        self.size += sum(len(name) + len(value) for name, value in found.items())
        return self._taken(int(cursor), found)

    def look(self, pipe: Any) -> None:
        pipe.hmget(self.place.destination, [*self._chunk])

    def write(self, pipe: Any) -> None:
        self.put(pipe, ("HSET", *flat(self._chunk.items())))

    def measure(self, pipe: Any, key: bytes) -> None:
        pipe.hlen(key)


class SetCopy(_Fields):
    def ask(self, pipe: Any) -> None:
        pipe.zscan(self.place.key, self._cursor, count=FIELDS)

    def take(self, reply: Any) -> bool:
        cursor, found = reply
        self.size += sum(len(member) + 8 for member, _ in found)
        return self._taken(int(cursor), dict(found))

    def look(self, pipe: Any) -> None:
        pipe.zmscore(self.place.destination, [*self._chunk])

    def write(self, pipe: Any) -> None:
        self.put(pipe, ("ZADD", *flat((repr(score), name) for name, score in self._chunk.items())))

    def measure(self, pipe: Any, key: bytes) -> None:
        pipe.zcard(key)


class StringCopy(Copy):
    _value: bytes | None = None

    def ask(self, pipe: Any) -> None:
        pipe.get(self.place.key)

    def take(self, reply: Any) -> bool:
        self.read, self._value = True, reply
        self.size += len(reply or b"")
        return reply is not None

    def look(self, pipe: Any) -> None:
        pipe.get(self.place.destination)

    def compare(self, reply: Any) -> bool:
        return bool(reply != self._value)

    def write(self, pipe: Any) -> None:
        assert self._value is not None
        self.put(pipe, ("SET", self._value))

    def measure(self, pipe: Any, key: bytes) -> None:
        pipe.exists(key)


class StreamCopy(Copy):
    """Items keep their ids. What a stream knows of items that are gone is part of its measure."""

    def restart(self) -> None:
        super().restart()
        self._after, self._count, self._broken = "-", ITEMS_FIRST, False
        self._items: list[tuple[bytes, dict[bytes, bytes]]] = []

    def ask(self, pipe: Any) -> None:
        pipe.xrange(self.place.key, min=self._after, max="+", count=self._count)

    def take(self, reply: Any) -> bool:
        self._items, self.read = reply, len(reply) < self._count
        size = sum(len(value) for _, fields in reply for value in fields.values())
        if reply:
            self._after = f"({reply[-1][0].decode()}"
            self._count = min(max(CHUNK * len(reply) // max(size, 1), ITEMS_FIRST), ITEMS_MOST)
        self.size += size
        return bool(reply)

    def look(self, pipe: Any) -> None:
        pipe.xrange(self.place.destination, min=self._items[0][0], max="+", count=len(self._items))

    def compare(self, reply: Any) -> bool:
        """A copy only grows at its end: one that differs before is none."""
        self._broken = reply != self._items[: len(reply)]
        self._items = self._items[len(reply) :]
        return bool(self._items) or self._broken

    def write(self, pipe: Any) -> None:
        if self._broken:
            self.begin_anew(pipe)
            return
        self.put(pipe, *(("XADD", item_id, *flat(fields.items())) for item_id, fields in self._items))

    def measure(self, pipe: Any, key: bytes) -> None:
        pipe.xinfo_stream(key)

    def size_of(self, reply: Any, *, copy: bool) -> object:
        if isinstance(reply, ResponseError) and "no such key" in str(reply):
            return None
        super().size_of(reply, copy=copy)
        return tuple(reply[name] for name in ("length", "last-generated-id", "entries-added", "max-deleted-entry-id"))

    def mend(self, pipe: Any, source: Measure, copy: Measure) -> None:
        if not isinstance(source.size, tuple) or source.size == copy.size:
            super().mend(pipe, source, copy)
            return
        length, last, count, deleted = source.size
        if length != (copy.size[0] if isinstance(copy.size, tuple) else 0):
            self.begin_anew(pipe)
            return
        made: list[Command] = [("XADD", "0-1", "", ""), ("XDEL", "0-1")] if copy.size is None else []
        kept: list[Command] = [("PEXPIREAT", source.until)] if source.until >= 0 else []
        self.put(pipe, *made, ("XSETID", last, "ENTRIESADDED", count, "MAXDELETEDID", deleted), *kept)
        self.written = True


def flat(pairs: Iterable[tuple[bytes | str, bytes]]) -> Iterable[bytes | str]:
    return chain.from_iterable(pairs)


_COPIES: Final[Mapping[Type, type[Copy]]] = {
    "hash": HashCopy,
    "zset": SetCopy,
    "string": StringCopy,
    "stream": StreamCopy,
}


def copy_of(place: Place, names: Names) -> Copy:
    return _COPIES[COPIED[place.kind]](place, names)


def is_part(copy: Copy) -> bool:
    """Whether other keys are copied into the same one: how much there is of it then says nothing."""
    return copy.place.kind == MERGED
