"""Lists as CSV: what a spreadsheet would run is a text, and times are readable."""

from __future__ import annotations

import csv
import io

import pytest
from msgspec import Struct

from gifting.api.sheet import answer_sheet, sheet


class Line(Struct):
    ts: int
    about: str
    coins: int


class Reply(Struct):
    lines: list[Line]
    next: str


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1"])
def test_no_text_is_a_formula(text: str) -> None:
    _, (_, cell, coins) = csv.reader(io.StringIO(sheet(Line, [Line(0, text, -5)]), newline=""))
    assert (cell, coins) == (f"'{text}", "-5")


def test_numbers_stay_numbers_and_times_are_iso() -> None:
    assert sheet(Line, [Line(1_700_000_000_001, 'a,"b"', -5)]) == (
        'ts,about,coins\r\n2023-11-14T22:13:20.001+00:00,"a,""b""",-5\r\n'
    )


def test_nothing_has_its_names_and_the_page_after_a_link() -> None:
    assert answer_sheet(Reply([], ""), 200, {}).body == b"ts,about,coins\r\n"
    link = answer_sheet(Reply([], "1-2-3"), 200, {"format": "csv", "cursor": "9"}).headers["Link"]
    assert link == '<?format=csv&cursor=1-2-3>; rel="next"'
