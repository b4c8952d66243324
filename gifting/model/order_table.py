"""The table of every effect on every state of an order, made from the rules: docs/economy.md shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Final

from msgspec.structs import replace

from gifting.errors import NotReversible
from gifting.model.consequences import State, booked, change, state
from gifting.model.effects import Effect, Kind
from gifting.model.orders import Asked, Order, add
from gifting.model.refunds import refund

ORDER: Final = Order(
    id="order",
    user="ann",
    digest=b"",
    provider="sandbox",
    region="DE",
    currency="EUR",
    price=1000,
    coins=100,
    bonus=20,
    created=0,
    expires=1,
)
"""120 coins for 10.00 €, 20 of them bonus."""


def effect(kind: Kind, what: str, at: int, amount: int = 0) -> Effect:
    return Effect("sandbox", what, kind, at, amount=amount)


_PAID: Final = effect(Kind.PAID, "payment", 1)

WAYS: Final[dict[State, tuple[Effect, ...]]] = {
    State.CREATED: (),
    State.PAYING: (effect(Kind.PAYING, "payment", 1),),
    State.EXPIRED: (effect(Kind.EXPIRED, "checkout", 1),),
    State.FAILED: (effect(Kind.FAILED, "payment", 1),),
    State.PAID: (_PAID,),
    State.PARTLY_REFUNDED: (_PAID, effect(Kind.REFUNDED, "refund", 1, 400)),
    State.REFUNDED: (_PAID, effect(Kind.REFUNDED, "refund", 1)),
    State.DISPUTED: (_PAID, effect(Kind.DISPUTED, "dispute", 1)),
    State.WON: (_PAID, effect(Kind.DISPUTE_WON, "dispute", 1)),
    State.LOST: (_PAID, effect(Kind.DISPUTE_LOST, "dispute", 1)),
    State.FRAUD_WARNING: (_PAID, effect(Kind.FRAUD_WARNING, "warning", 1)),
}
"""How the order of the table comes into each state."""

EFFECTS: Final = {
    "paying": effect(Kind.PAYING, "payment", 2),
    "paid": effect(Kind.PAID, "payment", 2),
    "failed": effect(Kind.FAILED, "payment", 2),
    "expired": effect(Kind.EXPIRED, "checkout", 2),
    "refunded: another 4.00": effect(Kind.REFUNDED, "another", 2, 400),
    "refunded: all": effect(Kind.REFUNDED, "another", 2),
    "refund_failed": effect(Kind.REFUND_FAILED, "refund", 2),
    "disputed": effect(Kind.DISPUTED, "dispute", 2),
    "disputed: again": effect(Kind.DISPUTED, "another", 2),
    "dispute_won": effect(Kind.DISPUTE_WON, "dispute", 2),
    "dispute_lost": effect(Kind.DISPUTE_LOST, "dispute", 2),
    "fraud_warning": effect(Kind.FRAUD_WARNING, "warning", 2),
    "warning_cleared": effect(Kind.WARNING_CLEARED, "warning", 2),
}
"""The rows of the table: every kind, on the object of the state before or on another."""

ASKED: Final = {"refund by an operator: 4.00": 400, "refund by an operator: the rest": 0}
"""Further rows: what an operator asks for, and the provider takes the order to do."""


def follow(order: Order, one: Effect) -> Order:
    """An effect, and what the books do of it."""
    return booked(add(order, one), 0)


def cell(before: State, one: Effect) -> str:
    """What an effect makes of an order in a state: the new one, and the coins that come or go."""
    return _difference(before, lambda order: add(order, one))


def asked(before: State, amount: int) -> str:
    """What an operator's refund of ``amount`` makes of it; 0: of what is left."""

    def refunded(order: Order) -> Order:
        one = refund(order, "refund", amount, Asked("", "", whole=not amount), 2)
        return replace(order, withdrawals={"refund": replace(one, done_at=2)})

    try:
        return _difference(before, refunded)
    except NotReversible:
        return "refused"


def _difference(before: State, step: Callable[[Order], Order]) -> str:
    told = step(reduce(follow, WAYS[before], ORDER))
    issue, take, _ = change(told)
    coins = sum(issue) - sum(take)
    after = state(told)
    parts = [f"{after}"] * (after != before) + [f"{coins:+}".replace("-", "−")] * bool(coins)
    return " ".join(parts) or "·"


def table() -> Iterator[str]:
    """The lines of it, as Markdown."""
    yield f"| | {' | '.join(WAYS)} |"
    yield f"|---|{'---|' * len(WAYS)}"
    for name, one in EFFECTS.items():
        yield f"| {name} | {' | '.join(cell(before, one) for before in WAYS)} |"
    for name, amount in ASKED.items():
        yield f"| {name} | {' | '.join(asked(before, amount) for before in WAYS)} |"
