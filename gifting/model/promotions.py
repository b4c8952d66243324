"""Promotions: when one applies, what it gives, and which one when several would.

They do not add up: of those that apply, the one that makes a coin cheapest for the buyer is taken; of equals the one
that ends first, then the first by id. One whose budget does not cover the whole of it does not apply.

A budget is in coins: those given on top, and for a discount those that the money left off would have bought.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Annotated, Final, Literal, NamedTuple

from msgspec import Meta, Struct

from gifting.model.money import MAX_AMOUNT

Tier = Literal["web", "store"]
"""How coins are sold: by the server's own providers, or in an app store, which has prices and products of its own."""

PERCENT_MAX: Final = 500
DISCOUNT_MAX: Final = 90
"""Percent: what is sold has a price."""

Coins = Annotated[int, Meta(ge=0, le=MAX_AMOUNT)]
Money = Annotated[int, Meta(ge=1, le=10**12)]
"""Minor units of a currency."""


class Buyer(Struct, frozen=True, kw_only=True):
    """What promotions ask of who buys: whether it would be the first purchase, and of each promotion's budget how much
    this user's orders and all orders have of it.
    """

    first: bool = False
    used: Mapping[str, int] = {}
    used_by_all: Mapping[str, int] = {}


class Gain(NamedTuple):
    """What a promotion gives: coins on top, minor units off, and what that takes of its budgets, in coins."""

    bonus: int = 0
    discount: int = 0
    cost: int = 0


class Promotion(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of ``bonus_percent``, ``bonus_coins``, ``discount_percent`` and ``discount`` (minor units by currency).

    It holds from ``begins`` until before ``ends``, in all regions and for all purchases unless it names them. An app
    store's price can't be discounted. A budget of 0 has no end.
    """

    id: Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9_-]{0,39}\Z")]
    name: Annotated[str, Meta(max_length=80)] = ""
    begins: Annotated[datetime, Meta(tz=True)]
    ends: Annotated[datetime, Meta(tz=True)]
    regions: list[str] = []
    packages: list[str] = []
    first_only: bool = False
    bonus_percent: Annotated[int, Meta(ge=0, le=PERCENT_MAX)] = 0
    bonus_coins: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    discount_percent: Annotated[int, Meta(ge=0, le=DISCOUNT_MAX)] = 0
    discount: dict[str, Money] = {}
    per_user: Coins = 0
    total: Coins = 0

    def kinds(self) -> list[str]:
        """The names of what it gives; a promotion that makes sense has one."""
        return [
            name for name in ("bonus_percent", "bonus_coins", "discount_percent", "discount") if getattr(self, name)
        ]

    def window(self) -> tuple[int, int]:
        """From when until before when it holds, in ms since 1970."""
        return round(self.begins.timestamp() * 1000), round(self.ends.timestamp() * 1000)

    def running(self, region: str, now_ms: int) -> bool:
        """Whether it is for that region, at this time."""
        begins, ends = self.window()
        return begins <= now_ms < ends and (not self.regions or region in self.regions)

    def includes(self, package: str) -> bool:
        """Whether it is for that package; '' is a free number of coins."""
        return not self.packages or package in self.packages

    def offered(self, region: str, package: str, first: bool, now_ms: int) -> bool:
        """Whether it is for such a purchase, whatever its budgets have left."""
        return self.running(region, now_ms) and self.includes(package) and (first or not self.first_only)

    def gain(self, coins: int, price: int, currency: str, tier: Tier) -> Gain:
        """What it gives on ``coins`` for ``price`` minor units, rounded down; its cost is rounded up."""
        bonus = coins * self.bonus_percent // 100 + self.bonus_coins
        discount = price * self.discount_percent // 100 + self.discount.get(currency, 0)
        if tier == "store" or discount >= price:
            discount = 0
        return Gain(bonus, discount, bonus + -(-coins * discount // price))

    def covers(self, cost: int, buyer: Buyer) -> bool:
        """Whether both budgets have ``cost`` left."""
        mine, all_of_it = buyer.used.get(self.id, 0), buyer.used_by_all.get(self.id, 0)
        return (not self.per_user or mine + cost <= self.per_user) and (
            not self.total or all_of_it + cost <= self.total
        )


def best(
    promotions: Iterable[Promotion], coins: int, price: int, currency: str, tier: Tier, buyer: Buyer
) -> tuple[str, Gain]:
    """The id and gain of the promotion that is taken among those that are offered; '' and nothing if none is."""
    found: list[tuple[Fraction, datetime, str, Gain]] = []
    for promotion in promotions:
        gain = promotion.gain(coins, price, currency, tier)
        if gain.cost and promotion.covers(gain.cost, buyer):
            found.append((Fraction(price - gain.discount, coins + gain.bonus), promotion.ends, promotion.id, gain))
    return min(found)[2:] if found else ("", Gain())
