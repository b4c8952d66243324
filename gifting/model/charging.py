"""A region's cap on purchases: money that one user may pay in any 24 hours and in any 30 days, whatever limits are set.

Both roll: neither is reset at midnight, where one night would double it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate

from gifting.errors import PurchaseCap
from gifting.model.currencies import Money
from gifting.model.orders import Order
from gifting.model.prices import Prices
from gifting.model.regions import Region

DAY, MONTH = 86_400_000, 30 * 86_400_000
"""ms for which what was paid counts."""


def purchase_caps(region: Region) -> Iterator[tuple[int, int]]:
    """Each cap that the region has: ms, and minor units of its ``purchase_currency``."""
    for width, cap in ((DAY, region.purchase_day), (MONTH, region.purchase_month)):
        if cap:
            yield width, cap


def cap_refusal(
    region: Region, prices: Prices, now: int, asked: Money, coins: int, orders: Iterable[Order]
) -> PurchaseCap | None:
    """Why the region lets nobody pay so much; None: it does.

    Args:
        asked: the price of what would be bought, which is ``coins``.
        orders: those of the user that are paid, or still may be. What was paid in another currency counts as its
            coins may cost in that of the cap.

    Returns:
        One that says when it ends; 0: never, for so much.

    Raises:
        UnknownPackage: there is a cap, and nothing is sold in its currency.
    """
    bought = sorted((order.created, Money(order.price, order.currency), order.coins) for order in orders)
    for width, cap in purchase_caps(region):
        price = _in_caps(region, prices, asked, coins)
        counted = [(at, _in_caps(region, prices, money, n)) for at, money, n in bought if at > now - width]
        over = sum(paid for _, paid in counted) + price - cap
        if over > 0:
            until = 0 if price > cap else _frees_at(counted, over) + width
            return PurchaseCap(f"At most {Money(cap, region.purchase_currency)} may be paid here.", until=until)
    return None


def _in_caps(region: Region, prices: Prices, money: Money, coins: int) -> int:
    same = money.currency == region.purchase_currency
    return money.amount if same else prices.worth(coins, region.purchase_currency)


def _frees_at(counted: list[tuple[int, int]], over: int) -> int:
    """When the last of those was bought that must no longer count."""
    sums = accumulate(paid for _, paid in counted)
    return next(at for (at, _), gone in zip(counted, sums, strict=True) if gone >= over)
