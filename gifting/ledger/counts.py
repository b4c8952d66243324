"""What a batcher counts, for metrics and benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from msgspec import Struct, field

from gifting.histogram import Histogram
from gifting.ledger.commit import PendingCommit


class Counts(Struct):
    """``batches``: calls that were answered; ``items``: what was committed or refused by a script.

    ``took``: calls, from written until answered, on a cluster until replicas hold them; ``acks``: items, from queued
    until told. Both in seconds.
    """

    batches: int = 0
    items: int = 0
    took: Histogram = field(default_factory=Histogram)
    acks: Histogram = field(default_factory=Histogram)

    def note_batch(self, items: Sequence[PendingCommit]) -> None:
        """All of these were decided by one call, and are told; the oldest is the first."""
        now = monotonic()
        self.acks.observe_run(now - items[0].queued_at, now - items[-1].queued_at, len(items))
        self.batches += 1
        self.items += len(items)

    def note(self, item: PendingCommit) -> None:
        """It was decided, and is told."""
        self.acks.observe(monotonic() - item.queued_at)
        self.items += 1
