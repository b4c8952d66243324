"""What coins cost: a TOML file with packages, prices by region, currency and tier, and promotions.

A larger package costs more, and no more for each coin: a file in which that is not so is refused. Any other amount
costs, for each coin, what the next smaller package costs, and never more than the next larger one; a fraction of the
minor unit is left off. So nobody pays more for an exact amount than for the packages around it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from gifting.errors import BadAmount, BadPrices, UnknownPackage
from gifting.model.currencies import EXPONENTS
from gifting.model.promotions import Promotion, Tier
from gifting.model.tomlfile import TomlFile, read_toml

PACKAGES_MAX: Final = 50
MARKETS_MAX: Final = 500
PROMOTIONS_MAX: Final = 200
COINS_MAX: Final = 1_000_000
"""Coins of one purchase."""

PRICE_MAX: Final = 10**12
"""Minor units of one purchase."""


class Package(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A number of coins that is sold. ``apple`` and ``google`` are its product ids in those stores; '': not there."""

    id: Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9_-]{0,39}\Z")]
    coins: Annotated[int, Meta(ge=1, le=COINS_MAX)]
    apple: Annotated[str, Meta(max_length=255)] = ""
    google: Annotated[str, Meta(max_length=255)] = ""


class Custom(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many coins may be bought that are no package; on tier web only."""

    least: Annotated[int, Meta(ge=1, le=COINS_MAX)]
    most: Annotated[int, Meta(ge=1, le=COINS_MAX)]


class _Market(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    regions: Annotated[list[str], Meta(min_length=1)]
    currency: str
    tier: Tier
    prices: Annotated[dict[str, Any], Meta(min_length=1)]


class Market(Struct, frozen=True):
    """What is sold in one currency and tier: packages and their prices in minor units, the smallest first."""

    currency: str
    tier: Tier
    packages: tuple[Package, ...]
    prices: tuple[int, ...]

    def price(self, coins: int) -> int:
        """Minor units for any number of coins; of a package, its price."""
        place = max(bisect_right(self.packages, coins, key=lambda package: package.coins) - 1, 0)
        below, price = self.packages[place], self.prices[place]
        return min([coins * price // below.coins, *self.prices[place + 1 : place + 2]])


class Prices:
    """All that is sold, by region (ids of the regions' file), currency and tier."""

    def __init__(
        self, packages: list[Package], custom: Custom | None, markets: dict[str, list[Market]], offers: list[Promotion]
    ) -> None:
        self.packages = {package.id: package for package in packages}
        self.custom = custom
        self.promotions = {promotion.id: promotion for promotion in offers}
        self._markets = markets
        self._products = {("apple", package.apple): package for package in packages if package.apple}
        self._products |= {("google", package.google): package for package in packages if package.google}
        self._dearest: dict[str, tuple[int, int]] = {}
        for market in (market for several in markets.values() for market in several):
            for rate in zip(market.prices, (package.coins for package in market.packages), strict=True):
                known = self._dearest.setdefault(market.currency, rate)
                if rate[0] * known[1] > known[0] * rate[1]:
                    self._dearest[market.currency] = rate

    def market(self, region: str, currency: str = "", tier: Tier = "web") -> Market:
        """What is sold there; without a ``currency``, in the one that the file names first for this region.

        Raises:
            UnknownPackage: nothing is.
        """
        for market in self._markets.get(region, ()):
            if market.tier == tier and currency in {"", market.currency}:
                return market
        raise UnknownPackage(f"In region {region} nothing is sold in {currency[:8]!r} ({tier}).")

    def product(self, store: str, product: str) -> Package:
        """The package that is a product of ``store``, apple or google. Raises UnknownPackage."""
        try:
            return self._products[store, product]
        except KeyError:
            raise UnknownPackage(f"{store} has no product {product[:80]!r}.") from None

    def chosen(self, market: Market, package: str, coins: int) -> tuple[int, int]:
        """The coins and the price of a package, or, where that is '', of ``coins``.

        Raises:
            UnknownPackage: it is not sold there.
            BadAmount: not so few or so many coins.
        """
        for one, price in zip(market.packages, market.prices, strict=True):
            if one.id == package:
                return one.coins, price
        if package or self.custom is None or market.tier != "web":
            raise UnknownPackage(f"{package or 'a free number of coins'!r} is not sold there.")
        if not self.custom.least <= coins <= self.custom.most:
            raise BadAmount(f"coins is {coins}; it must be from {self.custom.least} to {self.custom.most}.")
        return coins, market.price(coins)

    def worth(self, coins: int, currency: str) -> int:
        """What ``coins`` may have cost at most, in minor units, rounded up: at the dearest price for each coin that is
        asked in this currency, in any region and tier, without promotions. So a gift's price in money is never
        understated. Raises UnknownPackage where nothing is sold in it.
        """
        if currency not in self._dearest:
            raise UnknownPackage(f"Nothing is sold in {currency[:8]!r}.")
        price, per = self._dearest[currency]
        return -(-coins * price // per)


def load_prices(path: str, regions: Collection[str]) -> Prices:
    """Read the prices at ``path``, or the package's own; ``regions`` are the ids that may be named.

    Raises:
        BadPrices: with the file, the line and the reason.
    """
    return read_prices(read_toml(path, "prices.toml", BadPrices), regions)


def parse_prices(text: str, name: str, regions: Collection[str]) -> Prices:
    """The prices in ``text``; ``name`` is for errors."""
    return read_prices(TomlFile(text, name, BadPrices), regions)


def read_prices(file: TomlFile, regions: Collection[str]) -> Prices:
    """All of a file. Raises BadPrices."""
    file.only("package", "custom", "market", "promotion")
    packages = file.tables("package", Package, PACKAGES_MAX)
    file.once("package", [package.id for package in packages])
    file.once("package", [package.apple for package in packages], "apple")
    file.once("package", [package.google for package in packages], "google")
    custom = file.table("custom", Custom)
    if custom is not None and custom.least > custom.most:
        raise file.wrong("custom", 0, ["most"], f"most is below least, {custom.least}")
    markets: dict[str, list[Market]] = {}
    for number, said in enumerate(file.tables("market", _Market, MARKETS_MAX)):
        market = _read_market(file, number, said, packages, custom)
        for region in said.regions:
            if region not in regions:
                raise file.wrong("market", number, ["regions"], f"there is no region {region!r}")
            others = markets.setdefault(region, [])
            if any((market.currency, market.tier) == (other.currency, other.tier) for other in others):
                raise file.wrong("market", number, ["regions"], f"region {region!r} has such a market already")
            others.append(market)
    return Prices(packages, custom, markets, list(_read_promotions(file, regions, packages)))


def _read_market(file: TomlFile, number: int, said: _Market, packages: list[Package], custom: Custom | None) -> Market:
    if said.currency not in EXPONENTS:
        raise file.wrong("market", number, ["currency"], f"there is no currency {said.currency!r}")
    for name, price in said.prices.items():
        if name not in {package.id for package in packages}:
            raise file.wrong("market", number, ["prices", name], f"there is no package {name!r}")
        if type(price) is not int or not 1 <= price <= PRICE_MAX:
            raise file.wrong("market", number, ["prices", name], f"{name} must be a whole number of minor units")
    sold = sorted((package for package in packages if package.id in said.prices), key=lambda package: package.coins)
    for one, more in pairwise(sold):
        price, higher = said.prices[one.id], said.prices[more.id]
        if higher <= price or one.coins == more.coins:
            raise file.wrong("market", number, ["prices", more.id], f"{more.id} costs no more than {one.id}")
        if higher * one.coins > price * more.coins:
            raise file.wrong("market", number, ["prices", more.id], f"{more.id} is dearer for each coin than {one.id}")
    market = Market(said.currency, said.tier, tuple(sold), tuple(said.prices[package.id] for package in sold))
    if custom is not None and said.tier == "web" and not market.price(custom.least):
        raise file.wrong("market", number, ["prices"], f"{custom.least} coins, which may be bought, would cost nothing")
    return market


def _read_promotions(file: TomlFile, regions: Collection[str], packages: list[Package]) -> Iterator[Promotion]:
    promotions = file.tables("promotion", Promotion, PROMOTIONS_MAX, least=0)
    file.once("promotion", [promotion.id for promotion in promotions])
    known = {"regions": set(regions), "packages": {package.id for package in packages}, "discount": set(EXPONENTS)}
    for number, promotion in enumerate(promotions):
        for field, names in known.items():
            if strays := set(getattr(promotion, field)) - names:
                raise file.wrong("promotion", number, [field], f"there is no {min(strays)!r}")
        if len(kinds := promotion.kinds()) != 1:
            raise file.wrong("promotion", number, kinds[1:], "it must give one thing, a bonus or a discount")
        if promotion.begins >= promotion.ends:
            raise file.wrong("promotion", number, ["ends"], "it ends before it begins")
        yield promotion
