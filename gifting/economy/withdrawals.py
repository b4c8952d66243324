"""Withdrawal: unspent coins go back for their money, in two steps for the buyer and three for us.

First it is said what would go back, with a token for exactly that. With the token the coins are taken; then the
provider is asked to refund; then that is noted. Whatever breaks off in between is taken up again: by the same request,
or by the reconciliation. Where the provider says no, the coins are given back.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from hashlib import sha256
from typing import Final, NamedTuple

from gifting.economy.providers.base import ProviderRefused
from gifting.economy.purchases import Purchases
from gifting.errors import Conflict, KeyReused, ProviderFailed, Unavailable, UnknownProvider
from gifting.ledger.ledger import Ledger
from gifting.model.lots import withdrawal
from gifting.model.money_back import carried_out
from gifting.model.orders import Order, Withdrawal

log = logging.getLogger(__name__)

TOKEN_LIFE: Final = 15 * 60_000
"""ms in which what was shown can be agreed to."""


class Offer(NamedTuple):
    """What would go back: paid coins and bonus coins, the money for them, and the token to agree with until then."""

    coins: int
    bonus: int
    amount: int
    token: str
    until: int


class Withdrawals:
    """``secret`` gives what tokens are made with; all nodes have the same."""

    def __init__(self, ledger: Ledger, purchases: Purchases, secret: Callable[[], str]) -> None:
        self._ledger = ledger
        self._purchases = purchases
        self._secret = secret

    async def offer(self, order: Order, name: str) -> Offer:
        """What would go back of an order now, under the key ``name``. Raises NotWithdrawable, Unavailable."""
        held, now = await self._ledger.orders.held(order.user), self._ledger.now_ms()
        one = withdrawal(order, held.paid, held.account.bonus, held.orders.values(), now)
        until = now + TOKEN_LIFE
        return Offer(one.coins, one.bonus, one.amount, self._token(order, name, one.coins, one.amount, until), until)

    async def withdraw(self, order: Order, name: str, token: str) -> tuple[Order, Withdrawal]:
        """Do what the token was given for; again gives what was done then.

        Raises:
            Conflict: something else would go back by now, or the token is too old: it must be shown anew.
            UnknownProvider: nobody could refund it.
            KeyReused: an operator's refund was made under it.
            NotWithdrawable, BadKey, Unavailable.
        """
        if (known := order.withdrawals.get(name)) is not None and known.asked:
            raise KeyReused("The refund of an operator was made with this key.")
        if known is None:
            self._purchases.provider(order.provider)
            shown = self._agreed(order, name, token)
            order, _ = await self._ledger.orders.withdraw(order.id, name, self._ledger.now_ms(), shown)
            await self._purchases.tell(order.user)
        try:
            order = await self.finish(order, name)
        except (Unavailable, Conflict) as error:  # no word for it: the coins are taken
            log.warning("the withdrawal %s of order %s has to be noted later: %s", name, order.id, error)
        return order, order.withdrawals[name]

    async def finish(self, order: Order, name: str) -> Order:
        """Have the provider refund what was taken; where it does not answer, that is left for later."""
        one = order.withdrawals[name]
        if one.done_at or one.failed_at:
            return order
        try:
            await self._refund(order, name)
        except ProviderRefused as error:
            log.warning("the withdrawal %s of order %s comes to nothing: %s", name, order.id, error)
            order = await self._ledger.orders.withdrawal_failed(order.id, name, self._ledger.now_ms())
            await self._purchases.tell(order.user)
            return order
        except (ProviderFailed, UnknownProvider) as error:
            log.warning("the withdrawal %s of order %s has to wait: %s", name, order.id, error)
            return order
        return await self._ledger.orders.withdrawn(order.id, name, self._ledger.now_ms())

    async def _refund(self, order: Order, name: str) -> None:
        """Not once the provider has told of the refund: none knows for ever that it was asked before."""
        told = carried_out(order, name)
        if told is None:
            await self._purchases.provider(order.provider).refund(order, order.withdrawals[name].amount, name)
        elif not told:
            raise ProviderRefused("Its refund has failed.")

    def _token(self, order: Order, name: str, coins: int, amount: int, until: int) -> str:
        said = f"withdraw\n{order.id}\n{name}\n{coins}\n{amount}\n{until}"
        mac = hmac.new(self._secret().encode(), said.encode(), sha256).hexdigest()
        return f"{coins}.{amount}.{until}.{mac}"

    def _agreed(self, order: Order, name: str, token: str) -> tuple[int, int]:
        """The coins and the money that the token is for. Raises Conflict."""
        parts = token.split(".")
        if len(parts) != 4 or not all(part.isascii() and part.isdigit() and len(part) < 17 for part in parts[:3]):
            raise Conflict("This is no token of a withdrawal.")
        coins, amount, until = map(int, parts[:3])
        if not hmac.compare_digest(token.encode(), self._token(order, name, coins, amount, until).encode()):
            raise Conflict("This token is of another withdrawal.")
        if self._ledger.now_ms() > until:
            raise Conflict("This token is too old.")
        return coins, amount
