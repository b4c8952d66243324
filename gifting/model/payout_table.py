"""The table of every fact on every state of a payout, made from the rules: docs/economy.md shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Final

from msgspec.structs import replace

from gifting.model.payouts import Fact, Kind, Payout, PayoutMismatch, State, add, booked, change, state

PAYOUT: Final = Payout(
    id="01890000-0000-7000-8000-000000000000",
    host="hana",
    digest=b"",
    provider="sandbox",
    account="acct_1",
    diamonds=10_000_000,
    amount=50_00,
    currency="USD",
    created=1,
)
"""10,000 diamonds for 50.00 $."""

Step = Callable[[Payout], Payout]
"""Raises PayoutMismatch."""


def told(kind: Kind, at: int) -> Step:
    return lambda payout: add(payout, Fact("sandbox", kind, at))


def decided(*, rejected: bool) -> Step:
    """By an operator. Raises PayoutMismatch where that was done, or it is on its way."""

    def decide(payout: Payout) -> Payout:
        if state(payout) not in (State.REQUESTED, State.REVIEW):
            raise PayoutMismatch("It is decided.")
        return replace(payout, decided_at=2, rejected=rejected)

    return decide


def reviewed(payout: Payout) -> Payout:
    return replace(payout, review="amount")


def sending(payout: Payout) -> Payout:
    if state(payout) is not State.REQUESTED:
        raise PayoutMismatch("It is not to be sent.")
    return replace(payout, sending_at=3)


WAYS: Final[dict[State, tuple[Step, ...]]] = {
    State.REQUESTED: (),
    State.REVIEW: (reviewed,),
    State.PROCESSING: (sending,),
    State.PAID: (sending, told(Kind.PAID, 4)),
    State.FAILED: (sending, told(Kind.FAILED, 4)),
    State.RETURNED: (sending, told(Kind.PAID, 4), told(Kind.RETURNED, 5)),
}
"""How the payout of the table comes into each state."""

STEPS: Final[dict[str, Step]] = {
    "approved": decided(rejected=False),
    "rejected": decided(rejected=True),
    "sending": sending,
    "sent": told(Kind.SENT, 4),
    "paid": told(Kind.PAID, 4),
    "failed": told(Kind.FAILED, 6),
    "returned": told(Kind.RETURNED, 6),
    "stuck": told(Kind.STUCK, 6),
}
"""The rows of the table: what operators decide, the server does and providers tell."""


def follow(payout: Payout, step: Step) -> Payout:
    """A step, and what the books do of it."""
    return booked(step(payout))


def cell(before: State, step: Step) -> str:
    """What a step makes of a payout in a state: the new one, and the diamonds that come back; – where it is refused."""
    payout = reduce(follow, WAYS[before], PAYOUT)
    try:
        after = step(payout)
    except PayoutMismatch:
        return "–"
    parts = [f"{state(after)}"] * (state(after) != before) + [f"+{change(after) // 1000:,}"] * bool(change(after))
    return " ".join(parts) or "·"


def table() -> Iterator[str]:
    """The lines of it, as Markdown."""
    yield f"| | {' | '.join(WAYS)} |"
    yield f"|---|{'---|' * len(WAYS)}"
    for name, step in STEPS.items():
        yield f"| {name} | {' | '.join(cell(before, step) for before in WAYS)} |"
