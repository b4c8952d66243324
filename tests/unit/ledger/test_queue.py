"""The order in which what waits is committed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gifting.errors import Overloaded
from gifting.ledger.commit import PendingCommit
from gifting.ledger.commit_keys import Spot
from gifting.ledger.queue import FREE_SHARE, Queue

SPOT = Spot("base", b"")


def item(number: int, gift: bool) -> PendingCommit:
    """``queued_at`` tells which one it is."""
    return PendingCommit(1 if gift else 2, SPOT if gift else None, SPOT, b"", b"", lambda _: None, float(number))


def fill(queue: Queue, kinds: Sequence[bool], start: int = 0) -> list[PendingCommit]:
    made = [item(number, gift) for number, gift in enumerate(kinds, start)]
    for each in made:
        queue.append(each)
    return made


kinds = st.lists(st.booleans(), max_size=40)


@given(kinds, st.integers(0, 10))
def test_what_fits_into_one_call_is_taken_as_it_came(sent: list[bool], more: int) -> None:
    queue = Queue(100, 100)
    made = fill(queue, sent)
    assert queue.take(len(made) + more) == made
    assert queue.size == 0


@given(st.lists(st.tuples(kinds, st.integers(1, 12)), max_size=6))
def test_a_gift_may_overtake_and_is_never_overtaken(rounds: list[tuple[list[bool], int]]) -> None:
    """Gifts come in their order, free events in theirs, and none of these before a gift that was there before it."""
    queue = Queue(1000, 1000)
    sent: list[PendingCommit] = []
    taken: list[PendingCommit] = []
    for more, most in rounds:
        sent += fill(queue, more, len(sent))
        before = queue.size
        batch = queue.take(most)
        assert len(batch) == min(before, most)
        assert queue.size == before - len(batch) == len(list(queue))
        taken += batch
    while batch := queue.take(5):
        taken += batch
    assert sorted(taken, key=lambda each: each.queued_at) == sent
    for one, other in itertools.combinations(taken, 2):
        if one.queued_at > other.queued_at:
            assert one.sender is not None
            assert other.sender is None


def test_a_free_event_waits_for_the_gifts_before_it() -> None:
    queue = Queue(100, 100)
    made = fill(queue, [True] * 8 + [False] * 2)
    assert queue.take(4) == made[:4]
    assert queue.take(5) == [*made[4:8], made[8]]


def test_places_that_no_gift_takes_are_for_free_events() -> None:
    queue = Queue(100, 100)
    made = fill(queue, [True] * 2 + [False] * 20)
    assert queue.take(10) == made[:10]


def test_free_events_have_a_share_however_many_gifts_come() -> None:
    queue = Queue(1000, 1000)
    fill(queue, [False] * 100)
    number = 100
    free = 0
    for _ in range(10):
        fill(queue, [True] * 40, number)
        number += 40
        batch = queue.take(40)
        assert [each.sender is None for each in batch] == sorted(each.sender is None for each in batch), "gifts first"
        free += sum(each.sender is None for each in batch)
    assert free == 10 * (40 // FREE_SHARE)


def test_free_events_are_refused_before_gifts_are() -> None:
    queue = Queue(gifts_max=5, free_max=2)
    fill(queue, [False, True, False])
    with pytest.raises(Overloaded):
        queue.append(item(3, gift=False))
    fill(queue, [True] * 4, 4)
    with pytest.raises(Overloaded):
        queue.append(item(8, gift=True))
    assert queue.size == 7


@given(kinds, st.integers(1, 20), kinds)
def test_what_is_to_be_said_again_goes_before_all(sent: list[bool], most: int, later: list[bool]) -> None:
    queue = Queue(1000, 1000)
    fill(queue, sent)
    batch = queue.take(most)
    fill(queue, later, 100)
    queue.put_back(batch)
    assert queue.take(len(batch)) == batch


@given(kinds, st.integers(0, 40), st.integers(1, 40))
def test_what_waited_too_long_is_taken_out(sent: list[bool], oldest: int, most: int) -> None:
    queue = Queue(1000, 1000)
    made = fill(queue, sent)
    batch = queue.take(most)
    queue.put_back(batch)
    expired = queue.expire(float(oldest))
    late = {each.queued_at for each in made if each.queued_at < oldest}
    assert {each.queued_at for each in expired} <= late
    assert not batch or batch[0].queued_at >= oldest or batch[0] in expired
    rest = queue.take(1000)
    assert sorted(expired + rest, key=lambda each: each.queued_at) == made
    assert not any(each.queued_at < oldest for each in rest if each not in batch)
