"""A creator's statement on paper: A4, as PDF. Imports fpdf2, so nobody imports this before one is asked for.

The same statement gives the same bytes. PDF's own fonts are used, so what is no Latin-1 is printed by its code, as
``\\u4e2d``; ids and what providers are called have none such.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from fpdf import FPDF
from fpdf.enums import Align, XPos, YPos

from gifting.model.currencies import EXPONENTS, Money
from gifting.model.statement import Line, Statement

PRINTED_MAX: Final = 1000
"""Lines that are printed at most: with more, the newest are, and what is missing is said."""

WHAT: Final = {
    "earned": "earned",
    "taken_back": "taken back by reversed gifts",
    "settled": "debt settled",
    "paid_out": "paid out",
    "returned": "come back",
}

Column = tuple[str, float, bool]
"""What its head says, its width in mm, and whether it has numbers."""

SUMS: Final[tuple[Column, ...]] = (("", 90, False), ("Diamonds", 45, True), ("Debt", 45, True))
DAYS: Final[tuple[Column, ...]] = (
    ("", 22, False),
    ("", 50, False),
    ("Entries", 15, True),
    ("Gross", 24, True),
    ("Commission", 23, True),
    ("Diamonds", 25, True),
    ("Debt", 21, True),
)
PAYOUTS: Final[tuple[Column, ...]] = (
    ("Asked for, or back", 28, False),
    ("Payout", 62, False),
    ("Diamonds", 23, True),
    ("Money", 25, True),
    ("By", 14, False),
    ("State", 28, False),
)

Row = tuple[str, ...]


def print_statement(of: Statement) -> bytes:
    """All of it, but for what is beyond :data:`PRINTED_MAX`."""
    pdf = FPDF(format="A4")
    pdf.set_title(f"Statement of {of.creator}, {of.period.name}")
    pdf.set_creation_date(datetime.fromtimestamp(of.until / 1000, UTC))
    pdf.set_margin(15)
    pdf.add_page()
    _head(pdf, of)
    _table(pdf, "All of it", SUMS, _sums(of))
    days = [line for line in of.lines[1:-1] if not line.payout]
    _table(pdf, "By day" if of.period.first == of.period.last else "By month", DAYS, map(_of_day, days[-PRINTED_MAX:]))
    payouts = sorted((line for line in of.lines if line.payout), key=lambda line: line.at)
    _table(pdf, "Payouts", PAYOUTS, map(_of_payout, payouts[-PRINTED_MAX:]))
    if more := max(len(days) - PRINTED_MAX, 0) + max(len(payouts) - PRINTED_MAX, 0):
        _say(pdf, f"{more} lines of before these are not printed; the statement as CSV has them.")
    return bytes(pdf.output())


def _head(pdf: FPDF, of: Statement) -> None:
    pdf.set_font("helvetica", "B", 16)
    _say(pdf, "Statement")
    pdf.set_font("helvetica", "", 10)
    _say(pdf, f"Creator: {of.creator}")
    _say(pdf, f"Period: {of.period.name}, from {_time(of.period.starts)} to {_time(of.until)} (UTC)")
    if of.so_far:
        pdf.set_font("helvetica", "B", 10)
        _say(pdf, "So far: the period is not over.")


def _sums(of: Statement) -> list[Row]:
    earned, taken = of.total("earned"), of.total("taken_back")
    rows = [("At the beginning", of.opening), *((WHAT[what].capitalize(), of.total(what)) for what in _MOVES)]
    sums: list[Row] = [(name, _diamonds(line.diamonds), _diamonds(line.debt)) for name, line in rows]
    sums.append(("At the end" if not of.so_far else "So far", *map(_diamonds, (of.closing.diamonds, of.closing.debt))))
    sums.append(("Earned before commission", _diamonds(earned.gross), ""))
    sums.append(("Commission", _diamonds(earned.commission), ""))
    if taken.borne:
        sums.append(("Borne by the platform", _diamonds(taken.borne), ""))
    return sums


_MOVES: Final = ("earned", "taken_back", "settled", "paid_out", "returned")


def _of_day(line: Line) -> Row:
    numbers = (line.gross, line.commission, line.diamonds, line.debt)
    return _day(line.at), WHAT[line.what], str(line.count), *map(_diamonds, numbers)


def _of_payout(line: Line) -> Row:
    state = f"{line.state} {_day(line.since)}" if line.state else ""
    numbers = _diamonds(line.diamonds), _money(line.money, line.currency)
    return _time(line.at), line.payout, *numbers, line.provider, state


def _table(pdf: FPDF, title: str, columns: tuple[Column, ...], rows: Iterable[Row]) -> None:
    """Rows under a head, which each page repeats; nothing where there are none."""
    head = True
    for number, row in enumerate(rows):
        if not number:
            pdf.ln(4)
            pdf.set_font("helvetica", "B", 11)
            _say(pdf, title)
        if head or pdf.will_page_break(_HEIGHT):
            pdf.set_font("helvetica", "B", 8)
            _cells(pdf, columns, [name for name, _, _ in columns])
            pdf.set_font("helvetica", "", 8)
            head = False
        _cells(pdf, columns, row)


_HEIGHT: Final = 5.0
"""mm of a row."""


def _cells(pdf: FPDF, columns: tuple[Column, ...], texts: Iterable[str]) -> None:
    for (_, width, is_number), text in zip(columns, texts, strict=True):
        align = Align.R if is_number else Align.L
        pdf.cell(width, _HEIGHT, _plain(text), border="B", align=align, new_x=XPos.RIGHT, new_y=YPos.TOP)
    pdf.ln(_HEIGHT)


def _say(pdf: FPDF, text: str) -> None:
    pdf.cell(0, 6, _plain(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _plain(text: str) -> str:
    return text.encode("latin-1", "backslashreplace").decode("latin-1")


def _diamonds(milli: int) -> str:
    """Milli-diamonds as diamonds: 1,234.567."""
    whole, rest = divmod(abs(milli), 1000)
    return f"{'-' if milli < 0 else ''}{whole:,}.{rest:03}"


def _money(amount: int, currency: str) -> str:
    if currency not in EXPONENTS:
        return f"{amount} {currency}"
    return f"{'-' if amount < 0 else ''}{Money(abs(amount), currency)}"


def _day(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d}"


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"
