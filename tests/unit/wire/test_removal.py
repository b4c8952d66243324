"""Which events of a batch remove what others said, and what is left of these."""

from __future__ import annotations

import pytest

from gifting.model.packing import pack, unpack
from gifting.wire.batch import RoomBatch, Totals
from gifting.wire.conflate import conflate
from gifting.wire.removal import blank, removals

ANN = {"id": "ann", "name": "Ann"}
COMMENT = {"type": "comment", "user": ANN, "text": "hello " * 20, "seq": 1}
GIFT = {"type": "gift", "user": ANN, "count": 1, "message": "for you", "seq": 2}
SHARE = {"type": "share", "user": ANN, "seq": 3}
REMOVED = {"type": "comment_removed", "comment_id": "r.1", "comment_seq": 1, "seq": 4}
WEIGHTS = ((0, 0), (2, 5), (0, 0), (0, 1))


def batch() -> RoomBatch:
    events = [pack(event) for event in (COMMENT, GIFT, SHARE, REMOVED)]
    index = [number for event, weights in zip(events, WEIGHTS, strict=True) for number in (len(event), *weights, 0)]
    return RoomBatch("r", 4, 4, tuple(index), Totals(0, 0, 0), b"".join(events))


def events_of(one: RoomBatch) -> list[dict[str, object]]:
    return [unpack(one.events[entry.start : entry.end]) for entry in one.entries()]


def test_what_removes_is_told_by_the_index() -> None:
    assert removals(batch()) == {1}
    assert removals(batch().up_to(3)) == set()


def test_words_of_the_type_in_a_comment_remove_nothing() -> None:
    event = pack({**COMMENT, "text": "comment_removed"})
    assert removals(RoomBatch("r", 1, 1, (len(event), 0, 0, 0), Totals(0, 0, 0), event)) == set()


@pytest.mark.parametrize("seqs", [{1}, {2}, {1, 2}, {3}, {9}])
def test_events_that_are_blank_say_nothing_and_all_else(seqs: set[int]) -> None:
    before, after = events_of(batch()), events_of(blank(batch(), seqs))
    for old, new in zip(before, after, strict=True):
        silent = {"text": "", "message": None}
        assert new == {name: silent.get(name, value) if old["seq"] in seqs else value for name, value in old.items()}
        assert list(new) == list(old)
    assert blank(blank(batch(), seqs), seqs).events == blank(batch(), seqs).events


def test_a_removal_is_never_left_out_of_a_burst() -> None:
    shares = [pack({**SHARE, "seq": seq}) for seq in range(5, 50)]
    index = [number for event in shares for number in (len(event), 0, 0, 0)]
    burst = RoomBatch("r", 49, 45, tuple(index), Totals(0, 0, 0), b"".join(shares))
    kept = [unpack(event)["seq"] for event in conflate([batch(), burst], 2, set())]
    assert kept == [2, 4, 48, 49]
