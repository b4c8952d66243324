"""What an entry does to the balances of its partition, taken at its word: nothing is held against anything else."""

from __future__ import annotations

from typing import assert_never

from gifting.ledger.audit.balances import Balances
from gifting.ledger.audit.order_book import wrong_reversal
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
from gifting.model.reversals import reversal_key


def enter(balances: Balances, base: str, entry: Entry) -> bool:
    """Enter what :class:`.books.Books` enters for an entry that has no problem, and one with a problem as it stands.

    Returns whether it is what the balances before it make of it.
    """
    fits = True
    match entry:
        case Grant():
            balances.issue(base, entry.user, 0, entry.coins)
        case Purchase():
            fits = balances.issue(base, entry.user, entry.paid, entry.bonus) == entry.settled
        case Reversal():
            balances.take_back(base, entry.user, entry.paid, entry.bonus, entry.debt)
            fits = not wrong_reversal(balances, entry)
        case Debit():
            fits = balances.spend(base, entry.user, entry.coins) >= 0 and not entry.coins % entry.gifts
        case Credit():
            rate = (entry.numerator, entry.denominator)
            fits = balances.earn(entry.host, entry.coins, rate, entry.ts) == entry.diamonds
        case GiftReversal():
            settled = balances.unspend(base, entry.user, entry.paid, entry.bonus)
            fits = settled == entry.settled and entry.key == reversal_key(entry.user, entry.gift)
        case Clawback():
            balances.claw_back(entry)
        case Payout():
            fits = balances.pay_out(entry.host, entry.diamonds) >= 0
        case AccountChange():
            pass
        case _:
            assert_never(entry)
    return fits
