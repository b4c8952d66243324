"""What a partition owes to others, as its outbox has it: items, their blobs, and the gifts in these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


class Owed(NamedTuple):
    """An item of the outbox: what one call of ``debit`` owes, by the number of the partition that is to get it."""

    item: bytes
    blobs: list[tuple[int, Blob]]

    @property
    def at(self) -> int:
        """When it was debited: ms since 1970, by the source's clock."""
        return item_order(self.item.decode())[0]


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


def passed(mark: bytes | None, blob: Blob) -> bool:
    """Whether a blob is credited, as far as the mark of its source tells."""
    if mark is None:
        return False
    unpacker = msgpack.Unpacker()
    unpacker.feed(mark)
    seq, epochs, _ = unpacker
    return bool(blob.seq <= seq and epochs and blob.epoch <= epochs[-1][0])
