"""What a partition owes to others, as its outbox has it: items, their blobs, and the gifts in these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgpack

from gifting.ledger.cluster.credit_call import Blob, read_blob
from gifting.ledger.cluster.debit_call import Completion
from gifting.ledger.commit_keys import bucket_spot
from gifting.ledger.keys import BUCKET_MS
from gifting.ledger.stream import item_order
from gifting.model.money import key_time

FIELDS: Final = 11
"""Values of a gift in a blob: its target's place, and those of ``ledger/gifts.py``, of which the second is the key."""


class Reached(NamedTuple):
    """A number, and the epoch that has given it: what a source has given up to, or a destination has credited."""

    seq: int = 0
    epoch: int = 0

    def covers(self, other: Reached) -> bool:
        return self.seq >= other.seq and self.epoch >= other.epoch


NOTHING: Final = Reached()

Marks = Mapping[int, Mapping[int, Reached]]
"""Of each partition, by its number, how far it is credited by each source."""


def is_credited(source: int, given: Mapping[int, Reached], marks: Marks) -> bool:
    """Whether partitions have been credited what a source has given them."""
    return all(marks[number].get(source, NOTHING).covers(each) for number, each in given.items())


class Owed(NamedTuple):
    """An item of the outbox: what one call of ``debit`` owes, by the number of the partition that is to get it."""

    item: bytes
    blobs: list[tuple[int, Blob]]

    @property
    def at(self) -> int:
        """When it was debited: ms since 1970, by the source's clock."""
        return item_order(self.item.decode())[0]

    def lacking(self, marks: Marks) -> set[int]:
        """The numbers of the partitions that have not been credited it."""
        return {
            number
            for number, blob in self.blobs
            if not is_credited(blob.source, {number: Reached(blob.seq, blob.epoch)}, marks)
        }

    def is_credited(self, marks: Marks) -> bool:
        return not self.lacking(marks)


def read_owed(items: Iterable[tuple[bytes, dict[bytes, bytes]]]) -> list[Owed]:
    """Items as XRANGE gives them. Raises ValueError: one is none."""
    return [
        Owed(item, [(int(number), read_blob(packed)) for number, packed in fields.items()]) for item, fields in items
    ]


def completions(base: str, blob: Blob, results: Sequence[int]) -> list[Completion]:
    """What is known now of the gifts of a blob of the partition whose keys begin with ``base``."""
    numbers = iter(results)
    return [
        Completion(bucket_spot(base, key_time(key) // BUCKET_MS), key, seq, repeat_count, streak)
        for key, seq, repeat_count, streak in zip(keys_of(blob), numbers, numbers, numbers, strict=True)
    ]


def keys_of(blob: Blob) -> list[bytes]:
    """The keys of its gifts, in order."""
    unpacker = msgpack.Unpacker(max_buffer_size=0, raw=True)
    unpacker.feed(msgpack.unpackb(blob.packed, raw=True)[5])
    values: list[Any] = list(unpacker)
    return values[2::FIELDS]


def read_given(line: Mapping[bytes, bytes]) -> dict[int, Reached]:
    """What a source has given, by the number of the partition, as its ``line`` has it."""
    return {int(name): read_reached(value) for name, value in line.items() if name.isdigit()}


def read_marks(marks: Sequence[Mapping[bytes, bytes]]) -> Marks:
    """Of all partitions, as their ``marks`` have them."""
    return dict(enumerate(map(read_mark, marks)))


def read_mark(marks: Mapping[bytes, bytes]) -> Mapping[int, Reached]:
    """Of one partition: how far it is credited by each source."""
    return {int(name): read_reached(mark) for name, mark in marks.items()}


@lru_cache(10_000)
def read_reached(packed: bytes) -> Reached:
    """As ``line`` and ``marks`` have it."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(packed)
    seq, epochs = next(unpacker), next(unpacker)
    return Reached(seq, epochs[-1][0] if epochs else 0)
