"""What one purchase costs and brings: a package or a number of coins, at its price, with the promotion that applies."""

from __future__ import annotations

from msgspec import Struct

from gifting.model.prices import Prices
from gifting.model.promotions import Buyer, Tier, best


class Quote(Struct, frozen=True):
    """``coins`` are paid for with ``price`` minor units, and ``bonus`` coins come on top.

    ``full_price`` is the price without the promotion. ``promotion`` is the one that applied, of whose budgets ``cost``
    coins are taken; '' and 0 where none did. ``package`` is '' for a free number of coins.
    """

    package: str
    coins: int
    bonus: int
    price: int
    full_price: int
    currency: str
    promotion: str = ""
    cost: int = 0


def quote(
    prices: Prices,
    region: str,
    currency: str,
    tier: Tier,
    now_ms: int,
    buyer: Buyer,
    *,
    package: str = "",
    coins: int = 0,
) -> Quote:
    """The offer for ``package``, or for ``coins`` where that is ''; ``currency`` '' is the region's first.

    Raises:
        UnknownPackage: it is not sold there.
        BadAmount: not so few or so many coins.
    """
    market = prices.market(region, currency, tier)
    coins, price = prices.chosen(market, package, coins)
    offered = [one for one in prices.promotions.values() if one.offered(region, package, buyer.first, now_ms)]
    promotion, gain = best(offered, coins, price, market.currency, tier, buyer)
    return Quote(package, coins, gain.bonus, price - gain.discount, price, market.currency, promotion, gain.cost)
