"""Purchases: begun once per key, paid at a provider, and changed by what providers say, however often they say it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from gifting.economy.draft import Rules, Wanted, draft
from gifting.economy.providers.base import Provider, ProviderRefused, RefundRequest, Told
from gifting.economy.questions import Questions
from gifting.errors import (
    BadWebhook,
    Conflict,
    KeyInFuture,
    KeyReused,
    OrderNotFound,
    PriceTooLow,
    PromotionOver,
    Unavailable,
    UnknownProvider,
)
from gifting.ledger.ledger import Ledger
from gifting.ledger.order_books import Held
from gifting.ledger.orders import Applied
from gifting.model.consequences import OPEN, state
from gifting.model.currencies import Money
from gifting.model.effects import Effect, Kind
from gifting.model.money import key_time
from gifting.model.orders import Order, PaymentMismatch
from gifting.model.standing import Standing

log = logging.getLogger(__name__)

ATTEMPTS: Final = 10
"""Times that an order is drafted anew because what the user has did change meanwhile."""


class _Changed(Exception):
    """The draft no longer is what would be drafted."""


class Purchases:
    """Of all users, by way of all ``providers``. ``rules`` gives what holds now for a person."""

    def __init__(
        self,
        ledger: Ledger,
        providers: Mapping[str, Provider],
        rules: Callable[[Standing], Rules],
    ) -> None:
        self.providers = providers
        self._ledger = ledger
        self._rules = rules
        self._lead_ms = round(ledger.settings.key_lead * 1000)
        self._questions = Questions(ledger, self.provider)
        self.refused: Counter[str] = Counter()
        """Webhooks, by reason."""
        self.reached: Counter[str] = Counter()
        """Orders that came to a state here, by state."""
        self.mismatches = 0
        """Effects with money that is not what the order asks for: nothing follows from them."""
        self.surplus = 0
        """Payments of orders that were paid before."""

    def provider(self, name: str) -> Provider:
        """Raises UnknownProvider."""
        try:
            return self.providers[name]
        except KeyError:
            raise UnknownProvider(f"{name[:20]!r} takes no payments here.") from None

    # Buying.

    async def open(self, wanted: Wanted, base_url: str) -> Order:
        """Begin a purchase and have a checkout made for it, or give the one that was begun with the key, whatever
        speaks against it by now.

        What breaks off between order and checkout is made good by the same call; a checkout is asked for under a key of
        the order's own, so there is never a second. ``base_url`` is this server's, where a provider has its page here.

        Raises:
            UnknownProvider, KeyReused, KeyInFuture, PriceTooLow, TooManyOrders, what :func:`draft` raises.
            ProviderFailed, Unavailable: it may be asked for again with the same key.
        """
        order = await self._begin(wanted)
        if order.url or state(order) not in OPEN or self._ledger.now_ms() >= order.expires:
            return order
        provider = self.provider(wanted.provider)
        try:
            checkout = await provider.create(order, wanted.return_url)
        except ProviderRefused:
            now = self._ledger.now_ms()
            await self._apply(Effect(provider.name, order.id, Kind.FAILED, now, order=order.id))
            raise
        url = checkout.url if "://" in checkout.url or not checkout.url else f"{base_url}/{checkout.url}"
        return await self._ledger.orders.attach(order.id, url, checkout.reference, checkout.expires)

    async def _begin(self, wanted: Wanted) -> Order:
        rules, orders = self._rules(wanted.standing), self._ledger.orders
        for _ in range(ATTEMPTS):
            held, now = await orders.held(wanted.user), self._ledger.now_ms()
            if kept := held.orders.get(wanted.id):
                if kept.digest != wanted.digest:
                    raise KeyReused("Another purchase was begun with this key.")
                return kept
            if key_time(wanted.key) > now + self._lead_ms:
                raise KeyInFuture
            provider = self.provider(wanted.provider)
            used = await self._ledger.promotions.used(rules.prices.promotions, but=wanted.id)
            begin = partial(_draft, wanted, rules, used, now)
            made = begin(held)
            if made.price < (least := provider.least(made.currency)):
                raise PriceTooLow(f"{wanted.provider} takes {Money(least, made.currency)} at least.")

            def allowed(held: Held, made: Order = made, begin: Callable[[Held], Order] = begin) -> None:
                if begin(held) != made:
                    raise _Changed

            budget = rules.prices.promotions[made.promotion].total if made.promotion else 0
            try:
                order = await orders.open(made, allowed, budget)
            except (_Changed, PromotionOver):
                continue
            self.reached[state(order)] += 1
            return order
        raise Conflict("What this user has changes all the time.")

    async def find(self, order_id: str, user: str = "") -> Order:
        """An order, of ``user`` unless that is ''. Raises OrderNotFound, also for what is another's."""
        order = await self._ledger.orders.get(order_id)
        if user and order.user != user:
            raise OrderNotFound(f"There is no order {order_id[:64]}.")
        return order

    async def claim(self, order: Order, receipt: str) -> Order:
        """What the buyer's device was given for an order. Raises ProviderFailed, OrderNotFound, Unavailable."""
        await self.take(await self.provider(order.provider).claim(order, receipt))
        return await self.find(order.id)

    # What providers say.

    async def webhook(self, name: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Take a webhook; for how many orders it was news.

        Raises:
            BadWebhook: it is not believed; counted by reason.
            UnknownProvider, OrderNotFound, ProviderFailed, Unavailable: it must be sent again.
        """
        try:
            told = await self.provider(name).verify(body, headers, self._ledger.now_ms())
        except BadWebhook as error:
            self.refused[error.reason] += 1
            log.warning("a webhook of %s is refused as %s: %s", name, error.reason, error)
            raise
        return await self.take(told)

    async def take(self, told: Sequence[Told]) -> int:
        """Make true what a provider says; for how many orders it was news. Raises OrderNotFound, Unavailable."""
        changed = 0
        for one in told:
            if isinstance(one, RefundRequest):
                await self._questions.answer(one)
            elif (applied := await self._apply(one)) is not None and applied.changed:
                changed += 1
        return changed

    async def _apply(self, effect: Effect) -> Applied | None:
        try:
            applied = await self._ledger.orders.apply(effect)
        except PaymentMismatch as error:
            self.mismatches += 1
            log.error("payment_mismatch: %s of %s: %s", effect.kind, effect.order or effect.reference, error)
            return None
        if applied.surplus:
            self.surplus += 1
            log.error("order %s was paid once more by %s: that is to go back", applied.order.id, effect.object)
        if applied.changed:
            self.reached[state(applied.order)] += 1
            await self.tell(applied.order.user)
        if effect.kind is Kind.PAID and applied.order.issued:
            await self.provider(applied.order.provider).delivered(applied.order)
        return applied

    async def tell(self, user: str) -> None:
        """Tell the user's sockets what there is now, wherever they are; the coins have come all the same."""
        try:
            await self._ledger.wallets.announce(user)
        except Unavailable as error:
            log.info("nobody was told what %s has: %s", user, error)


def _draft(wanted: Wanted, rules: Rules, used: Mapping[str, int], now: int, held: Held) -> Order:
    return draft(wanted, rules, held.account, held.orders.values(), held.protection, used, now)
