"""Balances: as the ledger says they must be, and as Redis has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Final

from gifting.ledger.audit import about
from gifting.ledger.audit.report import Findings
from gifting.ledger.entries import Clawback
from gifting.ledger.keys import Keys
from gifting.model.earnings import day_of
from gifting.model.money import MAX_AMOUNT, diamonds_for
from gifting.model.reversals import DAYS, SETTLED, days_taken

NAMED_MAX: Final = 5
"""Wallets named in one sentence."""

ISSUED, SPENT, TAKEN, DEBT = "issued", "spent", "taken", "debt"


@dataclass(slots=True)
class Balances:
    """Coins by user, and how many of them are bonus coins; what users owe, and have spent and bought in all.
    Milli-diamonds by host, what hosts owe of them, remainders by ``host/denominator``, what was earned by ``host/day``
    since 1970 (UTC) and not taken back, totals by ``partition name``.
    """

    coins: Counter[str] = field(default_factory=Counter)
    bonus: Counter[str] = field(default_factory=Counter)
    debt: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    purchased: Counter[str] = field(default_factory=Counter)
    diamonds: Counter[str] = field(default_factory=Counter)
    host_debt: Counter[str] = field(default_factory=Counter)
    carry: Counter[str] = field(default_factory=Counter)
    day: Counter[str] = field(default_factory=Counter)
    totals: Counter[str] = field(default_factory=Counter)

    def join(self, base: str, other: Balances) -> None:
        """Add those of one partition, in whose totals it has no name."""
        for name in _BY_ACCOUNT:
            getattr(self, name).update(getattr(other, name))
        self.totals.update({f"{base} {name.strip()}": coins for name, coins in other.totals.items()})

    def issue(self, base: str, user: str, paid: int, bonus: int) -> int:
        """Coins that were bought or granted. They settle debt first, bonus coins before paid ones; returns how many."""
        settled = min(self.debt[user], paid + bonus)
        self.debt[user] -= settled
        self.coins[user] += paid + bonus - settled
        self.bonus[user] += max(bonus - settled, 0)
        self.purchased[user] += paid
        self._add(base, issued=paid + bonus, taken=settled, debt=-settled)
        return settled

    def take_back(self, base: str, user: str, paid: int, bonus: int, debt: int) -> None:
        """Coins that were taken back, and what became debt; or, below 0, were given back, and settled it."""
        self.debt[user] += debt
        self.coins[user] -= paid + bonus
        self.bonus[user] -= bonus
        self._add(base, taken=paid + bonus, debt=debt)

    def wrong(self, user: str) -> str:
        """What a user can't have, or ''."""
        for what, coins in (
            ("bonus coins", self.bonus[user]),
            ("paid coins", self.coins[user] - self.bonus[user]),
            ("coins of debt", self.debt[user]),
        ):
            if coins < 0:
                return f"{coins} {what}"
        return ""

    def spend(self, base: str, user: str, coins: int) -> int:
        """Bonus coins first; returns what is left."""
        self.coins[user] -= coins
        self.bonus[user] = max(self.bonus[user] - coins, 0)
        self.sent[user] += coins
        self._add(base, spent=coins)
        return self.coins[user]

    def unspend(self, base: str, user: str, paid: int, bonus: int) -> int:
        """What a gift cost comes back, debt first; returns how much of it was settled. What was sent in all stays."""
        settled = min(self.debt[user], paid + bonus)
        self.debt[user] -= settled
        self.coins[user] += paid + bonus - settled
        self.bonus[user] += max(bonus - settled, 0)
        self._add(base, spent=-paid - bonus, taken=settled, debt=-settled)
        return settled

    def claw_back(self, entry: Clawback) -> None:
        """Milli-diamonds that were taken of a host, and what became debt, or, below 0, settled it. Of what was earned
        by day it is the gift's own day's, then that of the newest; a settlement takes of none.
        """
        host = entry.host
        self.diamonds[host] -= entry.diamonds
        self.host_debt[host] += entry.debt
        if entry.gift != SETTLED:
            today = day_of(entry.ts)
            days = {day: self.day[f"{host}/{day}"] for day in range(today - DAYS + 1, today + 1)}
            for day, taken in days_taken(days, entry.day, entry.diamonds).items():
                self.day[f"{host}/{day}"] -= taken

    def earn(self, host: str, coins: int, rate: tuple[int, int], ts: int) -> int:
        """Milli-diamonds for coins, at a rate (numerator, denominator) and a time in ms; the remainder is carried.
        Returns how many.
        """
        account = f"{host}/{rate[1]}"
        diamonds, self.carry[account] = diamonds_for(coins, rate, self.carry[account])
        self.diamonds[host] += diamonds
        self.day[f"{host}/{day_of(ts)}"] += diamonds
        return diamonds

    def pay_out(self, host: str, diamonds: int) -> int:
        """Milli-diamonds that leave for a payout; or, below 0, come back. Returns what is left."""
        self.diamonds[host] -= diamonds
        return self.diamonds[host]

    def _add(self, base: str, **changes: int) -> None:
        for name, coins in changes.items():
            self.totals[f"{base} {name}"] += coins

    def sum(self, name: str) -> int:
        """A total, over all partitions."""
        return sum(value for key, value in self.totals.items() if key.endswith(f" {name}"))


_BY_ACCOUNT: Final = tuple(one.name for one in fields(Balances) if one.name != "totals")


