"""Where orders are kept: read with what their user has, and written if nothing has changed since."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from gifting.errors import Conflict, OrderNotFound, OutcomeUnknown
from gifting.ledger.account import Account, read_account
from gifting.ledger.calls import Calls, check, translated
from gifting.ledger.keys import account_keys
from gifting.ledger.status import Status
from gifting.model.consequences import due, frozen, why
from gifting.model.orders import Coins, Order, PaymentMismatch, pack_order, unpack_order
from gifting.model.packing import unpack
from gifting.model.protection import Protection, read_protection

TRIES: Final = 100
"""How often a change is computed anew because another one came before it."""

PAUSE: Final = 0.002
"""Seconds between two tries, at most, for each that there was."""

VERSION: Final = b"v"

REDO: Final = b"redo"
"""What a script that broke off was about to do (``lua/include/redo.lua``)."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a user has, at one moment: the account, what protects it (also as it is kept), and all orders by id."""

    user: str
    version: int
    account: Account
    cold: bytes
    protection: Protection
    orders: Mapping[str, Order]
    broken_off: bool = False

    @property
    def paid(self) -> int:
        """Coins that were bought and are not spent."""
        return self.account.coins - self.account.bonus

    def order(self, order_id: str) -> Order:
        """Raises OrderNotFound."""
        if order_id not in self.orders:
            raise OrderNotFound(f"There is no order {order_id[:64]}.")
        return self.orders[order_id]


class Put(NamedTuple):
    """An order as it is to be. ``key`` is that of the ledger entries; ``least`` the coins that must still be there.

    ``protected``: what protects the user must not have changed either.
    """

    order: Order
    key: bytes = b""
    least: Coins = Coins(0, 0)
    protected: bool = False


class OrderBooks:
    """Of all users. Everything raises Unavailable."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def held(self, user: str) -> Held:
        """What a user has."""
        key, *_ = self._calls.keys.orders(user)
        pipe = self._calls.redis.pipeline(transaction=True)
        base = self._calls.keys.base(user)
        pipe.hgetall(key).hget(f"{base}:coins", user).hget(f"{base}:accounts", user)
        with translated():
            found, field, cold = await pipe.execute()
        version, broken_off = int(found.pop(VERSION, 0)), found.pop(REDO, None) is not None
        orders = {name.decode(): unpack_order(one) for name, one in found.items()}
        return Held(user, version, read_account(field), cold or b"", read_protection(cold), orders, broken_off)

    async def find(self, reference: str) -> Order | None:
        """The order of an id or of a provider's reference."""
        place = await self.place(reference)
        if place is None:
            return None
        user, order_id = place
        key, *_ = self._calls.keys.orders(user)
        with translated():
            found = await self._calls.redis.hget(key, order_id)
        return unpack_order(found) if found else None

    async def due(self, now: int, count: int) -> list[Order]:
        """Orders that somebody must look at (:func:`gifting.model.consequences.due`), ``count`` of each partition."""
        found: list[Order] = []
        for base in self._calls.keys.bases:
            with translated():
                places = await self._calls.redis.zrangebyscore(f"{base}:orders", "-inf", now, 0, count)
            for place in places:
                if order := await self.find(place.decode().partition("\n")[2]):
                    found.append(order)
        return found

    async def change(self, user: str, order_id: str, decide: Callable[[Held], Put | None], *references: str) -> Order:
        """Write what is decided of what the user has, or nothing, if that is so still; else decide again.
        ``references`` lead to the order from then on.

        Raises:
            OutcomeUnknown: it may be written; the same again finds out.
            Conflict: others have written each time.
            PaymentMismatch: a reference leads to another order.
        """
        self._calls.halt.check()  # what broke off must not be told of as known
        for tried in range(TRIES):
            held = await self.held(user)
            if held.broken_off:
                await self.complete(user)
                continue
            put = decide(held)
            if put is None:
                return held.order(order_id)
            await self._refer(put.order, references)
            status = await self._put(held, put)
            if status != Status.CONFLICT:
                check(status)
                return put.order
            await asyncio.sleep(random.random() * PAUSE * (tried + 1))  # noqa: S311
        raise Conflict(f"The orders of {user} changed {TRIES} times meanwhile.")

    async def complete(self, user: str) -> None:
        """Do what is left of what broke off: of an order, or of a gift that is reversed."""
        keys = [*account_keys(self._calls.keys.base(user)), *self._calls.keys.orders(user)]
        await self._calls.timed("order_put", keys, (user,))

    async def _put(self, held: Held, put: Put) -> int:
        order, user = put.order, held.user
        before = held.orders.get(order.id, order)
        issue = Coins(order.coins, order.bonus) if order.issued and not before.issued else Coins(0, 0)
        take = Coins(order.taken.paid - before.taken.paid, order.taken.bonus - before.taken.bonus)
        bits = frozen([one for one in held.orders.values() if one.id != order.id] + [order])
        keys = [*account_keys(self._calls.keys.base(user)), *self._calls.keys.orders(user)]
        written = (order.id, pack_order(order), due(order), put.key)
        unless = (*put.least, put.protected and held.cold)
        money = (order.price, order.currency, order.provider, (order.returned or 0) - (before.returned or 0))
        options = (user, held.version, *written, *issue, *take, bits, *unless, *money, why(before, order))
        status, _ = unpack(await self._calls.timed("order_put", keys, options, unsure=OutcomeUnknown))
        return int(status)

    async def _refer(self, order: Order, references: tuple[str, ...]) -> None:
        """Let id and references lead to the order, before there is anything to be led to.

        Raises:
            PaymentMismatch: one of them leads to another order: a payment is for one.
        """
        place = f"{order.user}\n{order.id}"
        for reference in filter(None, (order.id, *references)):
            with translated():
                key = self._calls.keys.references(reference)
                if not await self._calls.redis.hsetnx(key, reference, place):
                    found = await self._calls.redis.hget(key, reference)
                    if found != place.encode():
                        raise PaymentMismatch(f"{reference} is of another order than {order.id}.")

    async def place(self, reference: str) -> tuple[str, str] | None:
        """User and order that an order's id or a provider's reference leads to."""
        with translated():
            found = await self._calls.redis.hget(self._calls.keys.references(reference), reference)
        if found is None:
            return None
        user, _, order_id = found.decode().partition("\n")
        return user, order_id

    async def located(self, reference: str) -> tuple[str, str]:
        """Raises OrderNotFound."""
        place = await self.place(reference)
        if place is None:
            raise OrderNotFound(f"There is no order {reference[:64]}.")
        return place
