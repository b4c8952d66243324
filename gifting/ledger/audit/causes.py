"""What follows from what: one deleted ledger entry shows in a hundred places, and is one discrepancy.

Names are in the order of :data:`NAMES`, causes first. A problem that is about something which an earlier one is about,
or shakes, follows from that one; what has nothing in common with any before it is a cause.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

EXAMPLES_MAX: Final = 5
"""Sentences told of each name in a group; of the rest there is a count."""

NAMES: Final = (
    # What the books are made of.
    "partition_lost",
    "ledger_items_deleted",
    "ledger_entry_broken",
    "pair_broken",
    "outbox_broken",
    "outbox_hole",
    "mark_ahead",
    "mark_behind",
    "parked_differs",
    "outbox_without_debit",
    "outbox_differs",
    "key_in_doubt",
    "key_without_entry",
    "entry_without_key",
    "kept_key_broken",
    "key_differs",
    "key_twice",
    "debit_without_credit",
    "credit_without_debit",
    "credit_differs",
    "credit_out_of_order",
    "reversal_without_gift",
    "reversal_elsewhere",
    "reversal_wrong",
    "clawback_without_reversal",
    "clawback_wrong",
    "clawback_missing",
    "clawback_differs",
    "fence_differs",
    "price_wrong",
    "diamonds_wrong",
    "ledger_incomplete",
    "order_broken",
    "order_missing",
    "order_differs",
    "order_behind",
    "payout_wrong",
    "payout_broken",
    "payout_missing",
    "payout_differs",
    "payout_behind",
    "debt_wrong",
    "reference_differs",
    "promotion_differs",
    # What is kept of them.
    "wrong_partition",
    "not_a_number",
    "totals_differ",
    "balance_differs",
    "account_differs",
    "freeze_differs",
    "diamonds_differ",
    "carry_differs",
    "negative_balance",
    "amount_too_large",
    "conservation_broken",
    # Rooms, and their logs.
    "room_missing",
    "wrong_host",
    "room_totals_differ",
    "ranking_differs",
    "log_entry_broken",
    "room_seq_gap",
    "room_seq_differs",
    "stream_end_wrong",
    "event_after_end",
    "event_misnumbered",
    "event_differs",
    "event_without_credit",
    "credit_without_event",
    "streak_ended_twice",
    "gift_after_streak_end",
    "streak_mixed",
    "streak_id_wrong",
    "streak_without_start",
    "repeat_count_wrong",
    "batch_index_wrong",
    "batch_totals_wrong",
    "open_streaks_differ",
    "streak_never_ended",
)
"""Every problem that an audit can name; docs/operations.md tells what each means."""

_RANK: Final = {name: rank for rank, name in enumerate(NAMES)}


class Problem(NamedTuple):
    """What did not hold: a stable name, a sentence; what it is about, and what else is wrong if this is."""

    name: str
    sentence: str
    about: tuple[str, ...] = ()
    shakes: tuple[str, ...] = ()


@dataclass(slots=True)
class Group:
    """Problems of one name, a few of them as examples, and what follows from them."""

    name: str
    count: int = 0
    examples: list[str] = field(default_factory=list)
    follows: list[Group] = field(default_factory=list)

    def add(self, sentence: str) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(sentence)

    def as_json(self) -> dict[str, Any]:
        told = {"name": self.name, "count": self.count, "examples": self.examples}
        return told | {"follows": [one.as_json() for one in self.follows]}


def group(problems: Iterable[Problem], found: Mapping[str, int]) -> list[Group]:
    """The problems by cause; ``found`` counts all of each name, and who was not kept counts with the first that was."""
    causes: dict[str, Group] = {}
    heads: dict[str, Group] = {}
    places: dict[str, Group] = {}
    kept: dict[str, int] = {}
    for problem in sorted(problems, key=lambda problem: _RANK[problem.name]):
        head = _head(problem, heads)
        if head is None:
            head = place = causes.setdefault(problem.name, Group(problem.name))
        else:
            place = _following(head, problem.name)
        place.add(problem.sentence)
        places.setdefault(problem.name, place)
        kept[problem.name] = kept.get(problem.name, 0) + 1
        for tag in (*problem.about, *problem.shakes):
            heads.setdefault(tag, head)
    for name, place in places.items():
        place.count += found[name] - kept[name]
    return list(causes.values())


def _head(problem: Problem, heads: Mapping[str, Group]) -> Group | None:
    """The cause that a problem follows from, if it follows from one; its like are no cause of it."""
    found = (heads[tag] for tag in problem.about if tag in heads)
    return next((head for head in found if head.name != problem.name), None)


def _following(head: Group, name: str) -> Group:
    for one in head.follows:
        if one.name == name:
            return one
    head.follows.append(Group(name))
    return head.follows[-1]
