"""When a month is over: a clock that jumps ahead, and back, ends none before its time."""

from __future__ import annotations

import pytest

from gifting.archive.month_end import AWAY, HOLD, STEP, MonthEnd

NOW = 1_795_000_000_000
"""27 November 2026."""

YEAR = 365 * 86_400_000


class Hands:
    """Clocks that the test moves, in ms."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.own = self.redis = NOW
        self.month_end = MonthEnd(lambda: self.own / 1000, lambda: self.at)

    def go(self, seconds: float) -> None:
        self.at += seconds
        self.own += round(seconds * 1000)
        self.redis += round(seconds * 1000)

    def passed(self, newest: int = NOW) -> int:
        return self.month_end.passed(self.redis, newest)


def test_time_goes_on() -> None:
    hands = Hands()
    for _ in range(10):
        assert hands.passed() == hands.redis
        hands.go(3600)


@pytest.mark.parametrize("both", [False, True])
def test_a_jump_ahead_and_back_ends_nothing(both: bool) -> None:
    hands = Hands()
    hands.passed()
    for _ in range(3):
        hands.go(60)
        hands.redis += YEAR
        hands.own += YEAR * both
        for _ in range(20):
            hands.go(3600)
            assert hands.passed() < NOW + YEAR / 2
        hands.redis -= YEAR
        hands.own -= YEAR * both
        assert hands.passed() == hands.redis


def test_the_slower_of_both_counts() -> None:
    hands = Hands()
    hands.own -= 7_200_000
    assert hands.passed() == hands.own
    hands.own += 9_000_000
    assert hands.passed() == NOW - 7_200_000


def test_what_holds_for_a_day_is_believed_and_what_went_back_at_once() -> None:
    hands = Hands()
    hands.passed()
    hands.redis += YEAR
    hands.own += YEAR
    hands.passed()
    hands.go(HOLD - 1)
    assert hands.passed() < NOW + YEAR
    hands.go(1)
    assert hands.passed() == hands.redis
    hands.redis -= YEAR
    assert hands.passed() == hands.redis
    hands.redis += STEP
    assert hands.passed() == hands.redis


def test_a_first_look_is_held_against_what_was_entered_last() -> None:
    """Who starts while both clocks are ahead has nothing else to tell it by."""
    hands = Hands()
    assert hands.passed(NOW - AWAY) == NOW
    hands = Hands()
    assert hands.passed(NOW - AWAY - 2 * STEP) == NOW - 2 * STEP
    assert hands.passed(0) == 0, "there is nothing yet"
    late = Hands()
    assert late.passed(NOW - YEAR) == NOW - YEAR + AWAY
    late.go(HOLD)
    assert late.passed(NOW - YEAR) == NOW + HOLD * 1000
