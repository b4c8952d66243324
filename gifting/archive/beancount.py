"""The books of a month for beancount: an opening, what the month brought, and the closing balances to check it by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from gifting.model.currencies import EXPONENTS
from gifting.model.journal import COIN, DIAMOND

if TYPE_CHECKING:
    from gifting.archive.statements import Report
    from gifting.model.journal import Account

DIGITS: Final = EXPONENTS | {COIN: 0, DIAMOND: 3}
"""Diamonds are told whole, with three decimals."""


def beancount(journal: Report, month: int) -> Iterator[str]:
    """Lines of a file that ``bean-check`` takes, with nothing but beancount itself, of the report ``journal``."""
    first = date(month // 100, month % 100, 1)
    after = (first + timedelta(days=31)).replace(day=1)
    told: dict[str | int, Counter[Account]] = {"before": Counter(), "month": Counter()}
    for when, name, of, amount in journal.rows:
        told[when][str(name), str(of)] = int(amount)
    closing = Counter(told["before"])
    closing.update(told["month"])
    yield f'option "title" "gifting {month // 100}-{month % 100:02}"'
    for commodity in sorted({of for _, of in closing}):
        yield f"1970-01-01 commodity {commodity}"
    for name in sorted({name for name, _ in closing}):
        yield f"1970-01-01 open {name}"
    yield from _transaction(first - timedelta(days=1), "Before", told["before"])
    yield from _transaction(after - timedelta(days=1), "The month", told["month"])
    for name, commodity in sorted(closing):
        yield f"{after} balance {name}  {_amount(closing[name, commodity], commodity)}"


def _transaction(day: date, what: str, totals: Counter[Account]) -> Iterator[str]:
    postings = [(name, of, amount) for (name, of), amount in sorted(totals.items()) if amount]
    if postings:
        yield f'{day} * "{what}"'
    for name, commodity, amount in postings:
        yield f"  {name}  {_amount(amount, commodity)}"


def _amount(amount: int, commodity: str) -> str:
    digits = DIGITS.get(commodity, 2)
    whole, rest = divmod(abs(amount), 10**digits)
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{rest:0{digits}} {commodity}" if digits else f"{sign}{whole} {commodity}"
