"""What is seen of rounds: which masters' do not count, since when, and what operators are told of it."""

from __future__ import annotations

import pytest

from gifting.ledger.cluster.rounds import QUIET, SAID_AFTER, Rounds
from gifting.ledger.cluster.topology import Node

MASTER, OTHER = Node("m", "h", 1), Node("o", "h", 2)


class Seen:
    """Rounds at times that the test gives."""

    def __init__(self) -> None:
        self.now = 100.0
        self.rounds = Rounds(lambda: self.now)

    def ends(self, at: float, lacks: str = "", *, master: Node = MASTER, written: float | None = None) -> None:
        self.now = at
        self.rounds.note(master, at if written is None else written, lacks)


def test_a_round_is_observed_for_as_long_as_it_took_whether_it_counts_or_not() -> None:
    seen = Seen()
    seen.ends(101.0, written=100.5)
    seen.ends(103.0, "0 have it", written=101.0)
    assert [count for _, count in seen.rounds.took.buckets()][-1] == 2
    assert seen.rounds.took.total == 2.5


def test_it_lasts_from_the_writing_of_the_first_round_that_did_not_count_to_the_end_of_the_last() -> None:
    seen = Seen()
    seen.ends(101.0, "0 have it", written=100.0)
    assert seen.rounds.seconds == 1.0
    seen.ends(102.5, "0 have it", written=101.0)
    assert seen.rounds.seconds == 2.5
    seen.now += 10.0
    assert seen.rounds.seconds == 2.5, "nothing was tried since"
    seen.ends(113.0)
    assert seen.rounds.seconds == 0.0


def test_each_master_has_its_own_and_the_longest_is_told() -> None:
    seen = Seen()
    seen.ends(101.0, "0 have it", written=100.0)
    seen.ends(104.0, "1 of 2 have it", master=OTHER, written=100.0)
    assert seen.rounds.seconds == 4.0
    seen.ends(104.5)
    assert seen.rounds.seconds == 4.0
    seen.rounds.forget(OTHER)
    assert seen.rounds.seconds == 0.0
    seen.rounds.forget(OTHER)


def test_what_lasts_is_told_by_its_latest_reason_and_logged_once_until_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("WARNING")
    seen = Seen()
    seen.ends(100.0 + SAID_AFTER - 0.1, "0 have it", written=100.0)
    assert not seen.rounds.told()
    assert not caplog.messages
    seen.ends(100.0 + SAID_AFTER, "h:9 does not follow")
    seen.ends(105.0, "h:8 does not follow")
    assert seen.rounds.told() == ["What is written to h:1 has not counted for 5 s: h:8 does not follow."]
    assert caplog.messages == ["what is written to h:1 has not counted for 3 s: h:9 does not follow"]
    caplog.clear()
    seen.ends(107.0)
    assert not seen.rounds.told()
    assert caplog.messages == ["what is written to h:1 counts again, after 7 s"]


def test_what_was_over_before_it_was_told_ends_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING")
    seen = Seen()
    seen.ends(101.0, "0 have it", written=100.0)
    seen.ends(102.0)
    seen.ends(110.0, "0 have it")
    assert not caplog.messages
    assert seen.rounds.seconds == 0.0, "it began anew"


def test_of_a_master_that_nothing_was_written_to_for_long_nothing_is_told() -> None:
    seen = Seen()
    seen.ends(105.0, "0 have it", written=100.0)
    seen.now = 105.0 + QUIET - 0.1
    assert seen.rounds.seconds == 5.0
    assert seen.rounds.told()
    seen.now = 105.0 + QUIET
    assert seen.rounds.seconds == 0.0
    assert not seen.rounds.told()
