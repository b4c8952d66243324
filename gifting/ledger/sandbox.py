"""What the sandbox, a provider of play money, keeps: its checkouts, which outlive every process. Opaque bytes here."""

from __future__ import annotations

from typing import Final

from gifting.errors import Unconfirmed
from gifting.ledger.calls import Calls, translated

CHECKOUTS_MAX: Final = 10_000
"""Checkouts kept, a few hundred bytes each: those that change no more go first."""

PAYOUTS_MAX: Final = 10_000
"""Payouts of which it is kept that they were sent, some 100 bytes each."""

PAYOUT: Final = "payout\n"
CREATOR: Final = "creator\n"
"""What the names of those begin with of whom something is to be told, before the payout's id or the creator's."""

PAGE: Final = 1000
"""Checkouts that one reading gives at most."""


class SandboxBooks:
    """Everything raises Unavailable."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._names = calls.keys.sandbox()
        self._payouts, self._told = calls.keys.sandbox_payouts, calls.keys.sandbox_payouts_due

    async def read(self, checkout: str) -> bytes:
        """What is known of a checkout; b'' for nothing."""
        with translated():
            return await self._calls.redis.hget(self._names[0], checkout) or b""

    async def write(self, checkout: str, was: bytes, known: bytes, due: int | None, changes: int) -> bool:
        """Write what is known unless it is no longer what it ``was``; whether it was written.

        ``due``: when something is to be told, and ``changes``: when the last thing happens that is planned, both in ms
        since 1970.
        """
        told = "" if due is None else due
        args = (checkout, was, known, told, changes, CHECKOUTS_MAX)
        return bool(await self._calls.run("sandbox_put", self._names, *args, unsure=Unconfirmed))

    async def due(self, now: int, count: int) -> list[str]:
        """Checkouts of which something is to be told at ``now``, the longest overdue first."""
        with translated():
            found = await self._calls.redis.zrangebyscore(self._names[1], "-inf", now, 0, count)
        return [checkout.decode() for checkout in found]

    async def pay(self, payout: str, now: int) -> int:
        """Note that a payout is sent, of which somebody is to be told; when it was first, ms since 1970. The newest
        :data:`PAYOUTS_MAX` are kept.
        """
        pipe = self._calls.redis.pipeline(transaction=True)
        pipe.zadd(self._payouts, {payout: now}, nx=True).zremrangebyrank(self._payouts, 0, -PAYOUTS_MAX - 1)
        with translated():
            first, _ = await pipe.execute()
        if first:
            await self.tell(f"{PAYOUT}{payout}", now)
        return await self.paid(payout)

    async def paid(self, payout: str) -> int:
        """When a payout was sent; 0: never."""
        with translated():
            return int(await self._calls.redis.zscore(self._payouts, payout) or 0)

    async def tell(self, of: str, at: int) -> None:
        """Somebody is to be told of a payout or a creator, at that time (ms)."""
        with translated():
            await self._calls.redis.zadd(self._told, {of: at})

    async def told(self, of: str) -> None:
        """There is no more to tell."""
        with translated():
            await self._calls.redis.zrem(self._told, of)

    async def to_tell(self, now: int, count: int) -> list[str]:
        """Of whom somebody is to be told at ``now``, the longest overdue first."""
        with translated():
            found = await self._calls.redis.zrangebyscore(self._told, "-inf", now, 0, count)
        return [one.decode() for one in found]

    async def changed(self, since: int) -> list[bytes]:
        """What is known of the checkouts that changed since, or are going to; the oldest :data:`PAGE` of them."""
        return (await self.page(since))[0]

    async def page(self, since: int) -> tuple[list[bytes], int | None]:
        """As :meth:`changed`, and since when to ask for the others; None: these are all."""
        with translated():
            ids = await self._calls.redis.zrangebyscore(self._names[2], since, "+inf", 0, PAGE, withscores=True)
            found = await self._calls.redis.hmget(self._names[0], [name for name, _ in ids]) if ids else []
        last = int(ids[-1][1]) if len(ids) == PAGE else since
        return [known for known in found if known], last if last > since else None
