"""Up to where all is credited, by numbers."""

from __future__ import annotations

from gifting.ledger.cluster.owed import Reached
from gifting.ledger.cluster.reach import START, Reach, Stand

T = 1_764_000_000_000


def item(at: int) -> bytes:
    return b"%d-0" % (T + at)


def stand(at: int, seq: int, epoch: int = 1) -> Stand:
    """Source 0 has given so many to partition 1, the last of them then."""
    return Stand(epoch, item(at), {1: Reached(seq, epoch)})


def marks(seq: int, epoch: int = 1) -> dict[int, dict[int, Reached]]:
    return {0: {}, 1: {0: Reached(seq, epoch)}}


def test_what_was_awaited_is_passed_when_marks_reach_it() -> None:
    reach = Reach(0)
    reach.see(stand(10, 5), marks(3))
    assert (reach.credited.last, reach.awaited) == (START, stand(10, 5))
    reach.see(stand(20, 8), marks(6))
    assert (reach.credited, reach.awaited) == (stand(10, 5), stand(20, 8))
    reach.see(stand(30, 9), marks(9))
    assert (reach.credited, reach.awaited) == (stand(30, 9), None)


def test_a_mark_that_goes_back_begins_all_again() -> None:
    reach = Reach(0)
    reach.see(stand(30, 9), marks(9))
    assert reach.page({}) == item(30)
    reach.see(stand(40, 10), marks(8))
    assert (reach.credited.last, reach.awaited) == (START, stand(40, 10))
    assert reach.page({}) == START


def test_another_epoch_of_the_source_begins_all_again() -> None:
    reach = Reach(0)
    reach.see(stand(30, 9), marks(9))
    reach.see(stand(40, 9, epoch=2), marks(12))
    assert (reach.credited.last, reach.awaited) == (START, stand(40, 9, epoch=2))


def test_a_mark_of_an_earlier_epoch_does_not_pass_a_later_one() -> None:
    assert not stand(1, 9, epoch=2).is_credited(0, marks(12))
    assert stand(1, 9, epoch=2).is_credited(0, marks(9, 3))


def two(at: int, first: int, second: int) -> Stand:
    """Source 0 has given so many to partitions 1 and 2."""
    return Stand(1, item(at), {1: Reached(first, 1), 2: Reached(second, 1)})


def both(first: int, second: int) -> dict[int, dict[int, Reached]]:
    return {1: {0: Reached(first, 1)}, 2: {0: Reached(second, 1)}}


def test_what_is_credited_to_those_that_answer_is_told_apart() -> None:
    reach = Reach(0)
    reach.see(two(10, 5, 5), both(5, 5))
    reach.see(two(20, 6, 6), both(5, 5), {2})
    assert reach.is_left(T + 20)
    assert not reach.is_left(T + 19)
    assert reach.page({}) == item(10)
    assert reach.stuck == {2}
    reach.see(two(30, 7, 9), both(7, 5), {2})
    assert not reach.is_left(T + 30)
    assert (reach.page({}), reach.credited.last) == (item(30), item(10))
    assert reach.owed_since(T + 30) == T + 20, "by the other it may be lacked"
    assert reach.owed_since(T + 19) is None


def test_who_answers_again_is_looked_at_from_where_all_was_credited() -> None:
    reach = Reach(0)
    reach.see(two(10, 5, 5), both(5, 5))
    reach.see(two(30, 7, 9), both(7, 5), {2})
    reach.see(two(40, 7, 9), both(7, 6))
    assert reach.silent == set()
    assert reach.is_left(T + 30)
    assert reach.page({}) == item(10)
    assert reach.stuck == set()
    reach.see(two(40, 7, 9), both(7, 9))
    assert (reach.credited.last, reach.awaited) == (item(40), None)


def test_who_is_silent_and_was_given_nothing_is_of_no_account() -> None:
    reach = Reach(0)
    reach.see(stand(10, 5), marks(5), {7})
    assert (reach.silent, reach.credited.last) == (set(), item(10))


def test_who_falls_silent_in_a_pass_begins_another() -> None:
    reach = Reach(0)
    reach.see(two(10, 5, 5), both(5, 5))
    reach.see(two(20, 6, 6), both(5, 5))
    assert reach.page({}) == item(10)
    reach.place = item(20)
    reach.see(two(20, 6, 6), both(5, 5), {2})
    assert reach.page({}) == item(10)
    assert reach.stuck == {2}


def ended(reach: Reach, marks: dict[int, dict[int, Reached]], *lacking: int) -> Reach:
    """A pass has, in which items were seen for those."""
    reach.page(marks)
    reach.lacking |= set(lacking)
    return reach


def test_what_was_given_and_is_neither_credited_nor_left_is_missing() -> None:
    reach = Reach(0)
    reach.see(two(10, 5, 5), both(5, 4))
    assert ended(reach, both(5, 4)).missing(T + 10) == {2: (Reached(5, 1), Reached(4, 1))}
    assert ended(reach, both(5, 4), 1).missing(T + 10) == {2: (Reached(5, 1), Reached(4, 1))}
    reach.see(two(20, 7, 7), both(6, 4))
    assert reach.missing(T + 20) == {2: (Reached(5, 1), Reached(4, 1))}, "what was given since may be on its way"


def test_what_is_on_its_way_is_not_missing() -> None:
    reach = Reach(0)
    reach.see(two(10, 5, 5), both(5, 4))
    assert ended(reach, both(5, 4), 2).missing(T + 10) == {}, "it is in the outbox"
    reach.again()
    assert ended(reach, both(5, 4)).missing(T + 9) == {}, "so far it was not looked"
    assert reach.missing(T + 10)
    reach.again()
    assert ended(reach, both(5, 5)).missing(T + 10) == {}, "it has been credited"


def test_what_was_credited_in_an_earlier_history_is_missing() -> None:
    reach = Reach(0)
    reach.see(stand(10, 5, 2), marks(5))
    assert ended(reach, marks(5)).missing(T + 10) == {1: (Reached(5, 2), Reached(5, 1))}


def test_what_a_silent_one_lacks_is_not_known_to_be_missing() -> None:
    reach = Reach(0)
    reach.see(two(10, 5, 5), both(4, 4), {2})
    assert ended(reach, both(4, 4)).missing(T + 10) == {1: (Reached(5, 1), Reached(4, 1))}


def test_a_destination_that_was_never_credited_lacks_all() -> None:
    reach = Reach(0)
    reach.see(stand(10, 5), {1: {}})
    assert ended(reach, {1: {}}).missing(T + 10) == {1: (Reached(5, 1), Reached())}


def test_a_pass_counts_by_the_marks_with_which_it_began() -> None:
    reach = Reach(0)
    reach.see(two(10, 5, 5), both(4, 5))
    reach.page(both(4, 5))
    reach.see(two(20, 5, 5), both(4, 4))
    reach.page(both(4, 4))
    assert reach.missing(T + 20) == {1: (Reached(5, 1), Reached(4, 1))}, "of the other it is another pass's matter"


def test_an_outbox_that_is_empty_owes_nothing_since_a_time() -> None:
    reach = Reach(0)
    reach.see(stand(-T, 5)._replace(last=START), marks(4))
    assert reach.is_left(T)
    assert reach.owed_since(T) is None
