"""What an id may look like."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gifting.model.ids import valid_id


@given(st.text(max_size=70))
def test_ids(text: str) -> None:
    allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:@-"
    assert valid_id(text) == (1 <= len(text) <= 64 and set(text) <= set(allowed))
