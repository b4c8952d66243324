"""What the demo shows, from what the server says."""

from __future__ import annotations

from io import StringIO
from itertools import islice
from typing import Any

import pytest
from rich.console import Console

from gifting.demo.cast import STAGES, Tally, viewers
from gifting.demo.screen import Rates, as_line, as_table, looks

RANKING = [("Ada [b]", 1300), ("Bo", 200), ("", 5), ("Dov", 1)]


def snapshots() -> dict[str, dict[str, Any]]:
    top = [{"user": {"id": f"user-{coins}", "name": name}, "coins": coins} for name, coins in RANKING]
    room = {"viewers": 40, "coins": 1506, "top": top}
    return {stage.room: room for stage in STAGES}


@pytest.mark.parametrize("columns", [50, 80, 200])
def test_the_ranking_is_the_rooms_own(columns: int) -> None:
    out = StringIO()
    Console(file=out, width=columns, markup=False).print(as_table(Tally(), (0.0, 0.0), snapshots(), columns))
    assert out.getvalue().count("Ada [b] 1,300, Bo 200, user-5 5") == len(STAGES)
    assert "Dov" not in out.getvalue()


def test_names_do_not_repeat() -> None:
    cast = list(viewers(2000))
    assert len({viewer.name for viewer in cast}) == len({viewer.user for viewer in cast}) == 2000
    assert cast[0] == ("ada", "Ada")
    assert cast[40] == ("ada-2", "Ada 2")


def test_errors_are_counted_by_their_codes() -> None:
    tally = Tally()
    for error in (TimeoutError(), TimeoutError(), ConnectionResetError()):
        tally.count_error(error)
    line = as_line(tally, Rates().measure(tally), snapshots())
    assert line.endswith(
        "0 gifts, 40 + 40 watching, 0 purchases, 0 coins for nothing, 0 gifts/s, 0 deliveries/s, p50 0.0 ms, "
        "p99 0.0 ms, 2 TimeoutError, 1 ConnectionResetError"
    )


def test_what_was_bought_is_told_in_money() -> None:
    tally = Tally()
    tally.till.purchases, tally.till.coins = 3, 1_050
    tally.till.money.update({"USD": 1_137})
    assert "3 purchases, 1,050 coins for 11.37 USD" in as_line(tally, (0.0, 0.0), snapshots())
    out = StringIO()
    Console(file=out, width=50, markup=False).print(as_table(tally, (0.0, 0.0), snapshots(), 50))
    assert "play money: 3 purchases, 1,050 coins for 11.37 USD" in " ".join(out.getvalue().split())


@pytest.mark.parametrize(
    ("seconds", "every", "sleeps", "count"),
    [(4, 1, 1, 4), (4, 1, 0.999, 4), (4, 1, 1.001, 4), (4, 1, 1.5, 3), (1.5, 0.5, 0.5, 3), (0, 1, 1, 1_000)],
)
def test_it_looks_for_as_long_as_it_is_told_however_long_it_sleeps(
    seconds: float, every: float, sleeps: float, count: int
) -> None:
    pauses: list[float] = []
    for pause in islice(looks(seconds, every, lambda: 7 + sleeps * len(pauses)), 1_000):
        pauses.append(pause)
    assert pauses == [every] * count
