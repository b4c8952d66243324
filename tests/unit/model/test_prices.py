"""What coins cost: the file of the package, what is wrong in another and where, and what a purchase comes to."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gifting import errors
from gifting.model.catalog import load_catalog
from gifting.model.currencies import EXPONENTS
from gifting.model.prices import Market, Prices, load_prices, parse_prices
from gifting.model.promotions import Buyer, Gain, Promotion, best
from gifting.model.quote import quote
from gifting.model.regions import load_regions

REGIONS = load_regions().ids
NEW = Buyer(first=True)
NOW = 1_796_000_000_000

FILE = """\
[custom]
least = 20
most = 5000
[[package]]
id = "small"
coins = 20
apple = "coins.small"
[[package]]
id = "large"
coins = 1000
apple = "coins.large"
[[market]]
regions = ["US"]
currency = "USD"
tier = "web"
[market.prices]
small = 24
large = 1000
[[market]]
regions = ["US", "EU"]
currency = "EUR"
tier = "store"
prices = { small = 29, large = 1290 }
"""
PROMOTION = """\
[[promotion]]
id = "{id}"
begins = 2026-11-01T00:00:00Z
ends = 2027-01-01T00:00:00Z
"""


def prices_of(text: str) -> Prices:
    return parse_prices(text, "prices.toml", REGIONS)


def offers(*said: str) -> Prices:
    """The prices above, with promotions that have these lines."""
    return prices_of(FILE + "".join(PROMOTION.format(id=f"p{at}") + lines + "\n" for at, lines in enumerate(said)))


def test_the_prices_of_the_package() -> None:
    prices = load_prices("", REGIONS)
    sizes = sorted(package.coins for package in prices.packages.values())
    assert (sizes[0], sizes[-1]) == (20, 17_500)
    homes = {"US": "USD", "GB": "GBP", "EU": "EUR", "BR": "BRL", "JP": "JPY", "KR": "KRW", "ID": "IDR", "other": "USD"}
    for region, currency in homes.items():
        web, store = (prices.market(region, "", tier) for tier in ("web", "store"))
        assert (web.currency, store.currency) == (currency, currency)
        for package, price, dearer in zip(web.packages, web.prices, store.prices, strict=True):
            assert web.price(package.coins) == price < dearer
            assert prices.worth(package.coins, currency) >= dearer
        for gift in load_catalog():
            assert prices.worth(gift.coins, currency) >= 1
    assert {EXPONENTS[currency] for currency in ("JPY", "KRW")} == {0}
    assert (EXPONENTS["USD"], EXPONENTS["KWD"]) == (2, 3)
    assert prices.product("apple", "coins.70").coins == 70


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "line 1: there is no"),
        ("[[package]\n", "line 1"),
        (FILE + "[[offer]]\nid = 1\n", "line 24: 'offer' means nothing"),
        (FILE.replace("least = 20", "least = 0"), "line 2: "),
        (FILE.replace("most = 5000", "most = 19"), "line 3: most is below least"),
        (FILE.replace("coins = 1000", "coins = 1.5"), "line 10: "),
        (FILE.replace('"large"', '"small"'), "line 9: the id 'small' is there twice"),
        (FILE.replace("coins.large", "coins.small"), "line 11: the apple 'coins.small' is there twice"),
        (FILE.replace('["US"]', '["UX"]'), "line 13: there is no region 'UX'"),
        (FILE.replace('["US"]', '["US", "US"]'), "line 13: region 'US' has such a market already"),
        (FILE.replace("USD", "USX"), "line 14: there is no currency 'USX'"),
        (FILE.replace('"web"', '"shop"'), "line 15: "),
        (FILE.replace("large = 1000", "larger = 1000"), "line 18: there is no package 'larger'"),
        (FILE.replace("large = 1000", "large = 10.5"), "line 18: large must be a whole number"),
        (FILE.replace("large = 1000", "large = true"), "line 18: large must be a whole number"),
        (FILE.replace("large = 1000", "large = 24"), "line 18: large costs no more than small"),
        (FILE.replace("large = 1000", "large = 1201"), "line 18: large is dearer for each coin than small"),
        (FILE.replace("large = 1290", "large = 1451"), "line 23: large is dearer for each coin than small"),
        (FILE.replace("coins = 1000", "coins = 20"), "line 18: large costs no more than small"),
        (FILE.replace("least = 20", "least = 20\nfree = 1"), "line 3: "),
        (FILE.replace("small = 24", "small = 1").replace("large = 1000", "large = 50").replace("= 20\nm", "= 9\nm"),
         "line 16: 9 coins, which may be bought, would cost nothing"),
        (FILE + PROMOTION.format(id="one"), "line 24: it must give one thing"),
        (FILE + PROMOTION.format(id="one") + "bonus_coins = 5\ndiscount_percent = 5\n", "line 29: it must"),
        (FILE + PROMOTION.format(id="one") + "discount_percent = 91\n", "line 28: "),
        (FILE + PROMOTION.format(id="one") + 'bonus_coins = 5\nregions = ["XX"]\n', "line 29: there is no 'XX'"),
        (FILE + PROMOTION.format(id="one") + 'bonus_coins = 5\npackages = ["tiny"]\n', "line 29: there is no 'tiny'"),
        (FILE + PROMOTION.format(id="one") + "discount = { EUX = 5 }\n", "line 28: there is no 'EUX'"),
        (FILE + PROMOTION.format(id="one").replace("2027", "2025") + "bonus_coins = 5\n", "line 27: it ends before"),
        (FILE + PROMOTION.format(id="one").replace("01T00:00:00Z", "01") + "bonus_coins = 5\n", "line 26: "),
        (FILE + 2 * (PROMOTION.format(id="one") + "bonus_coins = 5\n"), "line 30: the id 'one' is there twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_prices_and_where(text: str, where: str) -> None:
    with pytest.raises(errors.BadPrices, match=f"^bad_prices: prices.toml.*{where}"):
        prices_of(text)


def test_prices_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(errors.BadPrices, match=r"none\.toml"):
        load_prices(str(tmp_path / "none.toml"), REGIONS)
    (tmp_path / "own.toml").write_text(FILE)
    assert set(load_prices(str(tmp_path / "own.toml"), REGIONS).packages) == {"small", "large"}


def test_a_free_number_of_coins_costs_what_the_packages_around_it_cost() -> None:
    prices = prices_of(FILE)
    market = prices.market("US")
    assert [market.price(coins) for coins in (20, 21, 100, 833, 834, 999, 1000, 1001, 2000)] == [
        24, 25, 120, 999, 1000, 1000, 1000, 1001, 2000
    ]  # fmt: skip
    assert quote(prices, "US", "", "web", NOW, NEW, coins=100).price == 120
    for coins in (0, 19, 5001):
        with pytest.raises(errors.BadAmount, match="from 20 to 5000"):
            quote(prices, "US", "", "web", NOW, NEW, coins=coins)
    with pytest.raises(errors.UnknownPackage):
        quote(prices, "US", "EUR", "store", NOW, NEW, coins=100)


def test_what_is_sold_where() -> None:
    prices = prices_of(FILE)
    bought = quote(prices, "EU", "EUR", "store", NOW, NEW, package="large")
    assert (bought.coins, bought.price, bought.currency) == (1000, 1290, "EUR")
    for region, currency, package in (("US", "GBP", "large"), ("GB", "", "large"), ("US", "USD", "tiny")):
        with pytest.raises(errors.UnknownPackage):
            quote(prices, region, currency, "web", NOW, NEW, package=package)
    with pytest.raises(errors.UnknownPackage):
        prices.product("google", "coins.small")


def test_the_price_of_a_gift_in_money_is_at_the_dearest_price_for_a_coin() -> None:
    prices = prices_of(FILE)
    assert [prices.worth(coins, "EUR") for coins in (1, 20, 21)] == [2, 29, 31]
    assert prices.worth(20, "USD") == 24
    with pytest.raises(errors.UnknownPackage):
        prices.worth(1, "JPY")


@pytest.mark.parametrize(
    ("said", "coins", "bonus", "price", "cost"),
    [
        ("bonus_percent = 15", 1000, 150, 1000, 150),
        ("bonus_percent = 15", 21, 3, 25, 3),
        ("bonus_coins = 7", 1000, 7, 1000, 7),
        ("discount_percent = 15", 1000, 0, 850, 150),
        ("discount_percent = 15", 21, 0, 22, 3),
        ("discount = { USD = 100 }", 1000, 0, 900, 100),
        ("discount = { USD = 100 }", 83, 0, 99, 0),
        ("discount = { USD = 100 }", 84, 0, 100, 0),
        ("discount = { EUR = 100 }", 1000, 0, 1000, 0),
    ],
)
def test_what_a_promotion_gives(said: str, coins: int, bonus: int, price: int, cost: int) -> None:
    made = quote(offers(said), "US", "", "web", NOW, NEW, coins=coins)
    assert (made.bonus, made.price, made.cost) == (bonus, price, cost)
    assert made.promotion == ("p0" if cost else "")


def test_an_app_store_has_bonuses_and_no_discounts() -> None:
    made = quote(offers("discount_percent = 50", "bonus_coins = 1"), "US", "EUR", "store", NOW, NEW, package="large")
    assert (made.promotion, made.price) == ("p1", 1290)


@pytest.mark.parametrize(
    ("said", "region", "buyer", "package"),
    [
        ('regions = ["EU"]', "US", NEW, "large"),
        ('packages = ["small"]', "US", NEW, "large"),
        ('packages = ["small", "large"]', "US", NEW, ""),
        ("first_only = true", "US", Buyer(), "large"),
        ("per_user = 99", "US", NEW, "large"),
        ("per_user = 100", "US", Buyer(used={"p0": 1}), "large"),
        ("total = 100", "US", Buyer(used_by_all={"p0": 1}), "large"),
    ],
)
def test_for_whom_a_promotion_is_not(said: str, region: str, buyer: Buyer, package: str) -> None:
    prices = offers(f"bonus_coins = 100\n{said}")
    assert not quote(prices, region, "USD", "web", NOW, buyer, package=package, coins=1000).promotion
    assert quote(offers("bonus_coins = 100"), region, "USD", "web", NOW, buyer, package=package, coins=1000).promotion


def test_a_promotion_has_a_time() -> None:
    prices = offers("bonus_coins = 1")
    begins, ends = prices.promotions["p0"].window()
    found = [
        quote(prices, "US", "", "web", now, NEW, package="large").bonus for now in (begins - 1, begins, ends - 1, ends)
    ]
    assert found == [0, 1, 1, 0]


def test_of_several_the_one_that_makes_a_coin_cheapest_is_taken() -> None:
    """And where that is equal, the one that ends first, then the first by id."""
    prices = offers("bonus_percent = 25", "discount_percent = 20", "discount_percent = 21", "discount_percent = 21")
    assert quote(prices, "US", "", "web", NOW, NEW, package="large").promotion == "p2"
    alike = [Promotion(id=id, begins=prices.promotions["p0"].begins, ends=prices.promotions[of].ends, bonus_coins=1)
             for id, of in (("b", "p0"), ("c", "p0"))]  # fmt: skip
    assert best(alike[::-1], 10, 10, "USD", "web", NEW)[0] == "b"
    sooner = Promotion(id="z", begins=prices.promotions["p0"].begins, ends=alike[0].begins, bonus_coins=1)
    assert best([*alike, sooner], 10, 10, "USD", "web", NEW) == ("z", Gain(1, 0, 1))
    used = Buyer(first=True, used_by_all={"p2": 1})
    prices = offers("bonus_coins = 9", "total = 5\nbonus_coins = 5", "bonus_coins = 10\ntotal = 10")
    assert quote(prices, "US", "", "web", NOW, used, package="large").promotion == "p0"


MARKETS = [load_prices("", REGIONS).market(region) for region in REGIONS]


@given(st.sampled_from(MARKETS), st.integers(1, 100_000), st.integers(1, 100_000))
def test_more_coins_are_never_dearer_and_never_cheaper_in_all(market: Market, few: int, many: int) -> None:
    """For each coin, but for the fraction of a minor unit that was left off the smaller amount."""
    few, many = sorted((few, many))
    assert market.price(few) <= market.price(many)
    assert market.price(many) * few < (market.price(few) + 1) * many


@st.composite
def promotions(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["bonus_percent", "bonus_coins", "discount_percent", "discount"]))
    amount = draw(st.integers(1, 90 if kind.endswith("percent") else 3000))
    budgets = f"per_user = {draw(st.integers(0, 300))}\ntotal = {draw(st.integers(0, 300))}"
    return f"{kind} = {f'{{ USD = {amount} }}' if kind == 'discount' else amount}\n{budgets}"


@given(
    st.lists(promotions(), max_size=4),
    st.integers(20, 5000),
    st.dictionaries(st.sampled_from(["p0", "p1"]), st.integers(0, 300)),
    st.dictionaries(st.sampled_from(["p0", "p1"]), st.integers(0, 300)),
)
def test_a_quote_is_never_free_and_keeps_to_the_budgets(
    said: list[str], coins: int, used: dict[str, int], used_by_all: dict[str, int]
) -> None:
    prices, buyer = offers(*said), Buyer(used=used, used_by_all=used_by_all)
    made = quote(prices, "US", "", "web", NOW, buyer, coins=coins)
    assert made.coins == coins
    assert 1 <= made.price <= made.full_price == prices.market("US").price(coins)
    assert 0 <= made.bonus <= made.cost
    assert (made.price, made.bonus) == (made.full_price, 0) if not made.promotion else made.cost > 0
    if made.promotion:
        taken = prices.promotions[made.promotion]
        assert not taken.per_user or used.get(taken.id, 0) + made.cost <= taken.per_user
        assert not taken.total or used_by_all.get(taken.id, 0) + made.cost <= taken.total
    for other in prices.promotions.values():
        gain = other.gain(coins, made.full_price, "USD", "web")
        if gain.cost and other.covers(gain.cost, buyer):
            assert made.price * (coins + gain.bonus) <= (made.full_price - gain.discount) * (coins + made.bonus)
    assert prices.worth(coins, "USD") >= made.price
