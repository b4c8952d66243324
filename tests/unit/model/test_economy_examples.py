"""The files that docs/economy.md shows are files that a server takes."""

from __future__ import annotations

import re

from gifting.model.prices import parse_prices
from gifting.model.promotions import Buyer
from gifting.model.quote import quote
from gifting.model.regions import load_regions, parse_regions
from tests.support.paths import ROOT

SHOWN = re.findall(r"```toml\n# ([\w-]+\.toml)\n(.*?)```", (ROOT / "docs" / "economy.md").read_text(), re.DOTALL)


def test_the_prices_that_are_shown() -> None:
    (text,) = [text for name, text in SHOWN if name == "prices.toml"]
    prices = parse_prices(text, "prices.toml", load_regions().ids)
    begins, _ = prices.promotions["welcome"].window()
    bought = quote(prices, "US", "", "web", begins, Buyer(first=True), package="large")
    assert (bought.coins, bought.bonus, bought.price, bought.promotion) == (1000, 100, 1099, "welcome")
    assert prices.worth(100, "USD") == 149


def test_the_regions_that_are_shown() -> None:
    (text,) = [text for name, text in SHOWN if name == "regions.toml"]
    regions = parse_regions(text, "regions.toml")
    assert regions.of("DE").caps_at(20).day_cap == 30_000
    assert not regions.of("CU").allowed
