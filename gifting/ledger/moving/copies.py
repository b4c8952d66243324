"""One key and its copy: read in chunks, each compared with what is there, and written where that differs.

A copy says its commands into pipelines and takes their replies, so that many go together: :meth:`~Copy.ask` and
:meth:`~Copy.take` of the source, :meth:`~Copy.look` and :meth:`~Copy.compare` of the destination, then
:meth:`~Copy.write`; again until it is ``read``, and at the end :meth:`~Copy.measure`, of both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Final, NamedTuple

from redis.exceptions import ResponseError

from gifting.errors import Unmovable
from gifting.ledger import scripts
from gifting.ledger.moving.names import COPIED, MERGED, Names, Place, Type, added
from gifting.model.packing import pack

FIELDS: Final = 500
"""Fields of a hash, or members of a set, that are read at a time: so many and, of small ones, as many as are packed
together, which Redis gives at once (``hash-max-listpack-entries``).
"""

ITEMS_FIRST: Final = 10
ITEMS_MOST: Final = 1000
CHUNK: Final = 256 << 10
"""Items of a stream that are read at a time: first, at most, and else what are some so many bytes by those before."""

Command = tuple[bytes | str | int, ...]
"""A command, without the key that goes behind its name."""

ARRIVED: Final = "ARRIVED"
"""What the error begins with that writing brings where the books are open by now."""

RESTARTS_MAX: Final = 3
"""How often a copy is begun anew in one pass."""

_STAYS: Final = -1
_GONE: Final = -2
"""What PEXPIRETIME says of a key that never expires, and of one that is not there."""


class Measure(NamedTuple):
    """What is known of a whole key: how much is in it, and until when (ms) it is there."""

    size: object
    until: int


class Copy(ABC):
    """``written``: whether anything differed. ``read``: there are no more chunks. ``size``: of what was read, bytes."""

    def __init__(self, place: Place, names: Names) -> None:
        self.place = place
        self._names = names
        self.written = False
        self.size = 0
        self._restarts = 0
        self.restart()

    def restart(self) -> None:
        self.read = False

    def begin_anew(self, pipe: Any) -> None:
        """The copy holds what does not belong there. Raises Unmovable: again and again."""
        self._restarts += 1
        if self._restarts > RESTARTS_MAX:
            key = self.place.key.decode(errors="backslashreplace")
            raise Unmovable(f"The copy of {key} does not become what that is: something else writes one of them.")
        self.written = True
        self.restart()
        self.put(pipe, ("UNLINK",))

    def put(self, pipe: Any, *commands: Command) -> None:
        """Write into the copy."""
        write_into(pipe, self.place.destination, *commands)

    @abstractmethod
    def ask(self, pipe: Any) -> None:
        """For the next chunk."""

    @abstractmethod
    def take(self, reply: Any) -> bool:
        """The chunk; whether there is anything in it."""

    @abstractmethod
    def look(self, pipe: Any) -> None:
        """For the same of the copy."""

    @abstractmethod
    def compare(self, reply: Any) -> bool:
        """Whether something has to be written."""

    @abstractmethod
    def write(self, pipe: Any) -> None:
        """One command or more: what differs."""

    @abstractmethod
    def measure(self, pipe: Any, key: bytes) -> None:
        """One command."""

    def size_of(self, reply: Any, *, copy: bool) -> object:
        """What the source says of its size, and the copy of its own, so that it must be the same. Raises an error that
        is the reply.
        """
        if isinstance(reply, Exception):
            raise reply
        return reply

    def until_of(self, reply: Any) -> int:
        """Raises an error that is the reply."""
        if isinstance(reply, Exception):
            raise reply
        return int(reply)

    def mend(self, pipe: Any, source: Measure, copy: Measure) -> None:
        """Make the copy's measure that of the source, or begin it anew."""
        if source.size != copy.size:
            self.begin_anew(pipe)
        elif source.until == _GONE:
            self.put(pipe, ("UNLINK",))
        elif source.until == _STAYS:
            self.put(pipe, ("PERSIST",))
        else:
            self.put(pipe, ("PEXPIREAT", source.until))
        self.written = True


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


def write_into(pipe: Any, key: bytes, *commands: Command) -> None:
    """Write into a key of a partition that was not born yet; else it fails with :data:`ARRIVED`."""
    line = key.partition(b"}:")[0] + b"}:line"
    said = [(name, args) for name, *args in commands]
    pipe.eval(scripts.source("move_write"), 2, key, line, pack(said))


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
