"""Purchases whose store waits to hear that they were delivered: noted before their coins are issued, until it heard."""

from __future__ import annotations

from typing import Final

from gifting.ledger.calls import Calls, translated
from gifting.model.packing import pack, unpack

PAGE: Final = 1000
"""Deliveries that one reading gives at most."""

Note = tuple[int, list[str]]
"""When it was bought (ms), and what its store is told by."""


class Deliveries:
    """By the purchase's name at its provider (``google:GPA.…``). Everything raises LedgerUnavailable."""

    def __init__(self, calls: Calls) -> None:
        self._redis = calls.redis
        self._key = calls.keys.deliveries

    async def note(self, reference: str, at: int, details: list[str]) -> None:
        """Remember one that was bought ``at`` (ms), with what is needed to tell its store; again changes nothing."""
        with translated():
            await self._redis.hsetnx(self._key, reference, pack([at, details]))

    async def get(self, reference: str) -> Note | None:
        with translated():
            kept = await self._redis.hget(self._key, reference)
        return None if kept is None else _read(kept)

    async def done(self, reference: str) -> None:
        """The store has heard of it, or has given the money back."""
        with translated():
            await self._redis.hdel(self._key, reference)

    async def waiting(self, provider: str) -> dict[str, Note]:
        """Those of one provider, :data:`PAGE` of them at most."""
        found: dict[str, Note] = {}
        with translated():
            async for name, kept in self._redis.hscan_iter(self._key, match=f"{provider}:*", count=PAGE):
                found[name.decode()] = _read(kept)
                if len(found) == PAGE:
                    break
        return found


def _read(kept: bytes) -> Note:
    at, details = unpack(kept)
    return at, details
