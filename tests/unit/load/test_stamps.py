"""What is said with a sampled gift: its time comes back, and no rule holds it: that would cost what nobody measures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gifting.load.stamps import read_stamp, stamp
from gifting.model.moderation import load_moderation

RULES = load_moderation()


@given(st.integers(0, 2**63 - 1))
def test_a_time_comes_back(due: int) -> None:
    assert read_stamp(stamp(due)) == due


@given(st.integers(0, 2**63 - 1))
def test_no_rule_holds_it(due: int) -> None:
    assert RULES.look(stamp(due)) is None


def test_a_time_in_digits_may_be_a_card() -> None:
    assert "personal" in {RULES.look(f"t={48_643_420_951_780 + number}") for number in range(10)}


def test_other_words_tell_no_time() -> None:
    assert read_stamp(None) is None
    assert read_stamp("hello") is None
