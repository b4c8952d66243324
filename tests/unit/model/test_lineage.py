"""What a room's epochs say of what somebody has seen, held against histories that were really written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gifting.model.lineage import Lineage

Event = tuple[int, int]
"""Epoch and seq: no other history has one that is the same."""


class History:
    """A room whose events may be lost from an end on; each loss, and some that lose nothing, begins an epoch."""

    def __init__(self) -> None:
        self.log: list[Event] = []
        self.epochs: list[tuple[int, int]] = []
        self.time = 0
        self.begin()

    def begin(self) -> None:
        self.time += 1
        self.epochs.append((self.time, len(self.log)))

    def write(self, count: int) -> None:
        for _ in range(count):
            self.log.append((self.epochs[-1][0], len(self.log) + 1))

    def lose(self, count: int) -> None:
        """The last are gone, and with them the epochs that they had begun; what follows is of another."""
        del self.log[len(self.log) - min(count, len(self.log)) :]
        known = {epoch for epoch, _ in self.log}
        self.epochs = [one for one in self.epochs if one[0] in known or one == self.epochs[0]]

    @property
    def lineage(self) -> Lineage:
        return Lineage(len(self.log), tuple(self.epochs))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4)), min_size=1, max_size=12))
def test_what_one_has_seen_is_kept_exactly_if_the_log_still_says_it(steps: list[tuple[int, int]]) -> None:
    history, seen = History(), set[tuple[Event, ...]]()
    for lost, written in steps:
        history.write(written)
        seen |= {tuple(history.log[:seq]) for seq in range(1, len(history.log) + 1)}
        history.lose(lost)
        for one in seen:
            epoch, seq = one[-1]
            assert history.lineage.has(epoch, seq) == (tuple(history.log[:seq]) == one)
        history.begin()
        for one in seen:
            epoch, seq = one[-1]
            assert history.lineage.has(epoch, seq) == (tuple(history.log[:seq]) == one)


def test_where_nothing_is_ever_lost_all_is_kept() -> None:
    assert Lineage(7).has(0, 7)
    assert not Lineage(7).has(0, 8)
    assert Lineage(7).keeps(5, 8)


def test_an_epoch_that_was_forgotten_or_never_was_keeps_nothing() -> None:
    lineage = Lineage(9, ((3, 2), (5, 4)))
    assert lineage.has(5, 9)
    assert lineage.has(3, 4)
    assert not lineage.has(3, 5)
    assert not any(lineage.has(epoch, 1) for epoch in (0, 2, 4, 6))
    assert all(lineage.has(epoch, 0) for epoch in (0, 2, 4, 6)), "who has seen nothing lacks nothing"
