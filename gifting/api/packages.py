"""Coins: what they cost where, which promotions there are, and what a gift costs in money."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final, cast

from msgspec import UNSET, Struct, UnsetType

from gifting.api.access import PUBLIC
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint
from gifting.economy.draft import tier_of
from gifting.errors import RegionNotAllowed
from gifting.model.currencies import EXPONENTS
from gifting.model.prices import Custom, Market, Package
from gifting.model.promotions import Buyer, Promotion, Tier


class Offer(Struct):
    """What a package costs and brings with a promotion: ``bonus`` coins on top, for ``price`` minor units."""

    promotion: str
    bonus: int
    price: int


class PackageInfo(Struct):
    """``price`` is in minor units, taxes included; ``offers`` are what it may come to with the promotions there are.
    ``providers`` are those that take so little. ``apple`` and ``google`` are its product ids in those stores.
    """

    id: str
    coins: int
    price: int
    offers: list[Offer]
    providers: list[str]
    apple: str
    google: str


class CustomInfo(Struct):
    """How many coins may be bought that are no package: for each, as much as in the next smaller package, for all no
    more than for the next larger one, rounded down.
    """

    least: int
    most: int


class PromotionInfo(Struct):
    """It holds until before ``ends`` (ms since 1970), for those who buy for the first time if ``first_only``. Of a
    user's purchases, ``per_user`` coins at most come by it; 0: any number.
    """

    id: str
    name: str
    ends: int
    first_only: bool
    per_user: int


class GiftPrice(Struct):
    """What a gift's ``coins`` cost in money at most, in minor units."""

    gift: str
    coins: int
    price: int


class PackagesReply(Struct):
    """What is sold in a region. Money is in minor units of ``currency``, of which 10 ** ``exponent`` are one unit.

    ``providers`` are those by which it is paid; what none of them takes, since it costs too little, is not listed. At
    most ``purchase_day`` minor units of ``purchase_currency`` may be paid in any 24 hours, and ``purchase_month`` in
    any 30 days; 0: any amount. Of several promotions that apply to a purchase the one counts by which
    a coin is cheapest. ``terms`` are to be shown before paying: what may be given back, within ``withdrawal_days``.
    """

    region: str
    currency: str
    exponent: int
    tier: Tier
    min_age: int
    withdrawal_days: int
    terms: str
    purchase_currency: str
    purchase_day: int
    purchase_month: int
    providers: list[str]
    packages: list[PackageInfo]
    promotions: list[PromotionInfo]
    gifts: list[GiftPrice]
    custom: CustomInfo | UnsetType = UNSET


async def packages(call: Call) -> PackagesReply:
    """What may be bought there, and what all that is bought with it costs in money."""
    rules, now = call.services.rulebook.rules, call.services.ledger.now_ms()
    region = rules.regions.of(call.words["region"])
    if not region.allowed:
        raise RegionNotAllowed(f"That is region {region.id}.")
    market = rules.prices.market(region.id, call.words["currency"], cast("Tier", call.words["tier"]))
    promotions = [one for one in rules.prices.promotions.values() if one.running(region.id, now)]
    used = await call.services.ledger.promotions.used(one.id for one in promotions if one.total)
    takers = _takers(call, market)
    sold = [one for one in market.packages if not takers or _taking(takers, market.price(one.coins))]
    return PackagesReply(
        region=region.id,
        currency=market.currency,
        exponent=EXPONENTS[market.currency],
        tier=market.tier,
        min_age=region.min_age,
        withdrawal_days=region.withdrawal_days,
        terms=region.terms,
        purchase_currency=region.purchase_currency,
        purchase_day=region.purchase_day,
        purchase_month=region.purchase_month,
        providers=list(takers),
        packages=[_package(market, package, promotions, Buyer(used_by_all=used), takers) for package in sold],
        promotions=[_promotion(one) for one in promotions],
        gifts=[
            GiftPrice(gift.id, gift.coins, rules.prices.worth(gift.coins, market.currency)) for gift in rules.catalog
        ],
        custom=_custom(rules.prices.custom, market, takers),
    )


def _takers(call: Call, market: Market) -> dict[str, int]:
    """Providers that sell by the market's prices, each with the least that it takes."""
    providers = call.services.economy.purchases.providers
    return {name: one.least(market.currency) for name, one in providers.items() if tier_of(name) == market.tier}


def _taking(takers: dict[str, int], price: int) -> list[str]:
    return [name for name, least in takers.items() if least <= price]


def _package(
    market: Market, package: Package, promotions: list[Promotion], anybody: Buyer, takers: dict[str, int]
) -> PackageInfo:
    price = market.price(package.coins)
    offers = []
    for promotion in promotions:
        gain = promotion.gain(package.coins, price, market.currency, market.tier)
        if gain.cost and promotion.includes(package.id) and promotion.covers(gain.cost, anybody):
            offers.append(Offer(promotion.id, gain.bonus, price - gain.discount))
    stores = package.apple, package.google
    return PackageInfo(package.id, package.coins, price, offers, _taking(takers, price), *stores)


def _promotion(promotion: Promotion) -> PromotionInfo:
    return PromotionInfo(promotion.id, promotion.name, promotion.window()[1], promotion.first_only, promotion.per_user)


def _custom(custom: Custom | None, market: Market, takers: dict[str, int]) -> CustomInfo | UnsetType:
    """From the smallest number that somebody takes the price of."""
    if custom is None or market.tier != "web":
        return UNSET
    numbers, least = range(custom.least, custom.most + 1), min(takers.values(), default=0)
    few = numbers[bisect_left(numbers, least, key=market.price) :]
    return CustomInfo(few[0], custom.most) if few else UNSET


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v1/packages",
        "What coins cost",
        PUBLIC,
        packages,
        PackagesReply,
        words=(("region", ()), ("currency", ()), ("tier", ("web", "store"))),
        cost=2,
    ),
)
