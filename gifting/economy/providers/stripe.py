"""Stripe: hosted Checkout pages (cards, PayPal, Apple Pay, Google Pay), signed webhooks, refunds, its list of events.

docs/providers.md says how to set it up.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from gifting.economy.providers.base import Checkout, Facts, ProviderRefused, Reason, RefundRequest, Told, refused
from gifting.economy.providers.registry import Parts
from gifting.economy.providers.stripe_api import NAME, check_signed, is_live, no_is, open_client, read_secrets
from gifting.economy.providers.stripe_events import ORDER, SIGNIFICANT, WITHDRAWAL, Event, effects, read_event
from gifting.economy.providers.stripe_money import from_stripe, stripe_least, to_stripe
from gifting.economy.providers.stripe_settled import KINDS, Moved, read_moved, settlement
from gifting.errors import BadReceipt, BadSetting
from gifting.model.consequences import payment
from gifting.model.effects import Effect
from gifting.model.orders import Order
from gifting.model.settlements import OF_ORDERS, OF_PAYOUTS, SettledPage, Settlement

if TYPE_CHECKING:
    from stripe.params import BalanceTransactionListParams, BalanceTransactionListParamsCreated
    from stripe.params.checkout import SessionCreateParams

log = logging.getLogger(__name__)

PAGE: Final = 100
"""Movements of money that are asked for at once: the most that Stripe gives."""

EVENTS_MAX: Final = 10_000
"""Events that one reconciliation reads."""


REFUNDED: Final = "charge_already_refunded"
"""Stripe's code where a payment has gone back as a whole."""


