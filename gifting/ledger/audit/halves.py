"""What partitions of a cluster keep of each other, as Redis has it (``lua/debit.lua`` and ``lua/credit.lua``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from gifting.ledger.audit import about
from gifting.ledger.audit.crossing import After
from gifting.ledger.audit.pairs import Epoch, Fence, Given, Half, Mark
from gifting.ledger.audit.report import Findings
from gifting.ledger.audit.sent import read_blob
from gifting.ledger.audit.values import text, unpack_all
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.entry_parser import UNREADABLE
from gifting.ledger.keys import Keys, park_key

T = TypeVar("T")

OWN: Final = frozenset((b"born", b"came", b"epoch", b"lineage"))
"""Fields of ``line`` that are no destination."""

COMMANDS: Final = 4
"""Replies that a half is read from, beside one of what is parked of each source."""


def ask_half(pipe: Any, keys: Keys, base: str) -> None:
    """Into a transaction, the commands whose replies :func:`read_half` takes."""
    pipe.hgetall(f"{base}:line").xrange(f"{base}:outbox").hgetall(f"{base}:marks").xrange(f"{base}:fenced")
    for source in range(len(keys.bases)):
        pipe.hgetall(park_key(base, source))


def read_half(keys: Keys, base: str, replies: Sequence[Any], findings: Findings) -> Half:
    """What can't be read of it is found, and left out."""
    reader = _Reader(keys, base, findings)
    line, outbox, marks, fenced, *parked = replies
    half = Half(b"born" in line)
    half.given = reader.given(line)
    for item_id, fields in outbox:
        for name, value in fields.items():
            number = reader.number(name, f"outbox {text(item_id)}")
            blob = reader.read("outbox_broken", f"outbox {text(item_id)}", read_blob, value)
            if number is not None and blob is not None:
                if blob.seq in half.outbox.setdefault(number, {}):
                    reader.found("outbox_broken", f"number {blob.seq} for {keys.bases[number]} is there twice")
                half.outbox[number][blob.seq] = blob
    half.marks = reader.marks(marks)
    half.fences = reader.fences(fenced)
    for source, found in enumerate(parked):
        read = {
            name: reader.read("pair_broken", f"park/{source}", _parked, found[name]) for name in found if name.isdigit()
        }
        half.parked[source] = {int(name): raw for name, raw in read.items() if raw is not None}
    return half


async def read_after(redis: BinaryRedis, keys: Keys, findings: Findings) -> After:
    """Marks and fences of all partitions now, and then what each has given."""
    pipe = redis.pipeline(transaction=False)
    for base in keys.bases:
        pipe.hgetall(f"{base}:marks").xrange(f"{base}:fenced")
    found = await pipe.execute()
    for base in keys.bases:
        pipe.hgetall(f"{base}:line")
        pipe.xrevrange(f"{base}:ledger", count=1)
    told = await pipe.execute()
    readers = [_Reader(keys, base, findings) for base in keys.bases]
    marks = [reader.marks(reply) for reader, reply in zip(readers, found[::2], strict=True)]
    fences = [reader.fences(reply) for reader, reply in zip(readers, found[1::2], strict=True)]
    given = [reader.given(line) for reader, line in zip(readers, told[::2], strict=True)]
    ends = {base: text(last[0][0]) for base, last in zip(keys.bases, told[1::2], strict=True) if last}
    return After(marks, fences, given, ends)


class _Reader:
    """Of one partition."""

    def __init__(self, keys: Keys, base: str, findings: Findings) -> None:
        self._keys = keys
        self._base = base
        self._findings = findings

    def given(self, line: Mapping[bytes, bytes]) -> dict[int, Given]:
        found = {name: value for name, value in line.items() if name not in OWN}
        return self._by_number(found, "line", lambda value: Given(*_seq_and_epochs(value)))

    def marks(self, found: Mapping[bytes, bytes]) -> dict[int, Mark]:
        return self._by_number(found, "marks", lambda value: Mark(*_seq_and_epochs(value)))

    def fences(self, items: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[Fence]:
        read = [self.read("pair_broken", f"fenced {text(item_id)}", read_fence, fields) for item_id, fields in items]
        return [one for one in read if one is not None and self.number(b"%d" % one.source, "fenced") is not None]

    def number(self, name: bytes, where: str) -> int | None:
        """Of a partition."""
        if name.isdigit() and int(name) < len(self._keys.bases):
            return int(name)
        self.found("pair_broken", f"{where}: {text(name)} is no partition")
        return None

    def read(self, name: str, where: str, unpack: Callable[[Any], T], value: Any) -> T | None:
        try:
            return unpack(value)
        except UNREADABLE as error:
            self.found(name, f"{where}: {error!r}")
            return None

    def found(self, name: str, what: str) -> None:
        self._findings.found(name, f"{self._base}:{what}.", about.stream(self._base))

    def _by_number(self, found: Mapping[bytes, bytes], where: str, unpack: Callable[[bytes], T]) -> dict[int, T]:
        read: dict[int, T] = {}
        for name, value in found.items():
            number, one = self.number(name, where), self.read("pair_broken", f"{where} {text(name)}", unpack, value)
            if number is not None and one is not None:
                read[number] = one
        return read


def _seq_and_epochs(value: bytes) -> tuple[int, tuple[Epoch, ...]]:
    seq, epochs, *_ = unpack_all(value)
    return int(seq), tuple(Epoch(int(epoch), int(base)) for epoch, base in epochs)


def _parked(value: bytes) -> bytes:
    packed, *_ = unpack_all(value, raw=True)
    return bytes(packed)


def read_fence(fields: Mapping[bytes, bytes]) -> Fence:
    """Of a note. Raises what can't be read does."""
    return Fence(*(int(fields[name]) for name in (b"source", b"from", b"to", b"had", b"lost", b"at")))
