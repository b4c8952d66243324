"""An account as the specification of the ledger keeps it: coins, debt, freezes, and what protects who spends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from msgspec.structs import replace as with_fields

from gifting.ledger.account import Frozen
from gifting.ledger.status import Status
from gifting.model import windows
from gifting.model.money import MAX_AMOUNT
from gifting.model.protection import NOTHING, WINDOWS, Limits, Protection, Window
from gifting.model.terms import Terms

SHARES = (50, 80, 100)
NOT_FROZEN = Frozen(0)
Refusal = tuple[str, int]
"""A code, and what ends it: a time (ms), or how many coins are allowed."""


@dataclass(frozen=True)
class Account:
    """``record`` was rolled at ``at``, and ``since`` coins are spent after that. ``velocity``: when the bucket is full
    again.
    """

    coins: int = 0
    bonus: int = 0
    debt: int = 0
    frozen: Frozen = NOT_FROZEN
    sent: int = 0
    record: Protection = NOTHING
    at: int = 0
    roll_at: int = 0
    since: int = 0
    run_coins: int = 0
    run_last: int = 0
    velocity: int = 0

    def issue(self, bonus: int) -> Account:
        settled = min(self.debt, bonus)
        kept, debt = bonus - settled, self.debt - settled
        frozen = self.frozen if debt else self.frozen & ~Frozen.DEBT
        return replace(self, coins=self.coins + kept, bonus=self.bonus + kept, debt=debt, frozen=frozen)

    def rolled(self, now: int) -> Account:
        """As it is looked at: where its time has come, what was spent long ago has left the windows."""
        return self._rolled(now) if now >= self.roll_at else self

    def _rolled(self, now: int) -> Account:
        record = windows.rolled(self.record, self.since, self.roll_at, now)
        return replace(self, record=record, at=now, roll_at=windows.next_roll(record, now), since=0)

    def put(self, wanted: Protection, now: int) -> Account:
        """Another record, with the spending of this one; who moved has windows that end later, never sooner."""
        rolled = self._rolled(now)
        *ends, day, week, month = rolled.record.calendar
        later = map(max, ends, wanted.calendar[:3])
        record = with_fields(wanted, hours=rolled.record.hours, calendar=(*later, day, week, month))
        return replace(rolled, record=record, roll_at=windows.next_roll(record, now))

    def spent(self, window: Window) -> int:
        return windows.spent_in(self.record, window, self.at) + self.since

    def refusal(self, coins: int, terms: Terms, now: int, window: int) -> Refusal | None:
        return next(self._refusals(coins, terms, now, window), None)

    def _refusals(self, coins: int, terms: Terms, now: int, window: int) -> Iterator[Refusal]:
        if Frozen.BANNED in self.frozen:
            yield "banned", 0
        if self.frozen:
            yield "account_frozen", self.debt
        if now < self.record.until:
            yield "on_break", self.record.until
        if terms.barred and not (terms.guarded and self.record.guardian):
            yield Status(terms.barred).error.code, terms.min_age
        if coins > self.coins:
            yield "insufficient_coins", 0
        yield from self._caps(coins, terms, now, window)
        for code, limits in (("spending_limit", self.record.limits), ("guardian_limit", self.record.guard)):
            yield from self._over(code, limits, coins)
        platform = {"h24": terms.day_cap or MAX_AMOUNT, "d30": terms.month_cap or MAX_AMOUNT}
        yield from self._over("platform_limit", platform, coins)

    def _caps(self, coins: int, terms: Terms, now: int, window: int) -> Iterator[Refusal]:
        burst = terms.velocity_burst if terms.velocity_rate else 0
        gift = least(self.record.caps[0], self.record.guard_caps[0], terms.gift_cap, burst)
        streak = least(self.record.caps[1], self.record.guard_caps[1], terms.streak_cap)
        if coins > gift:
            yield "gift_cap", gift
        if self.run(now, window) + coins > streak:
            yield "streak_cap", streak
        if terms.velocity_rate:
            good_at = self.full_at(coins, terms, now) - ceil_div(1000 * terms.velocity_burst, terms.velocity_rate)
            if good_at > now:
                yield "spending_too_fast", good_at

    def run(self, now: int, window: int) -> int:
        return self.run_coins if now - self.run_last <= window else 0

    def full_at(self, coins: int, terms: Terms, now: int) -> int:
        return max(self.velocity, now) + ceil_div(1000 * coins, terms.velocity_rate)

    def _over(self, code: str, limits: Limits, coins: int) -> Iterator[Refusal]:
        passed = [window for window in WINDOWS if self.spent(window) + coins > limits.get(window, MAX_AMOUNT)]
        if passed:
            ends = [self._frees_at(window, limits, coins) for window in passed]
            yield code, max(ends) if all(ends) else 0

    def _frees_at(self, window: Window, limits: Limits, coins: int) -> int:
        """By the record as it would be, were it rolled again in this hour."""
        last = self.roll_at - 1
        record = windows.rolled(self.record, self.since, self.roll_at, last)
        return windows.frees_at(with_fields(record, limits=limits, guard={}), window, last, coins)

    def unasked(self, coins: int, terms: Terms) -> Refusal | None:
        above = least(self.record.caps[2], self.record.guard_caps[2], terms.confirm_above)
        if coins > above:
            return "confirm_required", above
        return ("confirm_required", 0) if terms.confirm_first and not self.sent else None

    def take(self, coins: int, terms: Terms, now: int, window: int) -> Account:
        return replace(
            self,
            coins=self.coins - coins,
            bonus=max(self.bonus - coins, 0),
            sent=self.sent + coins,
            since=self.since + coins,
            run_coins=self.run(now, window) + coins,
            run_last=max(self.run_last, now),
            velocity=self.full_at(coins, terms, now) if terms.velocity_rate else self.velocity,
        )

    def notice(self, before: Account) -> int:
        """The highest share of a limit that is spent now and was not ``before``, in percent."""
        passed = [0]
        for window in WINDOWS:
            limit = windows.limit_of(self.record, window)
            marks = ((share, ceil_div(limit * share, 100)) for share in SHARES if limit < MAX_AMOUNT)
            passed += [share for share, mark in marks if before.spent(window) < mark <= self.spent(window)]
        return max(passed)


def least(*limits: int) -> int:
    """Of which 0 is none."""
    return min((limit for limit in limits if limit), default=MAX_AMOUNT)


def ceil_div(number: int, by: int) -> int:
    return -(-number // by)
