"""Purchases: why one is not begun, not taken back, or what a provider says is not believed."""

from __future__ import annotations

from gifting.errors.base import GiftingError
from gifting.errors.refusals import NotFound, Refused
from gifting.errors.requests import BadRequest, Denied
from gifting.errors.spending import Protected


class UnknownPackage(BadRequest):
    code = "unknown_package"
    help = "Choose a package, or an amount of coins, that GET /v1/packages offers for this region and currency."


class UnknownProvider(BadRequest):
    code = "unknown_provider"
    help = "Choose one of the providers that GET /v1/packages names."


class BadReceipt(BadRequest):
    code = "bad_receipt"
    help = "Hand in what the store gave to the app for this very purchase, in the way that docs/providers.md says."


class BadZone(BadRequest):
    code = "bad_zone"
    help = "Send the name of a time zone of the IANA database, such as Europe/Berlin."


class OrderNotFound(NotFound):
    code = "order_not_found"
    help = "Check the purchase's id; GET /v1/purchases lists your own."


class LimitsUnasked(Refused):
    code = "limits_unasked"
    help = (
        'Ask the user for a limit of purchases with PUT /v1/users/{user}/limits, as {"purchases": {"d30": 5000}}, or '
        "null for none; then buy with the same key."
    )


class PurchaseLimit(Protected):
    code = "purchase_limit"
    help = "A limit of purchases that is set for this user would be passed; it ends by itself."


class PurchaseCap(Protected):
    code = "purchase_cap"
    help = "No more money may be paid for coins in this region for now; it ends by itself."


class PriceTooLow(Refused):
    code = "price_too_low"
    help = "The provider takes no so small amounts; choose more coins, or another provider that GET /v1/packages names."


class WalletMax(Refused):
    code = "wallet_max"
    help = "More coins than a wallet may hold in this region; spend some first."


class TooManyOrders(Refused):
    code = "too_many_orders"
    help = "Pay or let expire the purchases that are open, then begin another."


class PromotionOver(Refused):
    code = "promotion_over"
    help = "The promotion that was shown is used up; ask for the packages again."


class NotWithdrawable(Refused):
    code = "not_withdrawable"
    help = "Of this purchase nothing can be given back: its coins are spent, or its time for that is over."


class Conflict(Refused):
    code = "conflict"
    help = "It was changed at the same time by somebody else; read it again, then decide again."
    temporary = True


class BadWebhook(Denied):
    """``reason`` is one of a few words, by which such refusals are counted."""

    code = "bad_webhook"
    help = "Sign it as the provider does, for this account and mode; docs/providers.md says what is refused."
    status = 400

    def __init__(self, detail: str = "", *, reason: str = "unsigned") -> None:
        super().__init__(detail)
        self.reason = reason


class ProviderFailed(GiftingError):
    code = "provider_failed"
    help = "The payment provider can't be reached or said no; nothing was issued. Try again with the same key."
    status = 502
