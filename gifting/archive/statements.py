"""Reports of finance: rows that programs and people read alike, from the books of a month. Pure.

Each says what its columns are; amounts of money are in minor units of the currency, ``COIN`` are coins, ``MDIA``
milli-diamonds. What the reports mean, and their formulas: docs/finance.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from gifting.model import journal as accounts
from gifting.model.journal import COIN, DIAMOND

if TYPE_CHECKING:
    from gifting.archive.finance import Finance

Cell = str | int


class Report(NamedTuple):
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]


def _currencies(finance: Finance) -> list[str]:
    return sorted({commodity for _, commodity in finance.closing()} - {COIN, DIAMOND})


def deferred(finance: Finance) -> Report:
    """Deferred revenue, of paid coins, of bonus coins and by currency: opening + sold − spent − refunded − breakage =
    closing. Breakage is below 0 where more of what was breakage before is spent or taken back.
    """
    columns = ("what", "opening", "sold", "spent", "refunded", "breakage", "closing")
    coins = [_rolled(finance, "paid coins", accounts.PAID, COIN), _rolled(finance, "bonus coins", accounts.BONUS, COIN)]
    money = [_rolled(finance, currency, accounts.DEFERRED, currency) for currency in _currencies(finance)]
    return Report(columns, [*coins, *money])


def _rolled(finance: Finance, what: str, account: str, commodity: str) -> tuple[Cell, ...]:
    key = account if commodity == COIN else commodity
    before, after = (broken[key] for broken in finance.broken)
    opening, closing = -finance.before.totals[account, commodity], -finance.closing()[account, commodity]
    month = finance.during
    flow = (month.sold[key], month.spent[key], month.refunded[key], after - before)
    return (what, opening - before, *flow, closing - after)


def unspent(finance: Finance) -> Report:
    """What users have not spent at the end of the month: coins, and the money that is deferred for them."""
    closing = finance.closing()
    coins: list[tuple[Cell, ...]] = [
        ("paid coins", COIN, -closing[accounts.PAID, COIN]),
        ("bonus coins", COIN, -closing[accounts.BONUS, COIN]),
    ]
    money = [("deferred", of, -closing[accounts.DEFERRED, of]) for of in _currencies(finance)]
    return Report(("what", "commodity", "amount"), [*coins, *money])


def debt(finance: Finance) -> Report:
    """Coins that users owe at the end of the month, who owes most first."""
    rows: list[tuple[Cell, ...]] = [(user, coins) for user, coins in sorted(finance.debtors.items(), key=_most)]
    return Report(("user", "coins"), [*rows, ("all", finance.debtors.total())])


def _most(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def losses(finance: Finance) -> Report:
    """Money that went back in the month after its coins were spent, by why it did; disputes are chargebacks."""
    kinds = sorted(set(accounts.LOSS.values()))
    flow = finance.during.totals
    return Report(
        ("why", "currency", "amount"),
        [(kind, currency, flow[kind, currency]) for currency in _currencies(finance) for kind in kinds],
    )


def payable(finance: Finance) -> Report:
    """Milli-diamonds that creators have at the end of the month, by days since they were earned; and what they owe."""
    names = ("0-30 days", "31-60 days", "61-90 days", "older")
    rows: list[tuple[Cell, ...]] = list(zip(names, finance.ages, strict=True))
    closing = finance.closing()
    owed = closing[accounts.OWED, DIAMOND]
    return Report(("age", "milli-diamonds"), [*rows, ("all", -closing[accounts.PAYABLE, DIAMOND]), ("owed", owed)])


def trial_balance(finance: Finance) -> Report:
    """Every account: its opening, what the month brought, its closing; debits above 0. Of a commodity all sum to 0."""
    closing = finance.closing()
    rows: list[tuple[Cell, ...]] = [
        (name, of, finance.before.totals[name, of], finance.during.totals[name, of], closing[name, of])
        for name, of in sorted(closing, key=lambda account: account[::-1])
    ]
    return Report(("account", "commodity", "opening", "month", "closing"), rows)


def journal(finance: Finance) -> Report:
    """The postings: those of all months before, and those of the month; debits above 0. Beancount takes them too."""
    rows = [
        (when, name, of, amount)
        for when, told in (("before", finance.before), ("month", finance.during))
        for (name, of), amount in sorted(told.totals.items())
        if amount
    ]
    return Report(("when", "account", "commodity", "amount"), list[tuple[Cell, ...]](rows))


REPORTS: Final[dict[str, Callable[[Finance], Report]]] = {
    "deferred": deferred,
    "unspent": unspent,
    "debt": debt,
    "losses": losses,
    "payable": payable,
    "trial-balance": trial_balance,
    "journal": journal,
}
