"""What coins cost, over HTTP: by region, currency and tier, with promotions, terms and the price of gifts in money."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from gifting import errors
from gifting.model.catalog import load_catalog
from gifting.model.prices import load_prices
from gifting.model.regions import load_regions
from tests.support.keys import session_keys
from tests.support.server import Server

CLOSED = '[[region]]\nid = "CU"\nallowed = false\nterms = "Not offered."\n'
PROMOTION = """
[[promotion]]
id = "{id}"
name = "{id} of the year"
begins = {begins:%Y-%m-%dT%H:%M:%SZ}
ends = {ends:%Y-%m-%dT%H:%M:%SZ}
{more}
"""


def promotion(id: str, more: str, begins: float = -3600, ends: float = 3600) -> str:
    """One that runs from ``begins`` until ``ends``, in seconds from now."""
    at = (datetime.fromtimestamp(round(time.time()) + shift, UTC) for shift in (begins, ends))
    return PROMOTION.format(id=id, more=more, begins=next(at), ends=next(at))


def packaged(name: str) -> str:
    return Path(load_catalog.__code__.co_filename).with_name(name).read_text()


@pytest.fixture
async def server(tmp_path: Path, redis_url: str, redis_client: Any) -> AsyncIterator[Server]:
    prices, regions = tmp_path / "prices.toml", tmp_path / "regions.toml"
    regions.write_text(packaged("regions.toml") + "\n" + CLOSED)
    prices.write_text(
        packaged("prices.toml")
        + promotion("first", "first_only = true\nbonus_percent = 10\nper_user = 70")
        + promotion("sale", 'discount_percent = 20\npackages = ["coins-350"]\nregions = ["US"]')
        + promotion("scarce", 'bonus_coins = 50\ntotal = 100\nregions = ["JP"]')
        + promotion("over", "bonus_coins = 9", ends=-60)
        + promotion("later", "bonus_coins = 9", begins=60)
    )
    async with Server(tmp_path / "data", redis_url, prices=prices, regions=regions, providers="sandbox") as running:
        yield running


async def ask(server: Server, **query: str) -> Any:
    return await server.operator.call("GET", f"/v1/packages?{urlencode(query)}")


async def test_what_is_sold_and_what_gifts_cost(server: Server) -> None:
    prices, regions = load_prices("", load_regions().ids), load_regions()
    for query, region, currency, exponent in (
        ({"region": "DE", "currency": "EUR"}, "EU", "EUR", 2),
        ({"region": "EU"}, "EU", "EUR", 2),
        ({"region": "KR"}, "KR", "KRW", 0),
        ({"region": "CH"}, "other", "USD", 2),
        ({}, "other", "USD", 2),
    ):
        said = await ask(server, **query)
        market = prices.market(region)
        assert (said["region"], said["currency"], said["exponent"], said["tier"]) == (region, currency, exponent, "web")
        sold = [{name: one[name] for name in ("id", "coins", "price")} for one in said["packages"]]
        assert sold == [
            {"id": one.id, "coins": one.coins, "price": price}
            for one, price in zip(market.packages, market.prices, strict=True)
        ]
        about = regions.of(region)
        assert (said["min_age"], said["withdrawal_days"], said["terms"]) == (
            about.min_age, about.withdrawal_days, about.terms
        )  # fmt: skip
        assert said["gifts"] == [
            {"gift": gift.id, "coins": gift.coins, "price": prices.worth(gift.coins, currency)}
            for gift in load_catalog()
        ]
        assert said["providers"] == ["sandbox"]
        assert said["custom"] == {"least": 20, "most": 100_000}


async def test_a_store_has_its_own_prices_and_no_free_number_of_coins(server: Server) -> None:
    web, store = [await ask(server, region="US", tier=tier) for tier in ("web", "store")]
    assert "custom" not in store
    assert store["providers"] == []
    assert all(one["price"] < other["price"] for one, other in zip(web["packages"], store["packages"], strict=True))
    assert store["packages"][0]["apple"] == "coins.20"
    assert store["gifts"] == web["gifts"], "the dearest price counts, wherever it is asked"


async def test_what_no_provider_takes_is_not_offered(tmp_path: Path, redis_url: str) -> None:
    """Stripe takes nothing below 0.50 USD, so no 20 coins for 0.24."""
    pytest.importorskip("stripe", reason="the extra stripe is not installed")
    running = Server(tmp_path / "data", redis_url, providers="stripe")
    running.env |= {"GIFTING_STRIPE_KEY": "sk_test_1", "GIFTING_STRIPE_WEBHOOK_SECRETS": "whsec_1"}
    async with running as server:
        said = await ask(server, region="US")
        assert [one["coins"] for one in said["packages"]][:2] == [70, 350]
        assert said["packages"][0]["providers"] == ["stripe"]
        market = load_prices("", load_regions().ids).market("US")
        least = said["custom"]["least"]
        assert market.price(least) >= 50 > market.price(least - 1)


async def test_a_regions_cap_on_purchases_is_told(server: Server) -> None:
    for region, cap in (("KR", ("KRW", 1_000_000, 0)), ("US", ("", 0, 0))):
        said = await ask(server, region=region)
        assert (said["purchase_currency"], said["purchase_day"], said["purchase_month"]) == cap


async def test_the_promotions_that_run_are_named_with_what_they_bring(server: Server) -> None:
    said = await ask(server, region="US")
    first, sale = said["promotions"]
    assert (first["id"], first["name"], first["first_only"], first["per_user"]) == (
        "first", "first of the year", True, 70
    )  # fmt: skip
    assert (sale["id"], sale["first_only"], sale["per_user"]) == ("sale", False, 0)
    assert time.time() * 1000 < first["ends"] < (time.time() + 3700) * 1000
    offers = {one["coins"]: one["offers"] for one in said["packages"]}
    assert offers[20] == [{"promotion": "first", "bonus": 2, "price": 24}]
    assert offers[350] == [
        {"promotion": "first", "bonus": 35, "price": 399},
        {"promotion": "sale", "bonus": 0, "price": 320},
    ]
    assert offers[1400] == [], "of which 10 % are more than one may have by it"
    assert [one["id"] for one in (await ask(server, region="GB"))["promotions"]] == ["first"]
    stores = {one["coins"]: one["offers"] for one in (await ask(server, region="US", tier="store"))["packages"]}
    assert [one["promotion"] for one in stores[350]] == ["first"]


async def test_what_is_left_of_a_budget_counts(server: Server, redis_client: Any) -> None:
    async def offered() -> set[str]:
        said = await ask(server, region="JP")
        return {one["promotion"] for one in said["packages"][-1]["offers"]}

    key = session_keys(16).promotion("scarce")
    for used, found in ((0, {"scarce"}), (50, {"scarce"}), (51, set())):
        await redis_client.hset(key, "used", used)
        assert await offered() == found


async def test_what_is_not_sold_is_said(server: Server) -> None:
    for query, error in (
        ({"region": "US", "currency": "EUR"}, errors.UnknownPackage),
        ({"region": "US", "currency": "€"}, errors.UnknownPackage),
        ({"region": "CU"}, errors.RegionNotAllowed),
        ({"region": "US", "tier": "shop"}, errors.BadMessage),
        ({"country": "US"}, errors.BadMessage),
    ):
        with pytest.raises(error):
            await ask(server, **query)
