"""The sandbox as a provider: its checkouts, kept beside the ledger, and the secret that signs its webhooks."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Final

from gifting.economy.providers import signature
from gifting.economy.providers.base import Checkout as Opened
from gifting.economy.providers.base import (
    Facts,
    ProviderRefused,
    Reason,
    RefundRequest,
    Told,
    refused,
)
from gifting.economy.providers.registry import PLAY, Parts
from gifting.economy.providers.sandbox import checkout as checkouts
from gifting.economy.providers.sandbox.checkout import Checkout
from gifting.economy.providers.sandbox.history import due, event_body, history
from gifting.economy.providers.sandbox.settled import settled
from gifting.economy.providers.stripe_events import effects, read_event
from gifting.errors import BadReceipt, Conflict, OrderNotFound
from gifting.model.effects import Effect
from gifting.model.orders import Order
from gifting.model.settlements import SettledPage

ATTEMPTS: Final = 20
"""Times that a change is made anew because somebody else was faster."""

PAGE: Final = "checkout"
"""The path of the checkout's page, before its id."""

Change = Callable[[Checkout, int], Checkout]
"""What is made of a checkout at a time; raises ProviderRefused."""


class Sandbox:
    """``base_url`` leads to the page of a checkout, which is this server's own; ``changed`` is called when there may be
    something to tell.
    """

    name: Final = PLAY
    live: Final = False

    def __init__(self, parts: Parts) -> None:
        self._books = parts.ledger.sandbox
        self._now = parts.ledger.now_ms
        self._secrets = parts.secrets
        self._delay = round(parts.settings.sandbox_delay * 1000)
        self.changed: Callable[[], None] = lambda: None

    @property
    def secrets(self) -> list[str]:
        """Of webhooks, made from those of the server: the first signs."""
        return [hmac.new(one.encode(), b"gifting sandbox webhooks", sha256).hexdigest() for one in self._secrets()]

    def least(self, currency: str) -> int:
        """Play money has no least amount."""
        return 0

    async def create(self, order: Order, return_url: str) -> Opened:
        made = Checkout(
            order=order.id,
            user=order.user,
            amount=order.price,
            currency=order.currency,
            label=f"{order.coins + order.bonus} coins",
            return_url=return_url,
            created=self._now(),
            delay=self._delay,
        )
        known = await self._books.read(made.id)
        if not known and not await self._write(made, b""):
            known = await self._books.read(made.id)
        made = checkouts.read(known) if known else made
        return Opened(f"{PAGE}/{made.id}", f"{PLAY}:{made.id}", made.expires)

    async def claim(self, order: Order, receipt: str) -> Sequence[Told]:
        raise BadReceipt("The sandbox hands out no receipts.")

    async def verify(self, body: bytes, headers: Mapping[str, str], now_ms: int) -> Sequence[Told]:
        signature.verify(body, headers, self.secrets, now_ms)
        event = read_event(body)
        if event.livemode:
            raise refused(Reason.MODE, "The sandbox has no live mode.")
        if event.account:
            raise refused(Reason.FOREIGN, "The sandbox has no connected accounts.")
        return effects(PLAY, event)

    async def reconcile(self, since_ms: int) -> Sequence[Told]:
        now, found = self._now(), list[Effect]()
        for known in await self._books.changed(since_ms):
            happened = [one for one in history(checkouts.read(known)) if since_ms <= one.at <= now]
            found += [effect for one in happened for effect in effects(PLAY, read_event(event_body(one)))]
        return found

    async def settlements(self, since_ms: int, until_ms: int, page: str) -> SettledPage:
        now, (found, following) = self._now(), await self._books.page(int(page or since_ms))
        rows = [one for known in found for one in settled(PLAY, checkouts.read(known), now)]
        told = [one for one in rows if since_ms <= one.at < until_ms]
        return SettledPage(told, "" if following is None else str(following))

    async def refund(self, order: Order, amount: int, withdrawal: str) -> None:
        checkout = checkouts.checkout_id(order.id)
        try:
            await self.change(checkout, lambda known, now: checkouts.refund(known, amount, withdrawal, now))
        except OrderNotFound:
            raise ProviderRefused("The sandbox has forgotten this checkout.") from None

    async def give_back(self, order: Order, payment: str) -> None:
        raise ProviderRefused("The sandbox takes one payment for an order.")

    async def delivered(self, order: Order) -> None:
        """Nobody waits to hear it."""

    async def answer_refund_request(self, request: RefundRequest, facts: Facts) -> None:
        raise ProviderRefused("The sandbox asks nothing.")

    async def close(self) -> None:
        """There is nothing to let go of."""

    # For its page, and for who sends its webhooks.

    async def find(self, checkout: str) -> Checkout:
        """Raises OrderNotFound."""
        known = await self._books.read(checkout)
        if not known:
            raise OrderNotFound("The sandbox has no such checkout.")
        return checkouts.read(known)

    async def change(self, checkout: str, change: Change) -> Checkout:
        """Make a change, on what is known when it is written. Raises OrderNotFound, and what ``change`` raises."""
        for _ in range(ATTEMPTS):
            known = await self._books.read(checkout)
            if not known:
                raise OrderNotFound("The sandbox has no such checkout.")
            changed = change(checkouts.read(known), self._now())
            if await self._write(changed, known):
                self.changed()
                return changed
        raise Conflict("Too many change this checkout at once.")

    async def due(self, count: int) -> list[str]:
        """Ids of checkouts of which something is to be told now."""
        return await self._books.due(self._now(), count)

    async def _write(self, made: Checkout, was: bytes) -> bool:
        last = history(made)[-1].at
        return await self._books.write(made.id, was, checkouts.write(made), due(made), last)


def make(parts: Parts) -> Sandbox:
    return Sandbox(parts)
