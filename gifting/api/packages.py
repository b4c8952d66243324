"""Coins: what they cost where, which promotions there are, and what a gift costs in money."""

from __future__ import annotations

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
    ``apple`` and ``google`` are its product ids in those stores.
    """

    id: str
    coins: int
    price: int
    offers: list[Offer]
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

    ``providers`` are those by which it is paid. Of several promotions that apply to a purchase the one counts by which
    a coin is cheapest. ``terms`` are to be shown before paying: what may be given back, within ``withdrawal_days``.
    """

    region: str
    currency: str
    exponent: int
    tier: Tier
    min_age: int
    withdrawal_days: int
    terms: str
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
    anybody = Buyer(used_by_all=used)
    return PackagesReply(
        region=region.id,
        currency=market.currency,
        exponent=EXPONENTS[market.currency],
        tier=market.tier,
        min_age=region.min_age,
        withdrawal_days=region.withdrawal_days,
        terms=region.terms,
        providers=[name for name in call.services.economy.purchases.providers if tier_of(name) == market.tier],
        packages=[_package(market, package, promotions, anybody) for package in market.packages],
        promotions=[_promotion(one) for one in promotions],
        gifts=[
            GiftPrice(gift.id, gift.coins, rules.prices.worth(gift.coins, market.currency)) for gift in rules.catalog
        ],
        custom=_custom(rules.prices.custom, market),
    )


def _package(market: Market, package: Package, promotions: list[Promotion], anybody: Buyer) -> PackageInfo:
    price = market.price(package.coins)
    offers = []
    for promotion in promotions:
        gain = promotion.gain(package.coins, price, market.currency, market.tier)
        if gain.cost and promotion.includes(package.id) and promotion.covers(gain.cost, anybody):
            offers.append(Offer(promotion.id, gain.bonus, price - gain.discount))
    return PackageInfo(package.id, package.coins, price, offers, package.apple, package.google)


def _promotion(promotion: Promotion) -> PromotionInfo:
    return PromotionInfo(promotion.id, promotion.name, promotion.window()[1], promotion.first_only, promotion.per_user)


def _custom(custom: Custom | None, market: Market) -> CustomInfo | UnsetType:
    return CustomInfo(custom.least, custom.most) if custom is not None and market.tier == "web" else UNSET


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
