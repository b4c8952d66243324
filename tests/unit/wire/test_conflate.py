"""Lane ``live``: what of a burst is left out, and what never is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gifting.wire.batch import RoomBatch, Totals
from gifting.wire.conflate import conflate

streams = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 99), st.integers(0, 1)), max_size=60)


def batch(first: int, events: list[tuple[int, int, int]]) -> RoomBatch:
    """A batch of (streak, weight, closes); each event's bytes are its seq as one byte."""
    index = tuple(number for event in events for number in (1, *event))
    blobs = bytes(range(first, first + len(events)))
    return RoomBatch("r", first + len(events) - 1, len(events), index, Totals(0, 0, 0), blobs)


@given(streams, st.integers(1, 4), st.integers(1, 10))
def test_conflation_is_bounded_ordered_and_ends_what_it_showed(
    drawn: list[tuple[int, int, int]], top: int, pause: int
) -> None:
    events = [(streak, weight if streak else 0, closes if streak else 0) for streak, weight, closes in drawn]
    shown: set[int] = set()
    hanging: set[int] = set()
    for start in range(0, len(events), pause):
        part = events[start : start + pause]
        half = len(part) // 2
        pieces = [batch(start, part[:half]), batch(start + half, part[half:])]
        kept = conflate([piece for piece in pieces if piece.count], top, shown)
        seqs = [blob[0] for blob in kept]
        assert seqs == sorted(set(seqs))
        others = [start + n for n, event in enumerate(part) if not event[0]]
        assert [seq for seq in seqs if not events[seq][0]] == others[-top:]
        newest = {streak: start + n for n, (streak, _, _) in enumerate(part) if streak}
        gifts = [seq for seq in seqs if events[seq][0]]
        assert set(gifts) <= set(newest.values())
        heaviest = sorted((events[seq][1] for seq in newest.values()), reverse=True)[:top]
        assert sorted((events[seq][1] for seq in gifts), reverse=True)[: len(heaviest)] == heaviest
        needed = {seq for streak, seq in newest.items() if events[seq][2] and streak in hanging}
        assert needed <= set(gifts)
        assert len(gifts) <= top + len(needed)
        for seq in gifts:
            hanging = hanging - {events[seq][0]} if events[seq][2] else hanging | {events[seq][0]}
        assert shown == hanging


def test_nothing_is_conflated_to_nothing() -> None:
    assert conflate([], 3, set()) == []
