"""What is said to who sent a gift."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gifting.model.values import Result
from gifting.wire.replies import gift_answer, gift_reply


@pytest.mark.parametrize(
    ("taken", "told"),
    [
        (
            Result(False, 7, 93, 3, 5),
            {
                "coins": 93,
                "duplicate": False,
                "seq": 7,
                "event_id": "r1.7",
                "repeat_count": 3,
                "streak_id": "r1.5",
            },
        ),
        (Result(True, 0, 93, 0, 0, pending=True), {"coins": 93, "duplicate": True, "pending": True}),
    ],
)
def test_a_gift_is_told_with_all_that_is_known_of_it_and_nothing_else(taken: Result, told: dict[str, Any]) -> None:
    assert json.loads(msgspec.json.encode(gift_reply("r1", taken))) == told
    assert json.loads(msgspec.json.encode(gift_answer(2, "r1", taken))) == {"re": 2, "ok": True, **told}