def compare(keys: Keys, told: Balances, kept: Balances, days_since: Mapping[str, int], findings: Findings) -> None:
    """Hold what Redis has kept against what the ledger has told; of days since a partition's first."""
    accounted = _account_for(keys, told, kept, findings)

    def shakes(tag: str) -> tuple[str, ...]:
        return () if tag in accounted else (about.CONSERVATION,)

    differ = findings.differ
    differ("totals_differ", "coins", told.totals, kept.totals, _of_totals, lambda name: shakes(_of_totals(name)))
    differ("balance_differs", "coins", told.coins, kept.coins, about.wallet, lambda user: shakes(about.wallet(user)))
    _compare_accounts(told, kept, findings)
    differ("diamonds_differ", "milli-diamonds", told.diamonds, kept.diamonds, about.earnings)
    differ("diamonds_differ", "milli-diamonds of debt", told.host_debt, kept.host_debt, about.earnings)
    differ("carry_differs", "remainder", told.carry, kept.carry, _of_carry)
    _compare_days(keys, told, kept, days_since, findings)
    _check_range(kept.coins, about.wallet, findings)
    _check_range(kept.diamonds, about.earnings, findings)
    _check_range(kept.host_debt, about.earnings, findings)
    _check_range(kept.carry, _of_carry, findings)
    _check_range(kept.day, _of_carry, findings)
    _check_range(kept.totals, _of_totals, findings)
    issued, spent, taken, here = kept.sum(ISSUED), kept.sum(SPENT), kept.sum(TAKEN), kept.coins.total()
    if issued != here + spent + taken:
        sentence = f"{issued} coins issued, but {here} in wallets, {spent} spent and {taken} taken back."
        findings.found("conservation_broken", sentence, about.CONSERVATION)
    owed, owing = kept.sum(DEBT), kept.debt.total()
    if owed != owing:
        findings.found("conservation_broken", f"{owed} coins of debt, but users owe {owing}.", about.CONSERVATION)


def _compare_accounts(told: Balances, kept: Balances, findings: Findings) -> None:
    """What is kept beside a balance. What was spent before it was kept is in no record: there may be less."""
    findings.differ("account_differs", "bonus coins", told.bonus, kept.bonus, about.wallet)
    findings.differ("account_differs", "debt", told.debt, kept.debt, about.wallet)
    findings.differ("account_differs", "coins bought", told.purchased, kept.purchased, about.wallet)
    for user, sent in kept.sent.items():
        if sent > told.sent[user]:
            sentence = f"{user} has spent {told.sent[user]} coins by the ledger, Redis has {sent}."
            findings.found("account_differs", sentence, about.wallet(user))


def _compare_days(
    keys: Keys, told: Balances, kept: Balances, days_since: Mapping[str, int], findings: Findings
) -> None:
    """What was earned by day. What was before the first day is forgotten, or was not kept yet: some of it may be there,
    and no more than was earned. Where nobody has noted that day, it is the one after the oldest that is kept.
    """
    oldest: dict[str, int] = {}
    for name in kept.day:
        host, _, day = name.rpartition("/")
        base = keys.base(host)
        oldest[base] = min(oldest.get(base, int(day)), int(day))
    for name in sorted(told.day.keys() | kept.day.keys()):
        host, _, day = name.rpartition("/")
        base = keys.base(host)
        exact = int(day) >= days_since.get(base, oldest.get(base, int(day)) + 1)
        if kept.day[name] > told.day[name] or (exact and kept.day[name] != told.day[name]):
            sentence = f"{host} earned {told.day[name]} on day {day} by the ledger, Redis has {kept.day[name]}."
            findings.found("diamonds_differ", sentence, about.earnings(host))


def _account_for(keys: Keys, told: Balances, kept: Balances, findings: Findings) -> set[str]:
    """Where wallets and totals differ alike, it is the ledger that does not tell of it. Returns tags of what does."""
    wallets: dict[str, dict[str, int]] = {}
    for user in told.coins.keys() | kept.coins.keys():
        if more := kept.coins[user] - told.coins[user]:
            wallets.setdefault(keys.base(user), {})[user] = more
    accounted: set[str] = set()
    for base, changes in wallets.items():
        names = (f"{base} {name}" for name in (ISSUED, SPENT, TAKEN))
        issued, spent, taken = (kept.totals[name] - told.totals[name] for name in names)
        users = _accounted(changes, issued - spent - taken) if issued or spent or taken else []
        if users:
            shown = ", ".join(f"{user} {changes[user]:+}" for user in sorted(users)[:NAMED_MAX])
            lacks = f"{issued:+} coins issued, {spent:+} spent and {taken:+} taken back"
            sentence = f"{base}:ledger lacks {lacks}, which wallets show: {shown}."
            tags = {about.totals(base), *map(about.wallet, users)}
            findings.found("ledger_incomplete", sentence, about.stream(base), shakes=tags)
            accounted |= tags
    return accounted


def _accounted(changes: Mapping[str, int], net: int) -> list[str]:
    """The users whose wallets changed by what the totals say: one of them, else all together, else nobody."""
    alone = [user for user, more in changes.items() if more == net]
    if alone:
        return alone[:1]
    return list(changes) if sum(changes.values()) == net else []


def _check_range(book: Mapping[str, int], tag: Callable[[str], str], findings: Findings) -> None:
    for key, value in book.items():
        if value < 0:
            findings.found("negative_balance", f"{key} has {value}.", tag(key))
        elif value > MAX_AMOUNT:
            findings.found("amount_too_large", f"{key} has {value}.", tag(key))


def _of_totals(name: str) -> str:
    return about.totals(name.rpartition(" ")[0])


def _of_carry(account: str) -> str:
    return about.earnings(account.rpartition("/")[0])
