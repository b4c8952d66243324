"""What a batcher counts of what it has told."""

from __future__ import annotations

import pytest

from gifting.ledger import counts as module
from gifting.ledger.counts import Counts
from tests.support import lanes


def test_a_batch_is_counted_once_and_each_of_its_items_from_when_it_was_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "monotonic", lambda: 100.0)
    counts, items = Counts(), [lanes.Gifts().gift(age=age) for age in (0.25, 0.2, 0.1)]
    monkeypatch.setattr(module, "monotonic", lambda: 100.2)
    counts.note_batch(items)
    assert (counts.batches, counts.items) == (1, 3)
    assert dict(counts.acks.buckets())["0.5"] == 3
    assert dict(counts.acks.buckets())["0.25"] == 0
    assert counts.acks.total == pytest.approx(3 * (0.45 + 0.3) / 2, abs=0.01)
    counts.note(items[0])
    assert (counts.batches, counts.items) == (1, 4)
    assert counts.acks.total == pytest.approx(1.125 + 0.45, abs=0.01)
    assert list(counts.took.buckets())[-1] == ("+Inf", 0)
