"""The lines of ``gifting watch``."""

from __future__ import annotations

from typing import Any

import pytest

from gifting.cli.watch import describe, plain

ANN = {"user": {"id": "ann", "name": "Ann"}}
GIFT = {"type": "gift", **ANN, "gift": {"name": "Spark"}, "count": 3, "coins": 3, "repeat_count": 3, "message": None}


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (GIFT, "Ann sent 3 × Spark (3 coins)"),
        ({**GIFT, "repeat_count": 1200}, "Ann sent 3 × Spark (3 coins), 1,200 in a row"),
        ({**GIFT, "message": "hello"}, 'Ann sent 3 × Spark (3 coins): "hello"'),
        ({**GIFT, "user": {"id": "ann", "name": ""}}, "ann sent 3 × Spark (3 coins)"),
        ({**GIFT, "count": 0, "coins": 0}, ""),
        ({"type": "like", "count": 5, "total": 1005}, "5 likes, 1,005 in all"),
        ({"type": "comment", **ANN, "text": "so good"}, "Ann: so good"),
        ({"type": "share", **ANN}, "Ann shared the stream"),
        ({"type": "follow", **ANN}, "Ann follows the host"),
        ({"type": "member", **ANN}, "Ann came in"),
        ({"type": "viewers", "count": 3}, "3 watching"),
        ({"type": "stream_end"}, "The stream has ended."),
        ({"type": "rank", "top": []}, ""),
        ({"type": "of a later version"}, ""),
    ],
)
def test_an_event_in_a_line(event: dict[str, Any], line: str) -> None:
    assert describe(event) == line


def test_what_a_stranger_wrote_moves_no_cursor() -> None:
    assert plain("An\x1b[2Jn\x07 \u202eevil 😀 é") == "An\ufffd[2Jn\ufffd \ufffdevil 😀 é"
