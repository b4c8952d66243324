"""What a purchase becomes, and what speaks against it: one rule, without a ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from gifting import errors
from gifting.economy.draft import ORDER_LIFE, Rules, Wanted, draft
from gifting.ledger.account import Account, Frozen
from gifting.model.effects import Effect, Kind
from gifting.model.money import make_key, parse_key
from gifting.model.orders import Order, add
from gifting.model.prices import parse_prices
from gifting.model.protection import Protection
from gifting.model.regions import Region, parse_regions
from gifting.model.standing import Standing

NOW = 1_800_000_000_000
ASKED = Protection(asked=1)
PROMOTION = """
[[promotion]]
id = "welcome"
begins = 2020-01-01T00:00:00Z
ends = 2040-01-01T00:00:00Z
first_only = true
bonus_percent = 10
total = 20
"""
PRICES = """
[[package]]
id = "small"
coins = 100
[[package]]
id = "large"
coins = 1000
[[market]]
regions = ["DE"]
currency = "EUR"
tier = "web"
prices = { small = 100, large = 900 }
"""
REGIONS = """
[[region]]
id = "DE"
min_age = 18
withdrawal_days = 14
wallet_max = 2000
terms = "Fourteen days."
[[region]]
id = "other"
terms = "None."
"""


def rules(promotion: str = "", **region: Any) -> Rules:
    regions = parse_regions(REGIONS, "regions")
    found: Region = replace(regions.of("DE"), **region)
    prices = parse_prices(PRICES + promotion, "prices", regions.ids)
    return Rules(prices, found, frozenset({"personal"}), True)


def wanted(**more: Any) -> Wanted:
    usual: dict[str, Any] = {
        "user": "ann",
        "standing": Standing(30, "DE"),
        "key": parse_key(make_key(NOW, bytes(10))),
        "provider": "sandbox",
        "package": "small",
        "coins": 0,
        "currency": "",
        "return_url": "",
    }
    return Wanted(**usual | more)


def made(
    *orders: Order,
    ask: Mapping[str, Any] | None = None,
    account: Account | None = None,
    record: Protection = ASKED,
    used: Mapping[str, int] | None = None,
    now: int = NOW,
    by: Rules | None = None,
) -> Order:
    return draft(wanted(**ask or {}), by or rules(), account or Account(), orders, record, used or {}, now)


def paid(order: Order, at: int = NOW) -> Order:
    return add(order, Effect("sandbox", order.id, Kind.PAID, at, order.id, amount=order.price, currency="EUR"))


def test_an_order_has_what_was_said_before_paying() -> None:
    order = made()
    assert (order.coins, order.bonus, order.price, order.currency) == (100, 0, 100, "EUR")
    assert (order.withdraw_days, order.refundable, order.region, order.terms) == (14, True, "DE", "Fourteen days.")
    assert (order.created, order.expires) == (NOW, NOW + ORDER_LIFE)
    assert made() == order, "the same for the same key"
    assert made(ask={"package": "large"}).digest != order.digest


def test_where_ages_are_not_asked_for_all_else_is() -> None:
    unasked = rules()._replace(age_check=False)
    assert made(ask={"standing": Standing(0, "DE")}, by=unasked).coins == 100
    with pytest.raises(errors.AgeRequired):
        made(ask={"standing": Standing(17, "DE")}, by=unasked)
    with pytest.raises(errors.AccountNotAllowed):
        made(ask={"standing": Standing(0, "DE", "business")}, by=unasked)
    with pytest.raises(errors.RegionNotAllowed):
        made(ask={"standing": Standing(0, "DE")}, by=rules(allowed=False)._replace(age_check=False))


@pytest.mark.parametrize(
    ("ask", "account", "record", "region", "error"),
    [
        ({"standing": Standing(17, "DE")}, {}, ASKED, {}, errors.AgeRequired),
        ({"standing": Standing(0, "DE")}, {}, ASKED, {}, errors.AgeRequired),
        ({"standing": Standing(30, "DE", "business")}, {}, ASKED, {}, errors.AccountNotAllowed),
        ({}, {}, ASKED, {"allowed": False}, errors.RegionNotAllowed),
        ({}, {"frozen": Frozen.BANNED}, ASKED, {}, errors.Banned),
        ({}, {"frozen": Frozen.WARNING}, ASKED, {}, errors.AccountFrozen),
        ({}, {"frozen": Frozen.DISPUTE}, ASKED, {}, errors.AccountFrozen),
        ({}, {}, Protection(), {}, errors.LimitsUnasked),
        ({}, {}, Protection(asked=1, until=NOW + 1), {}, errors.OnBreak),
        ({}, {}, Protection(asked=1, purchases={"h24": 99}), {}, errors.PurchaseLimit),
        ({}, {}, Protection(asked=1, guard_purchases={"month": 99}), {}, errors.PurchaseLimit),
        ({"package": "none"}, {}, ASKED, {}, errors.UnknownPackage),
        ({"currency": "USD"}, {}, ASKED, {}, errors.UnknownPackage),
        ({"provider": "apple"}, {}, ASKED, {}, errors.UnknownPackage),
        ({"price": 99}, {}, ASKED, {}, errors.Conflict),
        ({"promotion": "welcome"}, {}, ASKED, {}, errors.PromotionOver),
        ({}, {"coins": 1901}, ASKED, {}, errors.WalletMax),
        ({}, {}, ASKED, {"purchase_currency": "EUR", "purchase_day": 99}, errors.PurchaseCap),
    ],
)
def test_what_speaks_against_it(
    ask: dict[str, Any], account: dict[str, Any], record: Protection, region: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        made(ask=ask, account=Account(**account), record=record, by=rules(**region))


def test_debt_does_not_since_a_purchase_settles_it() -> None:
    assert made(account=Account(debt=50, frozen=Frozen.DEBT)).coins == 100


def test_open_orders_count_as_if_they_were_paid() -> None:
    """Twenty begun at once must not pass what one may not."""
    waiting = made(ask={"key": parse_key(make_key(NOW, b"another...")), "package": "large"})
    assert made(waiting, account=Account(coins=900)).coins == 100
    with pytest.raises(errors.WalletMax):
        made(waiting, account=Account(coins=901))
    with pytest.raises(errors.PurchaseLimit):
        made(waiting, record=Protection(asked=1, purchases={"h24": 1099}))
    capped = rules(purchase_currency="EUR", purchase_day=999)
    with pytest.raises(errors.PurchaseCap):
        made(waiting, by=capped)
    over = add(waiting, Effect("sandbox", "cs_1", Kind.EXPIRED, NOW, waiting.id))
    assert made(over, account=Account(coins=1900), record=Protection(asked=1, purchases={"h24": 100})).coins == 100


def test_a_promotion_for_the_first_purchase_is_for_one() -> None:
    by = rules(PROMOTION)
    first = made(by=by)
    assert (first.promotion, first.bonus, first.promotion_cost) == ("welcome", 10, 10)
    other = {"key": parse_key(make_key(NOW, b"another..."))}
    assert made(first, ask=other, by=by).promotion == "", "also while the first is open"
    assert made(paid(first), ask=other, by=by).promotion == ""
    assert made(by=by, used={"welcome": 10}).promotion == "welcome"
    assert made(by=by, used={"welcome": 11}).promotion == "", "the budget over all users does not cover it"
