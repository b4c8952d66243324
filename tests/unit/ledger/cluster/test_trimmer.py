"""What may go of an outbox: all up to an item, or, while a destination is silent, one item after the other."""

from __future__ import annotations

from typing import Any

from gifting.ledger.cluster.keeping import Keeping
from gifting.ledger.cluster.looks import Look
from gifting.ledger.cluster.owed import Reached
from gifting.ledger.cluster.reach import Reach, Stand
from gifting.ledger.cluster.trimmer import Due, Trimmer

T = 1_764_000_000_000
NOBODY: Any = None


def due(silent: set[int], now: int) -> Due | None:
    """Of an outbox whose items were debited up to ``T``, and all credited as far as it is known."""
    stand = Stand(1, b"%d-0" % T, {1: Reached(5, 1), 2: Reached(5, 1)})
    reach, credited = Reach(0), {1: {0: Reached(5, 1)}, 2: {0: Reached(5, 1)}}
    reach.see(stand, credited, silent)
    look = Look(now, b"%d-0" % (T - 1000), 5, stand, {}, 0)
    return Trimmer(NOBODY, NOBODY, NOBODY, Keeping())._due(reach, look)


def test_what_all_have_goes_up_to_an_item_and_what_one_may_lack_item_by_item() -> None:
    keep = Keeping().ms
    whole, apiece = due(set(), T + keep), due({2}, T + keep)
    assert whole is not None
    assert (whole.before, whole.until, whole.numbers) == (b"%d-0" % T, 0, {1, 2})
    assert apiece is not None
    assert (apiece.before, apiece.until, apiece.numbers) == (b"", T, {1, 2})


def test_what_is_young_stays() -> None:
    for silent in (set[int](), {2}):
        assert due(silent, T - 1000 + Keeping().ms) is None
