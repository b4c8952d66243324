"""Reports of finance: rows that programs and people read alike, from the books of a month. Pure.

Each says what its columns are; amounts of money are in minor units of the currency, ``COIN`` are coins, ``MDIA``
milli-diamonds. What the reports mean, and their formulas: docs/finance.md.
"""

from __future__ import annotations

import hashlib
import json
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
    """Deferred revenue by currency: opening + sold − spent − refunded − breakage = closing. Of coins see ``unspent``.

    Coins never expire, so breakage is 0.
    """
    columns = ("what", "opening", "sold", "spent", "refunded", "breakage", "closing")
    rows: list[tuple[Cell, ...]] = []
    for currency in _currencies(finance):
        flow = finance.during.totals
        opening = -finance.before.totals[accounts.DEFERRED, currency]
        closing = -finance.closing()[accounts.DEFERRED, currency]
        sold, refunded = finance.during.sold[currency], finance.during.refunded[currency]
        spent = -flow[accounts.INCOME, currency]
        rows.append((currency, opening, sold, spent, refunded, 0, closing))
    return Report(columns, rows)


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


REPORTS: Final[dict[str, Callable[[Finance], Report]]] = {
    "deferred": deferred,
    "unspent": unspent,
    "debt": debt,
    "losses": losses,
    "payable": payable,
    "trial-balance": trial_balance,
}


def totals_hash(finance: Finance) -> bytes:
    """SHA-256 of the trial balance: what a lock keeps of a month."""
    return hashlib.sha256(json.dumps(trial_balance(finance)).encode()).digest()
