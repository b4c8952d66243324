"""Comments that are removed: which events say so, and what is shown then of those that they name. Pure."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final

from msgspec.structs import replace

from gifting.model.packing import pack, unpack
from gifting.wire.batch import FIELDS, RoomBatch

TYPE: Final = b"comment_removed"
"""The type of the events that remove something, as their bytes have it."""

SAID: Final[dict[str, Any]] = {"text": "", "message": None}
"""The fields that say something, and what is in them once that is removed."""


def removals(batch: RoomBatch) -> set[int]:
    """The seqs of the events that those of a batch remove."""
    if TYPE not in batch.events:
        return set()
    return {entry.weight for entry in batch.entries() if entry.weight and not entry.streak}


def blank(batch: RoomBatch, seqs: Container[int]) -> RoomBatch:
    """A batch whose events with these seqs say nothing."""
    index = list(batch.index)
    events = []
    for place, entry in enumerate(batch.entries()):
        event = batch.events[entry.start : entry.end]
        if entry.seq in seqs:
            event = _blank_event(event)
            index[place * FIELDS] = len(event)
        events.append(event)
    changed = b"".join(events)
    if changed == batch.events:
        return batch
    return replace(batch, index=tuple(index), events=changed)


def _blank_event(event: bytes) -> bytes:
    fields = unpack(event)
    return pack(fields | {name: nothing for name, nothing in SAID.items() if name in fields})
