"""A statement on paper: the same bytes for the same statement, every line there, and nothing makes it fail."""

from __future__ import annotations

import sys
import zlib

import pytest

from gifting import errors
from gifting.api import statement_pdf, statements
from gifting.api.statement_pdf import print_statement
from gifting.model.payouts import Payout
from gifting.model.periods import ends, starts
from gifting.model.statement import Movement, Standing, Statement, make_statement, read_period

ASKED = starts(202611) + 86_400_000
PAYOUT = "019ab000-0000-7000-8000-000000000001"


def statement(creator: str = "host", period: str = "2026-11", payouts: int = 1, provider: str = "sandbox") -> Statement:
    made = [
        Movement(ASKED, "credit", False, 2500, "", "", "", 7, 1_234_567, 0, 0, 0),
        Movement(ASKED, "clawback", False, 0, "", "", "", 1, 1000, 50, 20, 0),
        Movement(ASKED, "clawback", True, 0, "", "", "", 1, 50, -50, 0, 0),
    ]
    for number in range(payouts):
        made.append(Movement(ASKED + number, "payout", False, 0, PAYOUT, "USD", provider, 1, 100_000, 0, 0, 550))
        made.append(Movement(ASKED + number + 1, "payout", False, 0, PAYOUT, "USD", provider, 1, -100_000, 0, 0, -550))
    payout = Payout(
        id=PAYOUT,
        host="host",
        digest=b"",
        provider=provider,
        account="a",
        diamonds=100_000,
        amount=550,
        currency="USD",
        created=ASKED,
        sending_at=ASKED,
        returned_at=ASKED + 1,
    )
    return make_statement(creator, read_period(period), Standing(5_000, 0), made, {PAYOUT: payout}, ends(202611) - 1)


def texts(pdf: bytes) -> list[str]:
    """What a PDF's pages print, in order."""
    found = []
    for part in pdf.split(b"stream\n")[1::2]:
        try:
            page = zlib.decompress(part.rpartition(b"\nend")[0])
        except zlib.error:
            continue
        found += [piece.partition(b") Tj")[0].decode("latin-1") for piece in page.split(b"(")[1:]]
    return found


def test_it_says_all_that_the_statement_has() -> None:
    said = texts(print_statement(statement()))
    assert {"Creator: host", "So far: the period is not over."} <= set(said)
    assert said[said.index("At the beginning") :][:3] == ["At the beginning", "5.000", "0.000"]
    assert said[said.index("So far") :][:3] == ["So far", "1,238.517", "0.000"]
    assert said[said.index("earned") :][:6] == ["earned", "7", "1,646.089", "411.522", "1,234.567", "0.000"]
    assert said[said.index(PAYOUT) :][1:5] == ["-100.000", "5.50 USD", "sandbox", "returned 2026-11-02"]
    assert "-5.50 USD" in said


def test_the_same_statement_gives_the_same_bytes() -> None:
    assert print_statement(statement()) == print_statement(statement())
    assert print_statement(statement()) != print_statement(statement(creator="other"))


def test_letters_that_no_font_has_are_told_by_their_codes() -> None:
    said = texts(print_statement(statement(creator="名 é", provider="п")))
    assert "Creator: \\\\u540d é" in said
    assert "\\\\u043f" in said


@pytest.mark.parametrize("period", ["2025", "2026-10", "2027-01"])
def test_one_without_payouts_or_of_a_year(period: str) -> None:
    said = texts(print_statement(statement(period=period, payouts=0)))
    assert PAYOUT not in said
    assert ("By month" in said) is (period == "2025")


def test_of_very_many_payouts_the_newest_are_printed_and_how_many_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_pdf, "PRINTED_MAX", 60)
    said = texts(print_statement(statement(payouts=50)))
    assert said.count(PAYOUT) == 60
    assert said.count("Payout") == 2  # the head, on each page
    assert "40 lines of before these are not printed; the statement as CSV has them." in said


def test_without_the_library_it_is_refused_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fpdf", None)
    monkeypatch.delitem(sys.modules, statement_pdf.__name__)
    with pytest.raises(errors.NoPdf) as refused:
        statements._printed(statement())
    assert "gifting[pdf]" in refused.value.help
