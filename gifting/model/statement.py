"""A creator's statement: what a month or a year began with, what came and went, and what it ended with. Pure.

It ties: the opening and all that moved are the closing, of the balance and of the debt alike. All is in milli-diamonds,
but ``money``: minor units. Times are ms since 1970, days and months UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from gifting.model.calendar import DAY_MS
from gifting.model.money import BASIS
from gifting.model.payout_times import as_of, since
from gifting.model.payouts import Payout, state
from gifting.model.periods import FIRST_PERIOD, ends, following, month_of, parse_period, preceding, show_period, starts

What = Literal["opening", "earned", "taken_back", "settled", "paid_out", "returned", "closing"]

PERIOD: Final = r"\A[0-9]{4}(?:-(?:0[1-9]|1[0-2]))?\Z"
"""A month of UTC as ``2026-11``, a year as ``2026``."""


class Period(NamedTuple):
    """The months from ``first`` to ``last`` (YYYYMM), which are one or a year; ``name`` is as it was asked for."""

    name: str
    first: int
    last: int

    @property
    def before(self) -> int:
        """The month before it."""
        return preceding(self.first)

    @property
    def starts(self) -> int:
        return starts(self.first)

    @property
    def ends(self) -> int:
        return ends(self.last)

    def months(self, now: int) -> list[Period]:
        """Its months, one each: the first, and those after it that have begun by now (ms)."""
        last, month = min(self.last, max(month_of(now), self.first)), self.first
        found = []
        while month <= last:
            found.append(Period(show_period(month), month, month))
            month = following(month)
        return found

    def begins(self, at: int) -> int:
        """When the day of a month began that a time is in, or the month of a year. What was entered late, or ahead, is
        of the first or the last.
        """
        at = min(max(at, self.starts), self.ends - 1)
        return at // DAY_MS * DAY_MS if self.first == self.last else starts(month_of(at))


def read_period(text: str) -> Period:
    """Raises ValueError."""
    if re.match(PERIOD, text) is None or text < f"{FIRST_PERIOD // 100}" or text[:4] == "9999":
        raise ValueError(f"{text[:20]!r} is no month, as 2026-11 is one, and no year, as 2026 is one")
    if len(text) == 4:
        return Period(text, int(text) * 100 + 1, int(text) * 100 + 12)
    month = parse_period(text)
    return Period(text, month, month)


class Standing(NamedTuple):
    """What is there, and what is owed."""

    diamonds: int = 0
    debt: int = 0


class Movement(NamedTuple):
    """Entries of a day that are alike; the numbers are as in the ledger. ``settles``: nothing was taken back, but what
    was owed was settled. ``payout``: the id of the one it is of, if it is of one.
    """

    ts: int
    kind: str
    settles: bool
    commission: int
    payout: str
    currency: str
    provider: str
    entries: int
    diamonds: int
    debt: int
    borne: int
    money: int

    @property
    def what(self) -> What:
        if self.kind == "credit":
            return "earned"
        if self.kind == "clawback":
            return "settled" if self.settles else "taken_back"
        return "paid_out" if self.diamonds > 0 else "returned"

    @property
    def change(self) -> Standing:
        """What it does to the balance, and to the debt."""
        return Standing(self.diamonds if self.kind == "credit" else -self.diamonds, self.debt)

    @property
    def gross(self) -> int:
        """What was earned before commission, to the nearest: the ledger has what is left after it, and its rate."""
        if self.kind != "credit":
            return 0
        kept = BASIS - self.commission
        return (2 * self.diamonds * BASIS + kept) // (2 * kept)


class Line(Struct):
    """What happened on a day (or, in a year, in a month) that began at ``at``, or with one payout.

    ``diamonds`` and ``debt`` are what it changed the balance and the debt by; of the opening and the closing, what
    these are. ``count`` entries. Of what was earned, ``gross`` less ``commission`` are the diamonds. Of what reversed
    gifts took, ``debt`` was not there any more, and the platform has ``borne`` what it takes of nobody. ``money`` of a
    payout is in minor units, below 0 where it came back; ``state`` is how far it had come at the end of the period,
    since ``since``.
    """

    what: What
    at: int
    count: int = 0
    gross: int = 0
    commission: int = 0
    diamonds: int = 0
    debt: int = 0
    borne: int = 0
    money: int = 0
    currency: str = ""
    provider: str = ""
    payout: str = ""
    state: str = ""
    since: int = 0


@dataclass(frozen=True, slots=True)
class Statement:
    """``lines`` begin with the opening and end with the closing. ``so_far``: the period is not over at ``until``."""

    creator: str
    period: Period
    until: int
    so_far: bool
    lines: list[Line]

    @property
    def opening(self) -> Line:
        return self.lines[0]

    @property
    def closing(self) -> Line:
        return self.lines[-1]

    def total(self, *what: What) -> Line:
        """All lines of some kinds, as one."""
        found = Line(what[0], self.until)
        for line in self.lines:
            if line.what in what:
                _add(found, line)
        return found


_NUMBERS: Final = ("count", "gross", "commission", "diamonds", "debt", "borne", "money")

_TOLD: Final = ("currency", "provider", "payout", "state", "since")

_ORDER: Final[tuple[What, ...]] = ("earned", "taken_back", "settled", "paid_out", "returned")


def make_statement(
    creator: str,
    period: Period,
    opening: Standing,
    movements: Iterable[Movement],
    payouts: Mapping[str, Payout],
    now: int,
) -> Statement:
    """A creator's statement as of ``now`` (ms); once the period is over, the same for ever.

    Args:
        opening: what the creator had when the period began.
        movements: what the ledger has of the period.
        payouts: the creator's, by id, as they stand.
    """
    until_ms = min(now, period.ends)
    moved: dict[tuple[int, int, str], Line] = {}
    closing = Line("closing", until_ms, diamonds=opening.diamonds, debt=opening.debt)
    for movement in movements:
        line = _line(movement, period, payouts, until_ms)
        _add(moved.setdefault((_ORDER.index(line.what), line.at, line.payout), Line(line.what, line.at)), line)
        closing.diamonds += line.diamonds
        closing.debt += line.debt
    first = Line("opening", period.starts, diamonds=opening.diamonds, debt=opening.debt)
    lines = [first, *(moved[place] for place in sorted(moved)), closing]
    return Statement(creator, period, until_ms, now < period.ends, lines)


def _line(movement: Movement, period: Period, payouts: Mapping[str, Payout], until_ms: int) -> Line:
    diamonds, debt = movement.change
    line = Line(
        movement.what,
        movement.ts if movement.payout else period.begins(movement.ts),
        count=movement.entries,
        gross=movement.gross,
        commission=movement.gross - movement.diamonds if movement.kind == "credit" else 0,
        diamonds=diamonds,
        debt=debt,
        borne=movement.borne,
        money=movement.money,
        currency=movement.currency,
        provider=movement.provider,
        payout=movement.payout,
    )
    if known := payouts.get(movement.payout):
        then = as_of(known, until_ms)
        line.state, line.since = state(then), since(then)
    return line


def _add(line: Line, other: Line) -> None:
    """Numbers are added, and what is told of a payout is taken."""
    for name in _NUMBERS:
        setattr(line, name, getattr(line, name) + getattr(other, name))
    for name in _TOLD:
        setattr(line, name, getattr(line, name) or getattr(other, name))
