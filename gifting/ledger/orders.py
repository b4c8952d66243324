"""Orders: begun once for ever, and changed by what providers say and users withdraw. What an order costs and who may
buy is decided above; what follows from what was said, in :mod:`gifting.model.consequences`.

All orders of a user are read with the account, a pure function says what to write, and the script writes it if no order
of that user has changed since; else it is done again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from msgspec.structs import replace

from gifting.errors import Conflict, KeyReused, OrderNotFound, TooManyOrders, Unavailable
from gifting.ledger.calls import Calls
from gifting.ledger.order_books import Held, OrderBooks, Put
from gifting.ledger.promotions import Promotions
from gifting.model.consequences import OPEN, booked, state
from gifting.model.effects import Effect, Kind, effect_key
from gifting.model.lots import kept, withdrawal
from gifting.model.money import parse_key
from gifting.model.orders import ORDERS_MAX, Coins, Order, Return, Withdrawal, add

OPEN_MAX: Final = 20
"""Orders of one user that may wait for money at once."""


class Applied(NamedTuple):
    """``changed``: it was news. ``surplus``: the order was paid for once more, and that payment must go back."""

    order: Order
    changed: bool
    surplus: bool = False


class Orders:
    """Of all users. Everything raises Unavailable; and what changes an order Conflict, if others never let it."""

    def __init__(self, calls: Calls, promotions: Promotions) -> None:
        self._books = OrderBooks(calls)
        self._promotions = promotions

    async def held(self, user: str) -> Held:
        """The account and all orders of a user, at one moment."""
        return await self._books.held(user)

    async def of_user(self, user: str) -> list[Order]:
        """A user's orders, the newest first."""
        return sorted((await self.held(user)).orders.values(), key=lambda order: order.id, reverse=True)

    async def find(self, reference: str) -> Order | None:
        """The order of an id or of a provider's reference."""
        return await self._books.find(reference)

    async def get(self, order_id: str) -> Order:
        """Raises OrderNotFound."""
        order = await self.find(order_id)
        if order is None or order.id != order_id:
            raise OrderNotFound(f"There is no order {order_id[:64]}.")
        return order

    async def due(self, now: int, count: int) -> list[Order]:
        """What is to be looked at, as :meth:`OrderBooks.due`."""
        return await self._books.due(now, count)

    async def open(self, draft: Order, allowed: Callable[[Held], None], budget: int = 0) -> Order:
        """Begin an order, or give the one that was begun under the same id.

        Args:
            draft: all that is known before a provider is asked; its id is of the user and the key.
            allowed: raises what speaks against it, and is asked of what the user has as long as that changes.
            budget: of the promotion, over all users, in coins; 0 has no end.

        Raises:
            KeyReused: another purchase was begun under the key.
            PromotionOver: the promotion's budget does not cover it any more.
            TooManyOrders: see :data:`OPEN_MAX` and :data:`ORDERS_MAX`.
        """

        def begin(held: Held) -> Put | None:
            if draft.id in held.orders:
                return None
            waiting = sum(1 for order in held.orders.values() if state(order) in OPEN)
            if waiting >= OPEN_MAX or len(held.orders) >= ORDERS_MAX:
                raise TooManyOrders(f"There are {waiting} open ones of {len(held.orders)}.")
            allowed(held)
            return Put(draft, protected=True)

        if draft.promotion and draft.id not in (await self.held(draft.user)).orders:
            await self._promotions.hold(draft, budget)
        try:
            order = await self._books.change(draft.user, draft.id, begin)
        except Exception as error:
            if draft.promotion and not isinstance(error, Unavailable):  # nothing was begun, for certain
                await self._promotions.release(draft.promotion, draft.id)
            raise
        if order.digest != draft.digest:
            raise KeyReused("Another purchase was begun with this key.")
        if order == draft and draft.promotion:
            await self._promotions.hold(draft, 0)  # who began the same and was refused has released it meanwhile
        return order

    async def attach(self, order_id: str, url: str, reference: str, expires: int) -> Order:
        """Note the checkout that a provider made for an order. Raises OrderNotFound, PaymentMismatch."""
        user, _ = await self._books.located(order_id)

        def note(held: Held) -> Put | None:
            order = held.order(order_id)
            references = tuple(sorted({*order.references, *filter(None, [reference])}))
            noted = replace(order, url=url, expires=expires, references=references)
            return None if noted == order else Put(noted)

        return await self._books.change(user, order_id, note, reference)

    async def apply(self, effect: Effect) -> Applied:
        """Make true of the order what a provider says; again changes nothing.

        Raises:
            OrderNotFound: nothing is known under the order's id or the reference.
            PaymentMismatch: the money is not what the order asks for, or belongs to another order; nothing is changed.
        """
        user, order_id = await self._books.located(effect.order or effect.reference)
        before: list[Order] = []

        def follow(held: Held) -> Put | None:
            order = held.order(order_id)
            before[:] = [order]
            told = booked(add(order, effect), held.account.purchased)
            return None if told == order else Put(told, effect_key(effect))

        paid = f"{effect.provider}:{effect.object}" if effect.kind == Kind.PAID else ""
        order = await self._books.change(user, order_id, follow, effect.reference, paid)
        if order.promotion and order != before[0]:
            await self._promotions.follow(order)
        return Applied(order, order != before[0], len(order.payments) > max(len(before[0].payments), 1))

    async def returned(self, order_id: str, payment: str, at: int, *, failed: bool = False) -> Order:
        """Note that a payment which came once more goes back, or that the provider refuses. Raises OrderNotFound."""
        user, _ = await self._books.located(order_id)

        def note(held: Held) -> Put | None:
            order = held.order(order_id)
            if payment in order.returns:
                return None
            ended = Return(failed_at=at) if failed else Return(done_at=at)
            return Put(replace(order, returns=order.returns | {payment: ended}))

        return await self._books.change(user, order_id, note)

    async def settle_promotions(self, now: int, count: int) -> int:
        """Look at ``count`` holds of promotions whose orders should be over, and were left half done. How many were."""
        due = await self._promotions.due(now, count)
        for promotion, order_id in due:
            order = await self.find(order_id)
            if order is None or order.promotion != promotion:
                await self._promotions.release(promotion, order_id)
            elif state(order) in OPEN:
                await self._promotions.later(promotion, order_id, now)
            else:
                await self._promotions.follow(order)
        return len(due)

    # Withdrawal, in three steps.

    async def withdraw(
        self, order_id: str, key: str, now: int, shown: tuple[int, int] | None = None
    ) -> tuple[Order, Withdrawal]:
        """Take the coins of an order that are not spent, so that their money can go back; ``key`` names the withdrawal.

        The same again gives what was taken then. Next the provider is asked to refund, and then :meth:`withdrawn` or
        :meth:`withdrawal_failed` says so. ``shown``: the coins and the amount that the buyer has agreed to.

        Raises:
            BadKey, OrderNotFound.
            Conflict: it would be something else than what was shown.
            NotWithdrawable: nothing is left of it, or its time is over.
        """
        parse_key(key)
        name = key.lower()
        user, _ = await self._books.located(order_id)

        def take(held: Held) -> Put | None:
            order = held.order(order_id)
            if name in order.withdrawals:
                return None
            put = _withdrawing(held, order, name, now)
            one = put.order.withdrawals[name]
            if shown not in (None, (one.coins, one.amount)):
                raise Conflict(f"By now it would be {one.coins} coins for {one.amount}.")
            return put

        order = await self._books.change(user, order_id, take)
        return order, order.withdrawals[name]

    async def withdrawn(self, order_id: str, name: str, at: int) -> Order:
        """The provider has taken the order to refund a withdrawal."""
        return await self._end_withdrawal(order_id, name, done_at=at)

    async def withdrawal_failed(self, order_id: str, name: str, at: int) -> Order:
        """The provider refuses a withdrawal for good: the coins are given back."""
        return await self._end_withdrawal(order_id, name, failed_at=at)

    async def _end_withdrawal(self, order_id: str, name: str, **times: int) -> Order:
        user, _ = await self._books.located(order_id)

        def finish(held: Held) -> Put | None:
            order = held.order(order_id)
            one = order.withdrawals.get(name)
            if one is None or one.done_at or one.failed_at:
                return None
            ended = booked(_with(order, name, replace(one, **times)), held.account.purchased)
            return Put(
                ended, effect_key(Effect(order.provider, f"{order.id} {name}", Kind.REFUND_FAILED, max(times.values())))
            )

        return await self._books.change(user, order_id, finish)


def _with(order: Order, name: str, one: Withdrawal) -> Order:
    return replace(order, withdrawals=order.withdrawals | {name: one})


def _withdrawing(held: Held, order: Order, name: str, now: int) -> Put:
    """The order with what is left of it taken out. What the user got later must be there beside that."""
    one = withdrawal(order, held.paid, held.account.bonus, held.orders.values(), now)
    later = sum(kept(other) for other in held.orders.values() if other.before > order.before)
    taken = booked(_with(order, name, one), held.account.purchased)
    key = effect_key(Effect(order.provider, f"{order.id} {name}", Kind.REFUNDED, now))  # a name is an order's own
    return Put(taken, key, Coins(one.coins + later, one.bonus))
