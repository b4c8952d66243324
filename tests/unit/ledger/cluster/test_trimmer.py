"""What may go of an outbox: what has been seen as credited for long enough, all at once or item by item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gifting.ledger.cluster.keeping import LONGEST, Keeping
from gifting.ledger.cluster.looks import Look
from gifting.ledger.cluster.notes import PER_KEEPING
from gifting.ledger.cluster.owed import NOTHING, Reached
from gifting.ledger.cluster.reach import Reach, Stand
from gifting.ledger.cluster.trimmer import ITEMS_MAX, SLACK, STEP, Due, Trimmer

T = 1_764_000_000_000
NOBODY: Any = None
KEEP = Keeping().ms / 1000
NOTED = KEEP / PER_KEEPING
Got = Mapping[int, int]


class World:
    """Source 0 gives to partitions 1 and 2, as one relay sees it. ``debited``: when the outbox's items were, its first
    and its last one, ms after ``T``; ``given`` and ``credited``, up to which number of each partition.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.keeping = Keeping()
        self.trimmer = self.another()
        self.reach = Reach(0)
        self.debited, self.items = (-1000, 0), 5
        self.epochs = {0: 1, 1: 1, 2: 1}
        self.given: Got = {1: 5, 2: 5}
        self.credited: Got = {1: 5, 2: 5}

    def another(self) -> Trimmer:
        return Trimmer(NOBODY, NOBODY, NOBODY, self.keeping, lambda: self.now)

    def look(self, silent: set[int] | None = None) -> Due | None:
        """One round."""
        first, last = (b"%d-0" % (T + at) for at in self.debited)
        given = {number: Reached(seq, self.epochs[0]) for number, seq in self.given.items()}
        marks = {number: {0: Reached(seq, self.epochs[0])} for number, seq in self.credited.items()}
        looks = {0: Look(T, first if self.items else b"", self.items, Stand(self.epochs[0], last, given), {}, 0)}
        looks |= {number: Look(T, b"", 0, Stand(self.epochs[number]), marks[number], 0) for number in (1, 2)}
        self.reach.see(looks[0].stand, marks, silent or set())
        due = self.trimmer._all_due([self.reach], looks, {0: {}, **marks}, {0, 1, 2} - (silent or set()))
        return due[0] if due else None

    def knows(self, credited: Got) -> bool:
        """Whether items may go one by one that have no more than that."""
        due = self.look({1})
        assert due is not None
        assert not due.before
        return all(due.note.marks[number].get(0, NOTHING).seq == seq for number, seq in credited.items())

    def after(self, silent: set[int] | None = None) -> tuple[float, Due]:
        """How many seconds later something is due, in rounds of one, and what."""
        began = self.now
        while not (due := self.look(silent)):
            self.now += 1
            assert self.now < began + 2 * LONGEST
        return self.now - began, due

    def go_on(self, seconds: int) -> None:
        for _ in range(seconds):
            self.look()
            self.now += 1


@pytest.fixture
def world() -> World:
    return World()


def until(due: Due | None) -> int:
    """Which id it may end before, ms after ``T``."""
    assert due is not None
    return int(due.before.partition(b"-")[0]) - T


def kept(seconds: float) -> bool:
    """As long as it is to be, and hardly longer."""
    return KEEP <= seconds <= KEEP + NOTED + 1


def test_what_all_have_goes_up_to_an_item(world: World) -> None:
    seconds, due = world.after()
    assert (seconds, until(due), due.numbers) == (KEEP, 0, {1, 2})


def test_what_one_may_lack_goes_item_by_item(world: World) -> None:
    seconds, due = world.after({2})
    assert (seconds, due.before, due.note.end(0), due.numbers) == (KEEP, b"", b"%d-0" % T, {1, 2})


@pytest.mark.parametrize("hours", [-1, 1])
def test_what_was_debited_at_any_time_is_kept_from_when_it_was_credited(world: World, hours: int) -> None:
    world.debited = (hours * 3_600_000 - 1000, hours * 3_600_000)
    world.credited = {1: 5, 2: 3}
    world.go_on(500)
    assert world.knows({2: 3})
    world.credited = {1: 5, 2: 5}
    assert world.look() is None
    assert world.knows({2: 3})
    seconds, due = world.after()
    assert kept(seconds)
    assert until(due) == hours * 3_600_000


def test_while_one_is_not_credited_what_others_have_goes_item_by_item(world: World) -> None:
    world.go_on(10)
    world.given, world.credited, world.debited = {1: 6, 2: 6}, {1: 6, 2: 5}, (-1000, 1000)
    _, due = world.after()
    assert until(due) == 0, "all that was credited before"
    world.debited = (0, 1000)
    seconds, due = world.after()
    assert seconds <= 11 + NOTED
    assert (due.before, due.note.end(0)) == (b"", b"%d-0" % (T + 1000))
    assert world.knows({1: 6, 2: 5})


def test_who_begins_has_seen_nothing_yet(world: World) -> None:
    world.after()
    world.trimmer = world.another()
    seconds, _ = world.after()
    assert seconds == KEEP


@pytest.mark.parametrize("number", [0, 1])
def test_in_another_history_it_counts_anew(world: World, number: int) -> None:
    """Of a destination that may have lost it between two looks, and of a source, whose items may be others."""
    world.after()
    world.epochs[number] = 2
    seconds, _ = world.after()
    assert kept(seconds)


def test_what_went_to_others_can_go_when_a_destination_is_in_another_history(world: World) -> None:
    world.after({1})
    world.epochs[2] = 2
    assert world.knows({1: 5, 2: 0})


def test_of_too_many_nothing_is_kept_that_is_credited(world: World) -> None:
    world.items = ITEMS_MAX
    assert world.look() is None
    world.items += 1
    assert until(world.look()) == 0
    world.credited = {1: 5, 2: 3}
    assert world.look() is None, "no more than that"
    assert world.knows({1: 5, 2: 3})


def test_it_goes_in_steps(world: World) -> None:
    world.debited = (-STEP - 1000, 0)
    _, due = world.after()
    assert until(due) == -1000
    world.debited = (-STEP, 0)
    assert until(world.look()) == 0


def test_the_last_item_and_an_empty_outbox_are_left_alone(world: World) -> None:
    world.after()
    world.debited = (0, 0)
    assert world.look() is None
    world.debited = (5000, 5000)
    assert world.look({1}) is None, "it is younger than what was noted"
    world.items = 0
    assert world.look({1}) is None


@pytest.mark.parametrize("silent", [set(), {1}])
def test_it_is_not_worth_it_for_what_is_due_since_a_moment(world: World, silent: set[int]) -> None:
    world.trimmer._slack = SLACK
    seconds, _ = world.after(silent)
    assert seconds == KEEP + SLACK / 1000


def test_all_that_is_due_goes_then(world: World) -> None:
    """Of a source that gives all the while, and is credited at once."""
    world.trimmer._slack = SLACK
    while not (due := world.look()):
        world.now += 1
        world.debited = (-1000, round(1000 * world.now))
        world.given = world.credited = {1: 5 + int(world.now), 2: 5}
    assert world.now == KEEP + SLACK / 1000
    assert SLACK / 1000 - NOTED - 1 <= until(due) / 1000 <= SLACK / 1000


@pytest.mark.parametrize("keep", [0, 3_000, 120_000, LONGEST])
def test_what_is_noted_is_bounded(world: World, keep: int) -> None:
    world.keeping.ms = keep
    world.go_on(3 * keep // 1000 + 60)
    assert len(world.trimmer._notes._notes) <= PER_KEEPING + SLACK / 1000 + 2
    assert world.look()
