"""What creators get: the file of the package, what is wrong in another and where, and what diamonds are worth."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from gifting import config, errors
from gifting.model.creators import PayoutTerms, load_creators, parse_creators
from gifting.rulebook import Rulebook

PAYOUT = '[payout]\ncurrency = "USD"\nmicros_per_diamond = 10_000\nminimum = 5000\n'
TIER = '[[tier]]\nid = "standard"\nhold_days = 120\n'
FILE = PAYOUT + TIER


def test_the_terms_of_the_package() -> None:
    creators = load_creators()
    assert creators.payout.daily_maximum == 1_000_00
    assert (creators.usual.id, creators.usual.commission) == ("standard", 0)
    assert creators.days == 180
    assert not list(creators.cautions())


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (TIER, r"line 1: there is no \[payout\]"),
        (PAYOUT, r"line 1: there is no \[\[tier\]\]"),
        (FILE + "[rules]\n", "line 8: 'rules' means nothing"),
        (FILE.replace("USD", "XXX"), "line 2: 'XXX' is no currency"),
        (FILE.replace("10_000", "0"), "line 3: "),
        (FILE.replace("10_000", "0.5"), "line 3: "),
        (FILE.replace("5000", "100001"), "line 1: it is below the minimum"),
        (FILE.replace("standard", "a b"), "line 6: "),
        (FILE.replace("120", "401"), "line 7: "),
        (FILE.replace("hold_days = 120", ""), "line 5: .*hold_days"),
        (FILE + TIER, "line 9: the id 'standard' is there twice"),
        (FILE + "commission = 10_000\n", "line 8: "),
        (FILE + "commission = -1\n", "line 8: "),
        (FILE + "reserve_bps = 100\n", "line 8: it goes with reserve_days"),
        (FILE + "reserve_days = 180\n", "line 5: it goes with reserve_days"),
        (FILE + "reserve_bps = 100\nreserve_days = 120\n", "line 9: they are over before the hold is"),
        (FILE + "colour = 1\n", "line 8: "),
    ],
)
def test_what_is_wrong_in_terms_and_where(text: str, where: str) -> None:
    with pytest.raises(errors.BadCreators, match=f"^bad_creators: creators.toml.*{where}"):
        parse_creators(text, "creators.toml")


def test_who_is_in_no_tier_or_in_one_that_is_gone_has_the_first() -> None:
    creators = parse_creators(FILE + TIER.replace("standard", "gold"), "")
    assert [creators.of(tier).id for tier in ("", "gold", "old")] == ["standard", "gold", "standard"]
    with pytest.raises(errors.UnknownTier):
        creators["old"]


@pytest.mark.parametrize(
    ("currency", "diamonds", "money"),
    [("USD", 100_000, 100), ("USD", 100_999, 100), ("USD", 999, 0), ("JPY", 100_000, 1), ("KWD", 100_000, 1000)],
)
def test_diamonds_are_worth_money_in_minor_units_rounded_down(currency: str, diamonds: int, money: int) -> None:
    terms = PayoutTerms(currency=currency, micros_per_diamond=10_000, minimum=1)
    assert terms.money(diamonds) == money


async def test_a_hold_that_is_shorter_than_payments_are_disputed_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "creators.toml"
    path.write_text(FILE)
    rulebook = Rulebook(config.load({"creators": str(path)}, environ={}))
    assert "disputed" not in caplog.text
    path.write_text(FILE + TIER.replace("standard", "fast").replace("120", "119"))
    await rulebook.reload()
    assert "tier 'fast' holds earnings for 119 days" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        Rulebook(config.load({"creators": str(path)}, environ={}))
    assert "tier 'fast' holds earnings for 119 days" in caplog.text
