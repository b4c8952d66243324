"""What is used of the budgets of promotions, over all users: held when an order begins, settled when it is paid,
released when it comes to nothing.

It lies in a partition of its own, so an order and what it holds are written one after the other: first the hold, last
what became of it. What breaks off in between is found by when it is to be looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gifting.ledger.calls import Calls, check, translated
from gifting.model.consequences import OPEN, state
from gifting.model.orders import Order
from gifting.model.packing import pack

LOOK_AGAIN: Final = 3_600_000
"""ms after which a hold of an order that is still open is looked at again."""


class Promotions:
    """Of all that are running or have run. Everything raises Unavailable."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def used(self, promotions: Iterable[str], but: str = "") -> dict[str, int]:
        """What is held or settled of each, in coins, ``but`` by one order."""
        names = list(promotions)
        pipe = self._calls.redis.pipeline(transaction=False)
        for name in names:
            pipe.hmget(self._calls.keys.promotion(name), "used", but)
        with translated():
            found = await pipe.execute()
        return {name: int(used or 0) - int((own or b"h0")[1:]) for name, (used, own) in zip(names, found, strict=True)}

    async def hold(self, order: Order, budget: int) -> None:
        """Take what an order costs out of its promotion's budget, in coins, of which 0 has no end.

        Raises:
            PromotionOver: there is not so much left.
        """
        check(await self._run(order.promotion, order.id, "hold", order.promotion_cost, budget, order.expires))

    async def follow(self, order: Order) -> None:
        """Let the hold become what the order became: a paid one keeps it, one that came to nothing does not."""
        if order.issued:
            await self._run(order.promotion, order.id, "settle", order.promotion_cost)
        elif state(order) not in OPEN:
            await self.release(order.promotion, order.id)

    async def release(self, promotion: str, order_id: str) -> None:
        """The order was never begun, or came to nothing."""
        await self._run(promotion, order_id, "release")

    async def later(self, promotion: str, order_id: str, now: int) -> None:
        """The order is still open: look at it again after a while."""
        await self._run(promotion, order_id, "later", due=now + LOOK_AGAIN)

    async def due(self, now: int, count: int) -> list[tuple[str, str]]:
        """Promotions and orders of holds that are to be looked at, the longest overdue first."""
        with translated():
            found = await self._calls.redis.zrangebyscore(self._calls.keys.held, "-inf", now, 0, count)
        pairs = (name.decode().partition("\n") for name in found)
        return [(promotion, order_id) for promotion, _, order_id in pairs]

    async def _run(self, promotion: str, order_id: str, verb: str, cost: int = 0, budget: int = 0, due: int = 0) -> int:
        keys = [self._calls.keys.promotion(promotion), self._calls.keys.held]
        options = pack((promotion, order_id, verb, cost, budget, due))
        return int(await self._calls.run("promotion_reserve", keys, options))
