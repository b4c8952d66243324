"""What a purchase becomes as an order, and what speaks against it: one rule, over what the user has just then. Pure.

It is asked again, by whoever writes the order, whenever that has changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from gifting.errors import AccountFrozen, Banned, Conflict, PromotionOver, RegionNotAllowed, WalletMax
from gifting.ledger.account import Account, Frozen
from gifting.model.charging import cap_refusal
from gifting.model.consequences import OPEN, State, state
from gifting.model.currencies import Money
from gifting.model.effects import order_id
from gifting.model.money import content_digest
from gifting.model.orders import Order
from gifting.model.prices import Prices
from gifting.model.promotions import Buyer, Tier
from gifting.model.protection import Protection
from gifting.model.purchase_limits import purchase_refusal
from gifting.model.quote import Quote, quote
from gifting.model.regions import Region
from gifting.model.standing import Standing

ORDER_LIFE: Final = 3_600_000
"""ms in which an order may be paid; what is paid later is still taken, but its promotion may be gone."""

STORES: Final = frozenset({"apple", "google"})
"""Providers that sell at a store's prices."""

CAME_TO_NOTHING: Final = (State.EXPIRED, State.FAILED)


class Wanted(NamedTuple):
    """What is asked for. ``key`` has 16 bytes; ``package`` is '' for a free number of ``coins``.

    ``promotion`` and ``price`` (minor units) are what the buyer was shown; '' and 0 where that does not matter.
    ``region``, unless that is '', is where the buyer takes it to be bought.
    """

    user: str
    standing: Standing
    key: bytes
    provider: str
    package: str
    coins: int
    currency: str
    return_url: str
    promotion: str = ""
    price: int = 0
    region: str = ""

    @property
    def id(self) -> str:
        return order_id(self.user, self.key)

    @property
    def digest(self) -> bytes:
        """Of all that must be the same when a key comes again."""
        return content_digest(
            self.provider,
            self.package,
            str(self.coins),
            self.currency,
            self.return_url,
            self.promotion,
            str(self.price),
        )

    @property
    def tier(self) -> Tier:
        return tier_of(self.provider)


def tier_of(provider: str) -> Tier:
    """By whose prices it sells."""
    return "store" if provider in STORES else "web"


class Rules(NamedTuple):
    """What holds for it: prices, the region's rule, kinds of account that may buy, and whether the token is asked."""

    prices: Prices
    region: Region
    accounts: frozenset[str]
    age_check: bool


def draft(
    wanted: Wanted,
    rules: Rules,
    account: Account,
    orders: Iterable[Order],
    record: Protection,
    used: Mapping[str, int],
    now: int,
) -> Order:
    """The order as it begins. ``used`` is what all orders have of the promotions' budgets, in coins.

    Raises:
        RegionNotAllowed, AgeRequired, AccountNotAllowed, Banned, AccountFrozen: who asks may not buy.
        PromotionOver, Conflict: it is not sold any more as the buyer was shown.
        OnBreak, LimitsUnasked, PurchaseLimit, PurchaseCap: what protects the user.
        UnknownPackage, BadAmount: it is not sold.
        WalletMax: the wallet would hold too much.
    """
    region, counting = rules.region, [order for order in orders if state(order) not in CAME_TO_NOTHING]
    _may_buy(wanted, rules, account, record)
    sold = _offer(wanted, rules, buyer(counting, used), now)
    _may_have(sold, rules, account, counting, record, now)
    return Order(
        id=wanted.id,
        user=wanted.user,
        digest=wanted.digest,
        provider=wanted.provider,
        region=region.id,
        currency=sold.currency,
        price=sold.price,
        coins=sold.coins,
        bonus=sold.bonus,
        package=sold.package,
        promotion=sold.promotion,
        promotion_cost=sold.cost,
        discount=sold.full_price - sold.price,
        created=now,
        expires=now + ORDER_LIFE,
        withdraw_days=region.withdrawal_days,
        refundable=bool(region.withdrawal_days),
        terms=region.terms,
    )


def _offer(wanted: Wanted, rules: Rules, mine: Buyer, now: int) -> Quote:
    """What is sold, as the buyer was shown it."""
    where = rules.prices, rules.region.id, wanted.currency, wanted.tier
    sold = quote(*where, now, mine, package=wanted.package, coins=wanted.coins)
    if wanted.promotion not in {"", sold.promotion}:
        raise PromotionOver(f"{wanted.promotion} does not apply.")
    if wanted.price not in {0, sold.price}:
        raise Conflict(f"It costs {sold.price} {sold.currency} now.")
    return sold


def _may_have(sold: Quote, rules: Rules, account: Account, counting: list[Order], record: Protection, now: int) -> None:
    """Limits, the region's caps, the wallet. Open orders count as if they were paid."""
    region = rules.region
    money = Money(sold.price, sold.currency)
    if limited := purchase_refusal(record, now, sold.coins, [(order.created, order.coins) for order in counting]):
        raise limited
    if capped := cap_refusal(region, rules.prices, now, money, sold.coins, counting):
        raise capped
    waiting = sum(order.coins + order.bonus for order in counting if state(order) in OPEN)
    if region.wallet_max and account.coins + waiting + sold.coins + sold.bonus > region.wallet_max:
        raise WalletMax(f"A wallet may hold {region.wallet_max} coins here.")


def _may_buy(wanted: Wanted, rules: Rules, account: Account, record: Protection) -> None:
    """Debt does not speak against it: purchases are what settles it."""
    if wanted.region not in {"", wanted.standing.region}:
        raise RegionNotAllowed(f"The token is of the region {wanted.standing.region or 'unknown'}.")
    judged = wanted.standing.judged(age_check=rules.age_check)
    if refusal := rules.region.refusal(judged, rules.accounts, guarded=bool(record.guardian)):
        raise refusal
    if account.frozen & Frozen.BANNED:
        raise Banned
    if account.frozen & (Frozen.WARNING | Frozen.DISPUTE):
        raise AccountFrozen("A payment is disputed, or its bank warned of it; nothing is sold until that is settled.")


def buyer(counting: Iterable[Order], used: Mapping[str, int]) -> Buyer:
    """What promotions ask of a user with these orders, which are paid or may be."""
    mine: dict[str, int] = {}
    first = True
    for order in counting:
        first = False
        if order.promotion:
            mine[order.promotion] = mine.get(order.promotion, 0) + order.promotion_cost
    return Buyer(first=first, used=mine, used_by_all=used)
