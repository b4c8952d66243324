"""A region's cap on what is paid for coins: it rolls, counts what may still be paid, and is told when it ends."""

from __future__ import annotations

import pytest

from gifting.errors import BadRegions
from gifting.model.charging import DAY, MONTH, cap_refusal, purchase_caps
from gifting.model.currencies import Money
from gifting.model.orders import Order
from gifting.model.prices import parse_prices
from gifting.model.regions import Region, load_regions, parse_regions

NOW = 1_800_000_000_000
KOREA = Region(id="KR", terms="Seven days.", purchase_currency="KRW", purchase_day=1000, purchase_month=1500)
PRICES = parse_prices(
    """
[[package]]
id = "one"
coins = 100
[[market]]
regions = ["KR"]
currency = "KRW"
tier = "web"
prices = { one = 300 }
[[market]]
regions = ["KR"]
currency = "USD"
tier = "web"
prices = { one = 20 }
""",
    "prices",
    {"KR"},
)


def order(price: int, at: int, currency: str = "KRW") -> Order:
    what = {"digest": b"", "provider": "sandbox", "region": "KR", "coins": 100}
    return Order(id=f"{at}", user="ann", price=price, currency=currency, created=at, expires=at + 1, **what)  # type: ignore[arg-type]


def refused(price: int, *orders: Order, now: int = NOW, currency: str = "KRW") -> int | None:
    """When the refusal ends; None for none."""
    found = cap_refusal(KOREA, PRICES, now, Money(price, currency), 100, orders)
    return None if found is None else found.until


def test_a_day_rolls_and_is_not_reset_at_midnight() -> None:
    first = order(600, NOW - 1)
    assert refused(400, first) is None
    assert refused(401, first) == NOW - 1 + DAY
    assert refused(401, first, now=NOW + DAY - 2) == NOW + DAY - 1, "until then, not until midnight"
    assert refused(401, first, now=NOW + DAY - 1) is None


def test_it_ends_when_enough_has_left_the_window() -> None:
    three = [order(300, NOW - at) for at in (3, 2, 1)]
    assert refused(400, *three) == NOW - 3 + DAY
    assert refused(401, *three) == NOW - 2 + DAY
    assert refused(1000, *three) == NOW - 1 + DAY
    assert refused(1001) == 0, "so much is never let through"


def test_a_month_rolls_too() -> None:
    old = [order(1000, NOW - 2 * DAY), order(200, NOW - DAY)]
    assert refused(300, *old) is None
    assert refused(301, *old) == NOW - 2 * DAY + MONTH


def test_another_currency_is_no_way_around_it() -> None:
    assert refused(20, order(700, NOW - 1), currency="USD") is None, "100 coins cost 300 won"
    assert refused(20, order(701, NOW - 1), currency="USD") is not None
    assert refused(701, order(20, NOW - 1, "USD")) is not None


def test_what_comes_of_a_clock_that_went_back_counts() -> None:
    assert refused(401, order(600, NOW + 5)) == NOW + 5 + DAY


def test_korea_has_a_million_won_a_day_and_most_have_none() -> None:
    regions = load_regions()
    assert list(purchase_caps(regions.of("KR"))) == [(DAY, 1_000_000)]
    assert list(purchase_caps(regions.of("US"))) == []


@pytest.mark.parametrize(
    "said", ["purchase_day = 5", 'purchase_currency = "KRW"', 'purchase_currency = "XXX"\npurchase_day = 1']
)
def test_a_currency_goes_with_it(said: str) -> None:
    with pytest.raises(BadRegions, match="purchase_currency"):
        parse_regions(f'[[region]]\nid = "other"\nterms = "None."\n{said}\n', "regions.toml")