class Stripe:
    """``account`` is the connected account that sells, '' for the key's own."""

    name: Final = NAME

    def __init__(self, key: str, secrets: Sequence[str], account: str = "", api: str = "") -> None:
        self.live = is_live(key)
        self._secrets = secrets
        self._account = account
        self._http, self._client = open_client(key, account, api)

    def least(self, currency: str) -> int:
        return stripe_least(currency)

    async def create(self, order: Order, return_url: str) -> Checkout:
        with no_is(ProviderRefused):
            session = await self._client.v1.checkout.sessions.create_async(
                _session(order, return_url), {"idempotency_key": f"gifting-{order.id}"}
            )
        return Checkout(session.url or "", f"{NAME}:{session.id}", session.expires_at * 1000)

    async def claim(self, order: Order, receipt: str) -> Sequence[Told]:
        raise BadReceipt("Stripe hands out no receipts; it says itself what was paid.")

    async def verify(self, body: bytes, headers: Mapping[str, str], now_ms: int) -> Sequence[Told]:
        check_signed(body, headers, self._secrets, now_ms)
        event = read_event(body)
        self._check(event)
        return await self._told(event)

    def _check(self, event: Event) -> None:
        if event.livemode != self.live:
            raise refused(Reason.MODE, f"The event has livemode {event.livemode}, this server has {self.live}.")
        if (event.account or "") != self._account:
            raise refused(Reason.FOREIGN, f"The event is of account {event.account!r}.")

    async def _told(self, event: Event) -> list[Effect]:
        found = [await self._placed(_counted(effect)) for effect in effects(NAME, event)]
        return [effect for effect in found if effect.order]

    async def _placed(self, effect: Effect) -> Effect:
        """With the order that its payment names, where the object itself names none; a dispute never does."""
        if effect.order:
            return effect
        return msgspec.structs.replace(effect, order=await self._order_of(effect.reference.partition(":")[2]))

    async def _order_of(self, intent: str) -> str:
        """The order that a payment names; '' if it names none."""
        with no_is(ProviderRefused):
            payment = await self._client.v1.payment_intents.retrieve_async(intent)
        named = payment.metadata.to_dict() if payment.metadata else {}
        return str(named.get(ORDER, ""))

    async def reconcile(self, since_ms: int) -> Sequence[Told]:
        told: list[Told] = []
        with no_is(ProviderRefused):
            page = await self._client.v1.events.list_async(
                {"created": {"gte": since_ms // 1000}, "types": list(SIGNIFICANT), "limit": 100}
            )
            seen = 0
            async for found in page.auto_paging_iter():
                event = read_event(msgspec.json.encode(found.to_dict(for_json=True)))
                if event.livemode == self.live:
                    told += await self._told(event)
                seen += 1
                if seen == EVENTS_MAX:
                    log.error("there are over %d events of Stripe since %d: some are not looked at", seen, since_ms)
                    break
        return told

    async def settlements(self, since_ms: int, until_ms: int, page: str) -> SettledPage:
        span: BalanceTransactionListParamsCreated = {"gte": since_ms // 1000, "lt": until_ms // 1000}
        asked: BalanceTransactionListParams = {"created": span, "limit": PAGE, "expand": ["data.source"]}
        if page:
            asked["starting_after"] = page
        with no_is(ProviderRefused):
            found = await self._client.v1.balance_transactions.list_async(asked)
        moves = [read_moved(msgspec.json.encode(one.to_dict(for_json=True))) for one in found.data]
        rows = [row for one in moves if (row := await self._settled(one)) is not None]
        return SettledPage(rows, moves[-1].id if found.has_more and moves else "")

    async def _settled(self, moved: Moved) -> Settlement | None:
        """None: it is no business of the orders and payouts from here."""
        kind, by = KINDS.get(moved.reporting_category), moved.by
        if kind is None:
            return None
        about = by.order or by.payout or (await self._order_of(by.payment_intent) if by.payment_intent else "")
        return settlement(NAME, kind, moved, about) if about or kind not in (*OF_ORDERS, *OF_PAYOUTS) else None

    async def refund(self, order: Order, amount: int, withdrawal: str) -> None:
        await self._refund(order, payment(order), amount, withdrawal, {WITHDRAWAL: withdrawal})

    async def give_back(self, order: Order, payment: str) -> None:
        try:
            await self._refund(order, payment, order.price, f"twice-{payment}", {})
        except ProviderRefused as error:  # Stripe forgets its idempotency keys, but not this
            if REFUNDED not in str(error):
                raise

    async def _refund(self, order: Order, paid: str, amount: int, name: str, told: Mapping[str, str]) -> None:
        """Once per order and ``name``; by the payment's own intent, of old orders by the only one they know."""
        intents = [one for one in order.references if one.startswith(f"{NAME}:pi_")]
        by = order.paid_by.get(paid) or (intents[0] if len(intents) == 1 else "")
        if not by:
            raise ProviderRefused("It is not known by which payment of Stripe.")
        with no_is(ProviderRefused):
            await self._client.v1.refunds.create_async(
                {
                    "payment_intent": by.partition(":")[2],
                    "amount": to_stripe(amount, order.currency),
                    "reason": "duplicate" if not told else "requested_by_customer",
                    "metadata": {ORDER: order.id, **told},
                },
                {"idempotency_key": f"gifting-{order.id}-{name}"},
            )

    async def delivered(self, order: Order) -> None:
        """Stripe waits for nothing from here."""

    async def answer_refund_request(self, request: RefundRequest, facts: Facts) -> None:
        raise ProviderRefused("Stripe asks nothing before it refunds.")

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]


def _session(order: Order, return_url: str) -> SessionCreateParams:
    """Always the same for one order, as its idempotency key wants it."""
    named = {ORDER: order.id}
    coins = order.coins + order.bonus
    return {
        "mode": "payment",
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": order.currency.lower(),
                    "unit_amount": to_stripe(order.price, order.currency),
                    "product_data": {"name": f"{coins} coins"},
                },
            }
        ],
        "client_reference_id": order.id,
        "metadata": named,
        "payment_intent_data": {"metadata": named},
        "adaptive_pricing": {"enabled": False},  # the buyer pays in the order's currency, or the amounts would differ
        "success_url": return_url,
        "cancel_url": return_url,
        "expires_at": order.expires // 1000,
    }


def _counted(effect: Effect) -> Effect:
    """With its money in minor units."""
    return msgspec.structs.replace(effect, amount=from_stripe(effect.amount, effect.currency))


def make(parts: Parts) -> Stripe:
    """Raises BadSetting where the key or the secrets are missing."""
    settings = parts.settings
    secrets = read_secrets(settings.stripe_webhook_secrets)
    if not settings.stripe_key.startswith(("sk_", "rk_")) or not secrets:
        raise BadSetting("The provider stripe needs stripe_key (sk_… or rk_…) and stripe_webhook_secrets (whsec_…).")
    return Stripe(settings.stripe_key, secrets, settings.stripe_account, settings.stripe_api)
