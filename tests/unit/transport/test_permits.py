"""Who may give and buy: what the platform vouches for, held against the regions and the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gifting import errors
from gifting.config import load
from gifting.ledger.status import Status, refusal, status_of
from gifting.model.currencies import Money
from gifting.model.standing import UNKNOWN, Standing
from gifting.rulebook import Rulebook
from gifting.transport.permits import KNOWN_MAX, Permits

REGIONS = """
[[region]]
id = "KR"
min_age = 19
terms = "None."
gift_cap_is = 0
[[region]]
id = "GB"
guardian_age = 16
min_age = 18
terms = "None."
[[region]]
id = "XX"
allowed = false
terms = "None."
[[region]]
id = "other"
min_age = {age}
terms = "None."
confirm_above = 500
velocity_burst = 100
velocity_rate = 10
[[region.caps]]
from_age = 0
gift_cap = 50
day_cap = 100
[[region.caps]]
from_age = 21
""".replace("gift_cap_is = 0\n", "")
PRICES = """
[[package]]
id = "p"
coins = 100
[[market]]
regions = ["KR"]
currency = "KRW"
tier = "web"
prices = {{ p = 1500 }}
"""


class Book:
    def __init__(self, folder: Path, **flags: Any) -> None:
        self.files = {name: folder / f"{name}.toml" for name in ("regions", "prices")}
        self.write(18)
        settings = load(flags | {name: str(path) for name, path in self.files.items()}, {})
        self.rulebook = Rulebook(settings)
        self.permits = Permits(settings, self.rulebook)

    def write(self, age: int) -> None:
        self.files["regions"].write_text(REGIONS.replace("{age}", str(age)))
        self.files["prices"].write_text(PRICES.replace("{{", "{").replace("}}", "}"))

    def refusal(self, standing: Standing) -> str:
        """The code of what those are told of all gifts who have no guardian."""
        terms = self.permits.terms(standing)
        return refusal(terms.barred, 0, terms.min_age).code if terms.barred else ""


@pytest.mark.parametrize(
    ("standing", "code"),
    [
        (Standing(30, "US"), ""),
        (Standing(18), ""),
        (Standing(17), "age_required"),
        (UNKNOWN, "age_required"),
        (Standing(18, "KR"), "age_required"),
        (Standing(19, "KR"), ""),
        (Standing(99, "XX"), "region_not_allowed"),
        (Standing(30, "US", "business"), "account_not_allowed"),
        (Standing(17, "US", "business"), "age_required"),
        (Standing(30, "US", "club"), ""),
    ],
)
def test_who_may(tmp_path: Path, standing: Standing, code: str) -> None:
    book = Book(tmp_path, gifting_accounts="personal, club")
    assert [book.refusal(standing) for _ in range(2)] == [code] * 2


def test_without_the_check_an_unknown_age_will_do_and_a_known_one_must_still_be_enough(tmp_path: Path) -> None:
    book = Book(tmp_path, age_check=False)
    found = [book.refusal(one) for one in (UNKNOWN, Standing(17), Standing(18, "KR"), Standing(0, "XX"))]
    assert found == ["", "age_required", "age_required", "region_not_allowed"]
    assert book.permits.terms(UNKNOWN).gift_cap == 50, "the caps are those of the youngest"


def test_the_terms_are_those_of_the_region_and_age(tmp_path: Path) -> None:
    young, old = (Book(tmp_path).permits.terms(Standing(age, "FR")) for age in (18, 21))
    assert (young.age, young.region, young.gift_cap, young.day_cap, young.confirm_above) == (18, "FR", 50, 100, 500)
    assert (old.gift_cap, old.day_cap, old.velocity_burst, old.velocity_rate) == (0, 0, 100, 10)
    assert young.confirm_first
    assert not Book(tmp_path, confirm_first_gift=False).permits.terms(Standing(18)).confirm_first


def test_who_is_too_young_may_on_terms_of_a_guardian_where_the_region_knows_them(tmp_path: Path) -> None:
    book = Book(tmp_path)
    assert [book.permits.terms(Standing(age, "GB")).guarded for age in (16, 17, 18)] == [True, True, False]
    assert [book.refusal(Standing(age, "GB")) for age in (16, 17, 18)] == ["age_required", "age_required", ""]
    for standing in (Standing(15, "GB"), Standing(0, "GB"), Standing(17, "GB", "business"), Standing(17, "FR")):
        assert book.refusal(standing) == "age_required"
        assert not book.permits.terms(standing).guarded


@pytest.mark.parametrize("standing", [Standing(17), Standing(18, "KR"), Standing(99, "XX"), Standing(30, "US", "shop")])
def test_a_gift_is_refused_in_the_words_in_which_a_purchase_is(tmp_path: Path, standing: Standing) -> None:
    book = Book(tmp_path)
    terms, region = book.permits.terms(standing), book.rulebook.rules.regions.of(standing.region)
    told, said = refusal(terms.barred, 0, terms.min_age), region.refusal(standing, frozenset({"personal"}))
    assert said is not None
    assert (type(told), told.message) == (type(said), said.message)


def test_every_reason_is_told_as_itself(tmp_path: Path) -> None:
    assert [status_of(kind()) for kind in (errors.AgeRequired, errors.RegionNotAllowed, errors.AccountNotAllowed)] == [
        Status.AGE_REQUIRED,
        Status.REGION_NOT_ALLOWED,
        Status.ACCOUNT_NOT_ALLOWED,
    ]


async def test_new_regions_hold_at_once(tmp_path: Path) -> None:
    book = Book(tmp_path)
    assert book.refusal(Standing(18)) == ""
    book.write(21)
    assert book.refusal(Standing(18)) == ""
    await book.rulebook.reload()
    assert book.refusal(Standing(18)) == "age_required"


def test_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    kinds = [f"a{number}" for number in range(KNOWN_MAX + 10)]
    book = Book(tmp_path, gifting_accounts=",".join(kinds))
    for kind in kinds:
        assert book.refusal(Standing(30, "US", kind)) == ""
    assert len(book.permits._known) == KNOWN_MAX


def test_the_price_is_in_the_money_of_the_place(tmp_path: Path) -> None:
    permits = Book(tmp_path).permits
    assert permits.price(Standing(30, "KR"), 10) == Money(150, "KRW")
    assert permits.price(Standing(30, "US"), 10) is None, "nothing is sold there"
    assert [str(Money(*of)) for of in ((150, "KRW"), (5, "USD"), (499, "EUR"), (1_234, "KWD"))] == [
        "150 KRW",
        "0.05 USD",
        "4.99 EUR",
        "1.234 KWD",
    ]
