"""What an entry does to the balances of its partition, taken at its word: nothing is held against anything else."""

from __future__ import annotations

from typing import assert_never

from gifting.ledger.audit.balances import Balances
from gifting.ledger.entries import (
    AccountChange,
    Clawback,
    Credit,
    Debit,
    Entry,
    GiftReversal,
    Grant,
    Payout,
    Purchase,
    Reversal,
)


def enter(balances: Balances, base: str, entry: Entry) -> None:
    """Enter what :class:`.books.Books` enters for an entry that has no problem, and one with a problem as it stands."""
    match entry:
        case Grant():
            balances.issue(base, entry.user, 0, entry.coins)
        case Purchase():
            balances.issue(base, entry.user, entry.paid, entry.bonus)
        case Reversal():
            balances.take_back(base, entry.user, entry.paid, entry.bonus, entry.debt)
        case Debit():
            balances.spend(base, entry.user, entry.coins)
        case Credit():
            balances.earn(entry.host, entry.coins, (entry.numerator, entry.denominator), entry.ts)
        case GiftReversal():
            balances.unspend(base, entry.user, entry.paid, entry.bonus)
        case Clawback():
            balances.claw_back(entry)
        case Payout():
            balances.pay_out(entry.host, entry.diamonds)
        case AccountChange():
            pass
        case _:
            assert_never(entry)
